//! Named points where a test can have the process killed, to see what a crash just there leaves.
//! Inert unless `SPECLINE_CRASH_AT` is set to `NAME` or `NAME=FILE`. With a file, the crash happens
//! once: the file is made first, and a process that finds it goes on. `panic:NAME…` panics there.

use std::sync::OnceLock;

/// The variable that names the point.
pub const VARIABLE: &str = "SPECLINE_CRASH_AT";

/// Kills this process with SIGKILL, or panics, if this is the named point.
pub fn reach(name: &str) {
    static WANTED: OnceLock<Option<String>> = OnceLock::new();
    let Some(wanted) = WANTED.get_or_init(|| std::env::var(VARIABLE).ok()) else { return };
    let (panics, wanted) = match wanted.strip_prefix("panic:") {
        Some(rest) => (true, rest),
        None => (false, wanted.as_str()),
    };
    let (point, once) = match wanted.split_once('=') {
        Some((point, file)) => (point, Some(file)),
        None => (wanted, None),
    };
    if point != name {
        return;
    }
    if let Some(file) = once
        && std::fs::OpenOptions::new().write(true).create_new(true).open(file).is_err()
    {
        return;
    }
    assert!(!panics, "a test has asked for a panic at {name}");
    let me = rustix::process::getpid();
    // SIGKILL: nothing is flushed and nothing is cleaned up, as when the machine dies.
    let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
}
