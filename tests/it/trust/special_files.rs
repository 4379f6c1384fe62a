//! Named pipes, devices behind links, files without end and folders without bottom in a repository:
//! a launch completes or says what is wrong, in bounded time and memory.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{Project, Said};

/// What any one process of a launch may hold at most: the largest of them, SQLite and the builtin
/// agent together, stays far below.
const MAX_KIB: u64 = 400 * 1024;

/// A named pipe at `path`, in the place of what is there.
pub fn pipe(path: &Path) {
    drop(fs::remove_file(path));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// `command`, which cannot take the machine's memory with it if the attack works.
fn confined(command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "ulimit -v 8388608; exec \"$@\"", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.current_dir(command.get_current_dir().unwrap()).env_clear();
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell.stdin(std::process::Stdio::null());
    shell
}

/// Runs a spec, and measures the most memory that the engine held.
fn run(project: &Project, agent: &str) -> (Said, u64) {
    let request = "Limit how many links an API key may create";
    let command = project.command(&["run", request, "--agent", agent, "--json"]);
    let mut command = confined(&command);
    command.env("SPECLINE_LOG", "warn");
    let mut running = project.start(command);
    let mut most = 0;
    crate::support::wait_until("a launch to end", || {
        let status = fs::read_to_string(format!("/proc/{}/status", running.pid()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(kib.unwrap_or(0));
        running.has_ended()
    });
    (running.wait(), most)
}

fn completes(project: &Project, agent: &str) -> Said {
    let (said, kib) = run(project, agent);
    assert_eq!(said.code(), 0, "{said:?}");
    assert!(kib < MAX_KIB, "{kib} KiB");
    said
}

/// The launch fails, and names `culprit`.
fn is_refused(project: &Project, culprit: &str) {
    let (said, kib) = run(project, &project.agent.line());
    assert_ne!(said.code(), 0, "{said:?}");
    assert!(said.stderr.contains(culprit), "{said:?}");
    assert!(said.stderr.contains("remove it"), "{said:?}");
    assert!(kib < MAX_KIB, "{kib} KiB");
}

#[test]
fn files_that_are_links_to_a_device_are_links() {
    for agent in ["scripted", "builtin"] {
        let project = Project::new();
        let names = [".gitattributes", ".gitignore", ".ignore", "NOTES.md", "Cargo.toml"];
        for name in names.into_iter().chain(["src/.gitignore", "src/main.rs", ".mailmap"]) {
            symlink("/dev/zero", project.repo().join(name)).unwrap();
        }
        project.git(&["add", "-A"]);
        let line = if agent == "builtin" { agent.to_owned() } else { project.agent.line() };
        completes(&project, &line);
    }
}

#[test]
fn a_pipe_that_git_would_read_is_named() {
    for place in [".gitattributes", ".gitignore", "src/.gitattributes", "src/.gitignore"] {
        let project = Project::new();
        pipe(&project.repo().join(place));
        is_refused(&project, &format!("{place} is a named pipe"));
    }
}

/// In folders that no tracked file leads to, and in the repository's own: git is on its way there
/// before anybody looks.
#[test]
fn a_pipe_that_git_waits_for_is_found() {
    for place in ["new/.gitignore", ".git/info/exclude", ".git/HEAD", ".git/config"] {
        let project = Project::new();
        fs::create_dir(project.repo().join("new")).unwrap();
        fs::write(project.repo().join("new/file"), "").unwrap();
        pipe(&project.repo().join(place));
        is_refused(&project, place);
    }
}

#[test]
fn other_pipes_and_sockets_are_left_out_and_named() {
    let project = Project::new();
    let explored = crate::support::Agent::answer("explore")["explored_files"].clone();
    for name in ["NOTES.md", "Cargo.toml", "kept.rs"] {
        fs::write(project.repo().join(name), "# Links\n").unwrap();
    }
    project.git(&["add", "-A"]);
    project.git(&["commit", "--quiet", "-m", "more"]);
    pipe(&project.repo().join("NOTES.md"));
    pipe(&project.repo().join("Cargo.toml"));
    let _socket = std::os::unix::net::UnixListener::bind(project.repo().join("socket")).unwrap();
    let first = explored[0].as_str().unwrap();
    pipe(&project.repo().join("specs/limit-how-many-links-an-api-key-may-create/trace.json"));
    let said = completes(&project, &project.agent.line());
    for name in ["NOTES.md", "Cargo.toml", "socket"] {
        assert!(said.stderr.contains(name), "{name}: {said:?}");
    }
    assert!(!said.stderr.contains(first) && !said.stderr.contains("kept.rs"), "{said:?}");
    let specs = project.repo().join("specs");
    let folder = specs.join("limit-how-many-links-an-api-key-may-create-2");
    assert!(folder.join("design.md").is_file());
    pipe(&project.repo().join("README.md"));
    completes(&project, "builtin");
}

#[test]
fn files_without_end_are_left_out() {
    let project = Project::new();
    let first = crate::support::Agent::answer("explore")["explored_files"][0].clone();
    fs::write(project.repo().join("tracked.bin"), "").unwrap();
    project.git(&["add", "-A"]);
    for name in ["tracked.bin", "untracked.bin", ".git/index", ".git/shallow"] {
        let file = File::create(project.repo().join(name)).unwrap();
        file.set_len(1 << 40).unwrap();
        if name.starts_with(".git/") {
            let (said, kib) = run(&project, &project.agent.line());
            assert_ne!(said.code(), 0, "{said:?}");
            assert!(kib < MAX_KIB, "{name}: {kib} KiB");
            fs::remove_file(project.repo().join(name)).unwrap();
            continue;
        }
        let said = completes(&project, &project.agent.line());
        assert!(said.stderr.contains(name), "{said:?}");
        assert!(!said.stderr.contains(first.as_str().unwrap()), "{said:?}");
    }
}

#[test]
fn folders_without_bottom_are_read_as_far_as_they_have_names() {
    let project = Project::new();
    let deep = "d".repeat(200);
    let script = format!(
        "i=0; while [ $i -lt 60 ]; do mkdir {deep} && cd {deep} && : > f.rs && i=$((i+1)) \
         || exit 1; done"
    );
    let made = Command::new("/bin/bash").args(["-c", &script]).current_dir(project.repo()).status();
    assert!(made.unwrap().success());
    completes(&project, &project.agent.line());
    completes(&project, "builtin");
    let removed = Command::new("rm").arg("-rf").arg(project.repo().join(deep)).status();
    assert!(removed.unwrap().success());
}
