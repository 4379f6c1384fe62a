//! Neighbours on the machine read nothing that the log's own files hold: each is its owner's alone,
//! whatever the umask, and what an earlier version left open is mended.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::log_world::wide_open;
use crate::support::{Project, Said, wait_for};

/// Every file and folder below `folder` that others may touch, and the folder itself.
fn open_to_others(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        // Files of a running engine may go while they are looked at.
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        if about.mode() & 0o077 != 0 {
            found.push(format!("{:o} {}", about.mode() & 0o777, path.display()));
        }
        if about.is_dir() {
            waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.path()));
        }
    }
    found
}

struct Walked {
    project: Project,
}

impl Walked {
    fn run(&self, args: &[&str]) -> Said {
        let said = self.project.start(wide_open(&self.project.command(args))).wait();
        assert_eq!(said.code(), 0, "{args:?}: {said:?}");
        self.walk(args);
        said
    }

    fn walk(&self, after: &[&str]) {
        for folder in [self.project.repo().join(".specline"), self.project.path("elsewhere")] {
            if folder.exists() {
                assert_eq!(open_to_others(&folder), Vec::<String>::new(), "after {after:?}");
            }
        }
    }
}

#[test]
fn no_command_leaves_a_file_that_others_can_read() {
    let walked = Walked { project: Project::new() };
    let args = walked.project.run_args(&[]);
    walked.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let mut running = walked.project.start(wide_open(&walked.project.command(&["serve"])));
    wait_for("it to serve", || {
        assert!(!running.has_ended(), "{}", running.stderr());
        running.stderr().contains("serving").then_some(())
    });
    walked.walk(&["serve"]);
    running.signal(rustix::process::Signal::TERM);
    running.wait();
    walked.walk(&["serve", "stopped"]);
    let elsewhere = walked.project.path("elsewhere");
    fs::DirBuilder::new().create(&elsewhere).unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o700)).unwrap();
    let url = |name: &str| format!("sqlite:{}", elsewhere.join(name).display());
    let log = walked.project.repo().join(".specline/log.db");
    let from = format!("sqlite:{}", log.display());
    let copy = url("copy.db");
    let command = ["log", "copy", "--from", &from, "--to", &copy];
    walked.run(&command);
    walked.run(&["list", "--store", &copy]);
    walked.run(&["keys", "create", "ci", "--store", &copy]);
    let backup = elsewhere.join("backup.db").display().to_string();
    walked.run(&["backup", "--to", &backup]);
    walked.run(&["restore", &backup, "--force"]);
    let replaced = fs::read_dir(walked.project.repo().join(".specline")).unwrap().flatten();
    let replaced = replaced.filter(|e| e.file_name().to_string_lossy().contains("replaced-"));
    assert!(replaced.count() > 0, "what was there is kept");
    walked.run(&["list"]);
    let seals = walked.project.path("seals.json").display().to_string();
    walked.run(&["audit", "seals", "--export", &seals]);
    walked.run(&["audit", "verify", "--against", &seals]);
}

#[test]
fn what_stands_open_is_mended_at_opening() {
    for read_only in [false, true] {
        let walked = Walked { project: Project::new() };
        walked.run(&["keys", "create", "ci"]);
        let folder = walked.project.repo().join(".specline");
        let kept = folder.join("log.db.replaced-20260101T000000Z");
        fs::copy(folder.join("log.db"), &kept).unwrap();
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o644)).unwrap();
        }
        if read_only {
            walked.project.ok(&["log", "verify"]);
            for name in ["log.db", "log.db.lock", "log.db.audit"] {
                let mode = fs::metadata(folder.join(name)).unwrap().mode() & 0o777;
                assert_eq!(mode, 0o600, "{name}");
            }
        } else {
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
            walked.run(&["keys", "list"]);
            assert!(kept.exists());
        }
    }
}

/// The mode of a file that is no log of ours is not ours to change.
#[test]
fn the_mode_of_another_programs_file_stays() {
    let project = Project::new();
    let other = project.path("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).unwrap();
    let store = format!("sqlite:{}", other.display());
    assert_ne!(project.specline(&["keys", "list", "--store", &store]).code(), 0);
    assert_eq!(fs::metadata(&other).unwrap().mode() & 0o777, 0o644);
}
