//! Snapshots of real repositories, taken and checked out with the real git.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::*;

/// A user's folder, and Specline's state beside it.
struct Bench {
    root: TempDir,
    snapshots: Snapshots,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(&root.path().join("state")).unwrap();
        let bench = Self { root, snapshots };
        fs::create_dir(bench.repo()).unwrap();
        bench
    }

    /// With one commit of `a.txt` and `.gitignore`.
    fn with_history() -> Self {
        let bench = Self::new();
        bench.git(&["init", "--quiet"]);
        bench.write("a.txt", "committed\n");
        bench.write(".gitignore", "*.log\n");
        bench.git(&["add", "-A"]);
        bench.git(&["commit", "--quiet", "-m", "first"]);
        bench
    }

    fn repo(&self) -> PathBuf {
        self.root.path().join("repo")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.repo().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn git(&self, args: &[&str]) -> String {
        git(&self.repo(), args)
    }

    fn take(&self) -> Snapshot {
        self.snapshots.take(&self.repo(), "key").unwrap()
    }

    fn checkout(&self, snapshot: &Snapshot) -> PathBuf {
        let into = self.root.path().join(format!("out-{}", uuid::Uuid::now_v7()));
        self.snapshots.checkout(&snapshot.commit, &into).unwrap();
        into
    }
}

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=U", "-c", "user.email=u@example.org"])
        .args(["-c", "protocol.file.allow=always"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn paths(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.manifest.files().iter().map(|file| file.path.as_str()).collect()
}

/// Every file below `folder`, with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                found.insert(entry.path(), fs::read(entry.path()).unwrap_or_default());
            }
        }
    }
    found
}

#[test]
fn uncommitted_and_untracked_files_are_in_and_ignored_ones_are_not() {
    let bench = Bench::with_history();
    bench.write("a.txt", "changed\n");
    bench.write("sub/new.txt", "new\n");
    bench.write("noise.log", "ignored\n");
    bench.write(".specline/engine.json", "secret\n");
    let before = contents(&bench.repo().join(".git"));
    let snapshot = bench.take();
    assert_eq!(contents(&bench.repo().join(".git")), before);
    assert_eq!(paths(&snapshot), [".gitignore", "a.txt", "sub/new.txt"]);
    assert_eq!(snapshot.manifest.files()[1].bytes, 8);
    assert_eq!(snapshot.manifest.commit(), snapshot.commit);

    let copy = bench.checkout(&snapshot);
    assert_eq!(fs::read_to_string(copy.join("a.txt")).unwrap(), "changed\n");
    assert_eq!(git(&copy, &["status", "--porcelain"]), "");
    assert_eq!(git(&copy, &["rev-parse", "HEAD~1"]), bench.git(&["rev-parse", "HEAD"]));
    assert_eq!(git(&copy, &["diff", "--name-only", "HEAD~1"]), "a.txt\nsub/new.txt");
    assert_eq!(git(&copy, &["rev-parse", "--show-toplevel"]), copy.display().to_string());
}

#[test]
fn the_same_tree_is_the_same_commit_and_a_change_of_equal_size_is_seen() {
    let bench = Bench::with_history();
    let first = bench.take();
    assert_eq!(bench.take(), first);
    // Within the index's clock tick, and with the same length: only reading it can tell.
    bench.write("a.txt", "different");
    bench.git(&["add", "a.txt"]);
    bench.write("a.txt", "Different");
    let second = bench.take();
    assert_ne!(second.commit, first.commit);
    let copy = bench.checkout(&second);
    assert_eq!(fs::read_to_string(copy.join("a.txt")).unwrap(), "Different");
}

#[test]
fn a_staged_deletion_and_a_missing_file_are_not_in() {
    let bench = Bench::with_history();
    bench.write("b.txt", "b");
    bench.git(&["add", "b.txt"]);
    fs::remove_file(bench.repo().join("b.txt")).unwrap();
    bench.git(&["rm", "--quiet", "a.txt"]);
    assert_eq!(paths(&bench.take()), [".gitignore"]);
}

