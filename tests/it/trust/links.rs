//! What Specline writes into a repository stays beneath its root: a link in the way is named, or
//! left alone, and what it points to is not touched.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::special_files::pipe;
use crate::support::{Project, Said};

const SLUG: &str = "specs/limit-how-many-links-an-api-key-may-create";

struct Bench {
    project: Project,
    outside: PathBuf,
}

impl Bench {
    /// With a folder outside of the repository that holds one file.
    fn new() -> Self {
        let project = Project::new();
        let outside = project.path("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "another's").unwrap();
        Self { project, outside }
    }

    fn repo(&self, path: &str) -> PathBuf {
        self.project.repo().join(path)
    }

    /// A run whose SYNC fails for good at once.
    fn run(&self) -> Said {
        let policy = json!({ "backoff": { "first_ms": 10, "cap_ms": 20 } });
        self.project.run(&["--policy", &self.project.policy(&policy)])
    }

    fn is_untouched(&self) {
        assert_eq!(names(&self.outside), ["file"]);
        assert_eq!(fs::read_to_string(self.outside.join("file")).unwrap(), "another's");
    }

    /// SYNC writes the files again.
    fn sync_again(&self) -> Said {
        let spec = self.project.spec();
        self.project.ok(&["retry", &spec, "--from", "design"]);
        self.project.specline(&["resume", &spec, "--json"])
    }
}

fn names(folder: &Path) -> Vec<OsString> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn specs_as_a_link_fails_with_its_name_and_writes_nothing_outside() {
    let bench = Bench::new();
    symlink(&bench.outside, bench.repo("specs")).unwrap();
    let said = bench.run();
    bench.is_untouched();
    assert_ne!(said.code(), 0, "{said:?}");
    let log = bench.project.log();
    assert_eq!(log.count("SpecSynced"), 0);
    let failures = log.in_phase("AttemptFailed", "sync");
    let failure = failures.last().expect("sync is known to have failed");
    let message = failure.data()["message"].as_str().unwrap();
    assert!(message.contains("repo/specs is a link"), "{message}");
    assert!(message.contains("put the real file or folder in its place"), "{message}");
    let shown = bench.project.specline(&["show", &bench.project.spec()]);
    assert!(shown.stdout.contains("repo/specs is a link"), "{shown:?}");

    fs::remove_file(bench.repo("specs")).unwrap();
    let spec = bench.project.spec();
    let retried = bench.project.specline(&["retry", &spec, "--from", "sync"]);
    assert_eq!(retried.code(), 0, "{retried:?}");
    let done = bench.project.specline(&["resume", "--json"]);
    assert_eq!(done.code(), 0, "{done:?}");
    assert!(bench.repo(SLUG).join("design.md").is_file());
}

#[test]
fn a_folder_of_that_name_that_is_a_link_is_anothers() {
    let bench = Bench::new();
    fs::create_dir(bench.repo("specs")).unwrap();
    symlink(&bench.outside, bench.repo(SLUG)).unwrap();
    let said = bench.run();
    bench.is_untouched();
    assert_eq!(said.code(), 0, "{said:?}");
    assert!(bench.repo(&format!("{SLUG}-2/design.md")).is_file());
}

#[test]
fn a_file_that_is_a_link_is_a_persons() {
    let bench = Bench::new();
    assert_eq!(bench.run().code(), 0);
    for name in ["design.md", "design.new.md", "tasks.md"] {
        let path = bench.repo(SLUG).join(name);
        drop(fs::remove_file(&path));
        symlink(bench.outside.join("file"), &path).unwrap();
    }
    pipe(&bench.repo(SLUG).join("requirements.md"));
    let said = bench.sync_again();
    bench.is_untouched();
    assert_eq!(said.code(), 0, "{said:?}");
    for name in ["design.md", "tasks.md"] {
        assert!(bench.repo(SLUG).join(name).is_symlink(), "{name} is left as it is");
    }
    for name in ["design.new.md", "tasks.new.md", "requirements.new.md"] {
        let path = bench.repo(SLUG).join(name);
        assert!(path.symlink_metadata().unwrap().is_file(), "{name} stands beside it");
        assert!(fs::read_to_string(&path).unwrap().contains("Limit how many links"));
    }
}

#[test]
fn a_folder_that_became_a_link_is_not_followed() {
    let bench = Bench::new();
    assert_eq!(bench.run().code(), 0);
    fs::remove_dir_all(bench.repo(SLUG)).unwrap();
    symlink(&bench.outside, bench.repo(SLUG)).unwrap();
    let said = bench.sync_again();
    bench.is_untouched();
    assert_ne!(said.code(), 0, "{said:?}");
    let log = bench.project.log();
    let failures = log.in_phase("AttemptFailed", "sync");
    let message = failures.last().unwrap().data()["message"].as_str().unwrap();
    assert!(message.contains("may-create is a link"), "{message}");
}

#[test]
fn an_export_stays_in_its_folder() {
    let bench = Bench::new();
    assert_eq!(bench.run().code(), 0);
    let spec = bench.project.spec();
    let into = bench.project.path("into");
    let export = |format: &str| {
        let into = into.display().to_string();
        bench.project.specline(&["export", &spec, "--format", format, "--to", &into])
    };
    fs::create_dir(&into).unwrap();
    for name in ["specs", ".kiro", "openspec"] {
        symlink(&bench.outside, into.join(name)).unwrap();
    }
    for format in ["spec-kit", "kiro", "openspec"] {
        let said = export(format);
        bench.is_untouched();
        assert_ne!(said.code(), 0, "{said:?}");
        assert!(said.stderr.contains("is a link"), "{said:?}");
    }
    // A file that is a link is replaced, not followed.
    for name in ["specs", ".kiro", "openspec"] {
        fs::remove_file(into.join(name)).unwrap();
    }
    let first = export("spec-kit");
    assert_eq!(first.code(), 0, "{first:?}");
    let written = PathBuf::from(first.stdout.lines().next().unwrap());
    assert!(written.starts_with(&into), "{first:?}");
    fs::remove_dir_all(&into).unwrap();
    fs::create_dir_all(written.parent().unwrap()).unwrap();
    symlink(bench.outside.join("file"), &written).unwrap();
    export("spec-kit");
    bench.is_untouched();
}

#[test]
fn what_is_edited_is_read_from_a_file_of_the_repository() {
    let bench = Bench::new();
    assert_eq!(bench.run().code(), 0);
    let spec = bench.project.spec();
    let file = bench.repo(SLUG).join("requirements.md");
    for (target, problem) in [(Some("/dev/zero"), "is a link"), (None, "is a named pipe")] {
        fs::remove_file(&file).unwrap();
        match target {
            Some(target) => symlink(target, &file).unwrap(),
            None => pipe(&file),
        }
        let said = bench.project.specline(&["edit", &spec, "requirements", "--from-repo"]);
        assert_ne!(said.code(), 0, "{said:?}");
        assert!(said.stderr.contains(problem), "{said:?}");
    }
}
