//! Named points where a test can have the process killed, to see what a crash just there leaves.
//! Inert unless `SPECLINE_CRASH_AT` is set to `NAME` or `NAME=FILE`. With a file, the crash happens
//! once: the file is made first, and a process that finds it goes on.

/// The variable that names the point.
pub const VARIABLE: &str = "SPECLINE_CRASH_AT";

/// Kills this process with SIGKILL if this is the named point.
pub fn reach(name: &str) {
    let Ok(wanted) = std::env::var(VARIABLE) else { return };
    let (point, once) = match wanted.split_once('=') {
        Some((point, file)) => (point, Some(file)),
        None => (wanted.as_str(), None),
    };
    if point != name {
        return;
    }
    if let Some(file) = once
        && std::fs::OpenOptions::new().write(true).create_new(true).open(file).is_err()
    {
        return;
    }
    let me = rustix::process::getpid();
    // SIGKILL: nothing is flushed and nothing is cleaned up, as when the machine dies.
    let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
}