#[test]
fn what_the_index_hides_is_in_as_it_lies_there() {
    let bench = Bench::with_history();
    bench.git(&["update-index", "--assume-unchanged", "a.txt"]);
    bench.write("a.txt", "changed behind the index\n");
    let copy = bench.checkout(&bench.take());
    assert_eq!(fs::read_to_string(copy.join("a.txt")).unwrap(), "changed behind the index\n");
}

#[test]
fn a_filtered_file_is_in_as_it_lies_there() {
    let bench = Bench::with_history();
    bench.git(&["config", "filter.shout.clean", "tr a-z A-Z"]);
    bench.write(".gitattributes", "*.x filter=shout\n");
    bench.write("f.x", "quiet\n");
    bench.git(&["add", "-A"]);
    let copy = bench.checkout(&bench.take());
    assert_eq!(fs::read_to_string(copy.join("f.x")).unwrap(), "quiet\n");
}

/// Nodes of one machine share it, and start together.
#[test]
fn engines_that_open_it_at_once_find_it_whole() {
    for _ in 0..20 {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("state");
        let opened: Vec<_> = std::thread::scope(|scope| {
            let open = || scope.spawn(|| Snapshots::open(&state).map(drop));
            let opening: Vec<_> = (0..4).map(|_| open()).collect();
            opening.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(opened.iter().all(Result::is_ok), "{opened:?}");
        let left = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("making")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// git was killed in `init`, before there was a HEAD.
#[test]
fn one_that_was_being_made_when_git_was_killed_is_finished() {
    let root = tempfile::tempdir().unwrap();
    let state = root.path().join("state");
    fs::create_dir_all(state.join("snapshots.git/refs")).unwrap();
    let snapshots = Snapshots::open(&state).unwrap();
    let repo = root.path().join("repo");
    fs::create_dir(&repo).unwrap();
    fs::write(repo.join("a.txt"), "a").unwrap();
    assert_eq!(paths(&snapshots.take(&repo, "key").unwrap()), ["a.txt"]);
}

/// git was killed in `update-ref`, or with it the engine that had scratch files.
#[test]
fn what_a_killed_git_left_is_no_hindrance_to_the_next_engine() {
    let mut bench = Bench::with_history();
    let before = bench.take();
    let state = bench.root.path().join("state");
    let locks = ["refs/specline/key.lock", "packed-refs.lock", "HEAD.lock", "config.lock"];
    let left = |state: &Path| {
        for lock in locks {
            fs::write(state.join("snapshots.git").join(lock), "").unwrap();
        }
        fs::create_dir(state.join("snapshots.tmp/of-a-dead-one")).unwrap();
    };
    left(&state);
    bench.write("b.txt", "b\n");
    assert!(bench.snapshots.take(&bench.repo(), "key").is_err(), "git's lock is there");
    // Another engine that lives may be at work: nothing is taken from under it.
    let second = Snapshots::open(&state).unwrap();
    assert!(state.join("snapshots.git/HEAD.lock").exists());
    drop((second, std::mem::replace(&mut bench.snapshots, before_engine())));
    bench.snapshots = Snapshots::open(&state).unwrap();
    assert_ne!(bench.take().commit, before.commit);
    assert!(locks.iter().all(|lock| !state.join("snapshots.git").join(lock).exists()));
    assert!(!state.join("snapshots.tmp/of-a-dead-one").exists());
}

/// Stands in the place of an engine that is gone.
fn before_engine() -> Snapshots {
    Snapshots::open(&tempfile::tempdir().unwrap().keep()).unwrap()
}

#[test]
fn a_folder_without_git_is_taken_with_its_ignore_files() {
    let bench = Bench::new();
    bench.write("a.txt", "a\n");
    bench.write(".gitignore", "target/\n");
    bench.write("target/big", "built\n");
    let snapshot = bench.take();
    assert_eq!(paths(&snapshot), [".gitignore", "a.txt"]);
    assert!(!bench.repo().join(".git").exists());
    let copy = bench.checkout(&snapshot);
    assert_eq!(git(&copy, &["rev-list", "--count", "HEAD"]), "1");
}

#[test]
fn an_empty_folder_and_an_unborn_head_are_taken() {
    let bench = Bench::new();
    assert!(bench.take().manifest.is_empty());
    bench.git(&["init", "--quiet"]);
    assert!(bench.take().manifest.is_empty());
    bench.write("a.txt", "a");
    let snapshot = bench.take();
    assert_eq!(paths(&snapshot), ["a.txt"]);
    assert_eq!(git(&bench.checkout(&snapshot), &["rev-list", "--count", "HEAD"]), "1");
}

#[test]
fn a_worktree_and_a_shallow_clone_are_taken_with_their_history() {
    let bench = Bench::with_history();
    bench.write("a.txt", "second\n");
    bench.git(&["commit", "--quiet", "-am", "second"]);
    let worktree = bench.root.path().join("wt");
    bench.git(&["worktree", "add", "--quiet", "--detach", worktree.to_str().unwrap()]);
    fs::write(worktree.join("w.txt"), "w").unwrap();
    let snapshot = bench.snapshots.take(&worktree, "wt").unwrap();
    assert_eq!(paths(&snapshot), [".gitignore", "a.txt", "w.txt"]);
    assert_eq!(git(&bench.checkout(&snapshot), &["rev-list", "--count", "HEAD"]), "3");

    let other = Bench::new();
    fs::remove_dir(other.repo()).unwrap();
    let from = format!("file://{}", bench.repo().display());
    git(other.root.path(), &["clone", "--quiet", "--depth=1", &from, "repo"]);
    let copy = other.checkout(&other.take());
    assert_eq!(git(&copy, &["rev-list", "--count", "HEAD"]), "2");
}

#[test]
fn a_part_of_a_repository_is_a_root_of_its_own_with_the_rules_above_it() {
    let bench = Bench::with_history();
    bench.write("part/x.txt", "x");
    bench.write("part/x.log", "ignored by the file above");
    let snapshot = bench.snapshots.take(&bench.repo().join("part"), "part").unwrap();
    assert_eq!(paths(&snapshot), ["x.txt"]);
    assert_eq!(git(&bench.checkout(&snapshot), &["rev-list", "--count", "HEAD"]), "1");
    // An ignored folder that is asked for by name is asked for with its files.
    bench.write("part.log/y.txt", "y");
    let snapshot = bench.snapshots.take(&bench.repo().join("part.log"), "ignored").unwrap();
    assert_eq!(paths(&snapshot), ["y.txt"]);
}

#[test]
fn nested_repositories_and_big_files_are_left_out_and_named() {
    let bench = Bench::with_history();
    let inner = Bench::with_history();
    let from = inner.repo().display().to_string();
    bench.git(&["submodule", "--quiet", "add", &from, "module"]);
    bench.git(&["clone", "--quiet", &from, "nested"]);
    File::create(bench.repo().join("big.bin")).unwrap().set_len(MAX_UNTRACKED_BYTES + 1).unwrap();
    let snapshot = bench.take();
    assert_eq!(paths(&snapshot), [".gitignore", ".gitmodules", "a.txt"]);
    let skipped: Vec<_> = snapshot.skipped.iter().map(|s| (s.path.as_str(), s.reason)).collect();
    let expected = [
        ("module", Reason::NestedRepository),
        ("big.bin", Reason::TooBig),
        ("nested", Reason::NestedRepository),
    ];
    assert_eq!(skipped, expected);
}

#[test]
fn odd_names_links_and_modes_survive() {
    let bench = Bench::with_history();
    for name in ["a b", "naïve-日本", "new\nline", "-dash", "back\\slash", "\"quoted\""] {
        bench.write(name, name);
    }
    bench.write("run.sh", "#!/bin/sh\n");
    fs::set_permissions(bench.repo().join("run.sh"), Permissions::from_mode(0o755)).unwrap();
    symlink("a.txt", bench.repo().join("link")).unwrap();
    symlink("/nowhere", bench.repo().join("dangling")).unwrap();
    let copy = bench.checkout(&bench.take());
    for name in ["a b", "naïve-日本", "new\nline", "-dash", "back\\slash", "\"quoted\""] {
        assert_eq!(fs::read_to_string(copy.join(name)).unwrap(), name);
    }
    let mode = fs::metadata(copy.join("run.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111);
    assert_eq!(fs::read_link(copy.join("link")).unwrap(), Path::new("a.txt"));
    assert_eq!(fs::read_link(copy.join("dangling")).unwrap(), Path::new("/nowhere"));
}

#[test]
fn a_file_that_became_a_folder_and_a_folder_that_became_a_link_are_taken() {
    let bench = Bench::with_history();
    bench.write("dir/f", "f");
    bench.git(&["add", "-A"]);
    fs::remove_file(bench.repo().join("a.txt")).unwrap();
    bench.write("a.txt/inner", "inner");
    fs::rename(bench.repo().join("dir"), bench.repo().join("moved")).unwrap();
    symlink("moved", bench.repo().join("dir")).unwrap();
    let snapshot = bench.take();
    assert_eq!(paths(&snapshot), [".gitignore", "a.txt/inner", "dir", "moved/f"]);
}

#[test]
fn a_locked_index_and_a_merge_conflict_are_no_obstacle() {
    let bench = Bench::with_history();
    bench.git(&["checkout", "--quiet", "-b", "other"]);
    bench.write("a.txt", "theirs\n");
    bench.git(&["commit", "--quiet", "-am", "theirs"]);
    bench.git(&["checkout", "--quiet", "-"]);
    bench.write("a.txt", "ours\n");
    bench.git(&["commit", "--quiet", "-am", "ours"]);
    let merged = Command::new("git").arg("-C").arg(bench.repo()).args(["merge", "other"]).output();
    assert!(!merged.unwrap().status.success());
    bench.write(".git/index.lock", "");
    let copy = bench.checkout(&bench.take());
    assert!(fs::read_to_string(copy.join("a.txt")).unwrap().contains("<<<<<<<"));
}

#[test]
fn what_has_no_working_tree_is_refused_in_words() {
    let bench = Bench::new();
    bench.git(&["init", "--quiet", "--bare"]);
    let refused = |path: &Path| bench.snapshots.take(path, "key").unwrap_err();
    assert!(matches!(refused(&bench.repo()), SnapshotError::NoWorkTree { .. }));
    let missing = bench.root.path().join("missing");
    assert!(matches!(refused(&missing), SnapshotError::NotAFolder { .. }));
    let broken = bench.root.path().join("broken");
    fs::create_dir_all(&broken).unwrap();
    fs::write(broken.join(".git"), "gitdir: /nowhere\n").unwrap();
    assert!(matches!(refused(&broken), SnapshotError::Broken { .. }));
    assert!(matches!(refused(bench.root.path()), SnapshotError::Inside { .. }));
    let error = bench.snapshots.take(&broken, "../key").unwrap_err();
    assert!(matches!(error, SnapshotError::InvalidKey { .. }));
}

#[test]
fn a_snapshot_lives_until_it_is_forgotten_and_an_unknown_one_is_said_so() {
    let bench = Bench::with_history();
    let snapshot = bench.take();
    assert!(bench.snapshots.exists(&snapshot.commit).unwrap());
    assert!(!bench.snapshots.exists("--help").unwrap());
    let unknown = "0123456789012345678901234567890123456789";
    let into = bench.root.path().join("never");
    let error = bench.snapshots.checkout(unknown, &into).unwrap_err();
    assert!(matches!(error, SnapshotError::UnknownCommit { .. }));
    assert!(!into.exists());
    let full = bench.snapshots.checkout(&snapshot.commit, &bench.repo()).unwrap_err();
    assert!(matches!(full, SnapshotError::NotEmpty { .. }));
    let refs = || git(&bench.root.path().join("state/snapshots.git"), &["for-each-ref"]);
    assert!(refs().ends_with("refs/specline/key"));
    bench.snapshots.forget("key").unwrap();
    bench.snapshots.forget("key").unwrap();
    assert_eq!(refs(), "");
}
