//! The processes that belong to a project: those whose environment or command line names its
//! folder.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// Every living process with `root` in its environment or its command line, but this one.
pub fn all(root: &Path) -> Vec<i32> {
    let me = i32::try_from(std::process::id()).unwrap_or_default();
    let holds = |pid: &i32| {
        *pid != me && is_alive(*pid) && (has(*pid, "environ", root) || has(*pid, "cmdline", root))
    };
    pids().filter(holds).collect()
}

/// Those of them that run inside a sandbox.
pub fn sandboxed(root: &Path) -> Vec<i32> {
    let inside =
        |pid: &i32| is_alive(*pid) && has(*pid, "environ", root) && sandbox(*pid).is_some();
    pids().filter(inside).collect()
}

/// The processes of `root` that run `specline worker` themselves.
pub fn workers(root: &Path) -> Vec<i32> {
    let is_worker = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        let program = words.next().unwrap_or_default();
        program.ends_with(b"specline") && words.next() == Some(b"worker")
    };
    sandboxed(root).into_iter().filter(is_worker).collect()
}

/// The token of a sandbox, as its worker has it.
pub fn token(root: &Path, id: &str) -> Option<String> {
    let inside = sandboxed(root).into_iter().find(|pid| sandbox(*pid).is_some_and(|of| of == id));
    variable(inside?, "SPECLINE_TOKEN")
}

/// Whether a process below `above` has an argument that ends with `ending`.
pub fn runs_below(above: i32, ending: &str) -> bool {
    let parent = |pid: i32| -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let is_below = |pid: i32| {
        std::iter::successors(Some(pid), |pid| parent(*pid)).take(20).any(|pid| pid == above)
    };
    let has_argument = |pid: i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word.ends_with(ending.as_bytes()))
    };
    pids().any(|pid| pid != above && has_argument(pid) && is_below(pid))
}

pub fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Neither gone nor a zombie.
pub fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X' | 'x'))
}

fn sandbox(pid: i32) -> Option<String> {
    variable(pid, "SPECLINE_SANDBOX_ID")
}

fn variable(pid: i32, name: &str) -> Option<String> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = format!("{name}=");
    let value = environ.split(|b| *b == 0).find_map(|line| line.strip_prefix(prefix.as_bytes()))?;
    String::from_utf8(value.to_vec()).ok()
}

fn has(pid: i32, file: &str, root: &Path) -> bool {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let root = root.as_os_str().as_encoded_bytes();
    bytes.windows(root.len()).any(|window| window == root)
}
