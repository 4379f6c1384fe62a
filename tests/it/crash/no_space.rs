//! A log that cannot be written: a clear error, exit code 78, nothing acknowledged that is not
//! there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::Project;

/// The program refuses, and says what to do.
fn refuses(project: &Project, hints: &[&str]) {
    let said = project.run(&[]);
    assert_eq!(said.code(), 78, "{said:?}");
    assert!(said.stderr.contains("error: "), "{said:?}");
    assert!(said.stderr.contains(".specline"), "{said:?}");
    for hint in hints {
        assert!(said.stderr.contains(hint), "{hint:?} is not in {said:?}");
    }
    assert_eq!(said.stdout, "");
    assert!(project.agent.calls().is_empty(), "no agent was started");
}

#[test]
fn a_file_in_the_place_of_the_log_folder() {
    let project = Project::new();
    fs::write(project.repo().join(".specline"), "not a folder").unwrap();
    refuses(&project, &["cannot be written", "--store"]);
}

#[test]
fn a_folder_in_the_place_of_the_log() {
    let project = Project::new();
    fs::create_dir_all(project.repo().join(".specline/log.db")).unwrap();
    refuses(&project, &["log.db"]);
}

#[test]
fn a_file_that_is_no_log() {
    let project = Project::new();
    fs::create_dir_all(project.repo().join(".specline")).unwrap();
    let text = "this is not a database, and longer than its header\n".repeat(100);
    fs::write(project.repo().join(".specline/log.db"), &text).unwrap();
    refuses(&project, &["log.db"]);
    let kept = fs::read_to_string(project.repo().join(".specline/log.db")).unwrap();
    assert_eq!(kept, text, "somebody else's file is not touched");
}

#[test]
fn a_folder_that_may_not_be_written() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may write anywhere");
        return;
    }
    let project = Project::new();
    let folder = project.repo().join(".specline");
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    refuses(&project, &["cannot be written"]);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
}

/// A file system of its own for `.specline`; unmounted with the test.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(folder: &'a Path, kib: u32) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let size = format!("size={kib}k");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder);
        let mounted = command.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0).status());
    }
}

#[test]
fn a_disk_that_is_full_from_the_start() {
    let project = Project::new();
    let folder = project.repo().join(".specline");
    let Some(_small) = Small::mount(&folder, 16) else {
        println!("skipped: a small file system cannot be mounted here");
        return;
    };
    let said = project.run(&[]);
    assert_eq!(said.code(), 78, "{said:?}");
    assert!(said.stderr.contains("space"), "{said:?}");
    assert!(project.agent.calls().is_empty());
}

#[test]
fn a_disk_that_gets_full_on_the_way_and_has_space_again() {
    let project = Project::new();
    let folder = project.repo().join(".specline");
    let Some(_small) = Small::mount(&folder, 4 * 1024) else {
        println!("skipped: a small file system cannot be mounted here");
        return;
    };
    project.agent.on("requirements", "once hold hold go\n");
    let run = project.start_run(&[]);
    project.wait_for_call("requirements");
    let before = project.log();
    let filler = folder.join("filler");
    let written = Command::new("dd")
        .args(["if=/dev/zero", "bs=4k"])
        .arg(format!("of={}", filler.display()))
        .output();
    assert!(written.is_ok_and(|output| !output.status.success()), "the disk is full now");
    project.agent.let_go("go");
    // The worker keeps its output and asks again; the engine acknowledges nothing meanwhile.
    project.agent.on("design", "touch \"$here/designed\"\n");
    let asked = std::time::Instant::now();
    crate::support::wait_until("the engine to have refused for a while", || {
        asked.elapsed() > std::time::Duration::from_secs(2)
    });
    assert!(!project.agent.path("designed").exists(), "the design waits for the requirements");
    fs::remove_file(&filler).unwrap();
    let said = run.wait();
    assert_eq!(said.code(), 0, "{said:?}");
    let log = project.log();
    for (was, is) in before.0.iter().zip(&log.0) {
        assert_eq!(was.hash, is.hash, "what was acknowledged is there");
    }
    project.is_sound();
    assert_eq!(log.in_phase("OutputSubmitted", "requirements").len(), 1);
    assert_eq!(project.agent.phases(), crate::support::AGENT_PHASES);
}
