//! Processes, told apart so that a reused pid is not mistaken, and signalled so that none can slip
//! in between the look and the signal.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// One process of this boot of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Identity {
    pub pid: i32,
    /// Clock ticks since boot, field 22 of `/proc/<pid>/stat` (proc(5)).
    pub started: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub identity: Identity,
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    pub state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Alive,
    /// Ended, and not yet waited for.
    Zombie,
}

/// This boot of the machine: a pid and a start time mean nothing after the next.
pub(super) fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

impl Process {
    pub(super) fn find(pid: i32) -> Option<Self> {
        parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    pub(super) fn all() -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| Self::find(name.parse().ok()?)).collect()
    }

    pub(super) fn is_alive(&self) -> bool {
        self.state == State::Alive
    }
}

impl Identity {
    pub(super) fn of(pid: i32) -> Option<Self> {
        Process::find(pid).map(|process| process.identity)
    }

    /// A descriptor that stands for this very process; `None` when it has ended.
    pub(super) fn open(self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(self.pid)?;
        let fd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Opened first, looked at second: what the descriptor holds can no longer be replaced.
        let process = Process::find(self.pid)?;
        (process.identity == self && process.is_alive()).then_some(fd)
    }

    /// Ending it twice, or when it has ended, is no error.
    pub(super) fn signal(self, signal: Signal) {
        if let Some(fd) = self.open()
            && let Err(error) = pidfd_send_signal(&fd, signal)
        {
            tracing::debug!(pid = self.pid, %error, "could not signal a process");
        }
    }
}

/// The fields of `/proc/<pid>/stat`; the command in brackets may hold spaces and brackets.
fn parse(stat: &[u8]) -> Option<Process> {
    let text = String::from_utf8_lossy(stat);
    let (pid, rest) = text.split_once(" (")?;
    let (_, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<i32>().ok();
    let state = match *fields.first()? {
        "Z" | "X" | "x" => State::Zombie,
        _ => State::Alive,
    };
    Some(Process {
        identity: Identity { pid: pid.parse().ok()?, started: fields.get(19)?.parse().ok()? },
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        state,
    })
}

/// The living processes below `roots`, which are not among them.
pub(super) fn descendants(all: &[Process], roots: &[i32]) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let mut seen: HashSet<i32> = roots.iter().copied().collect();
    let mut open: Vec<i32> = roots.to_vec();
    let mut found = Vec::new();
    while let Some(pid) = open.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if seen.insert(child.identity.pid) {
                open.push(child.identity.pid);
                found.push(**child);
            }
        }
    }
    found.retain(Process::is_alive);
    found
}

/// Whether the environment that `pid` was started with has the line `NAME=value`. A process of
/// another user is none of ours, and cannot be asked.
pub(super) fn is_marked(pid: i32, marker: &str) -> bool {
    marks(pid).is_some_and(|environ| environ.split(|b| *b == 0).any(|v| v == marker.as_bytes()))
}

/// Whether `pid` was started with `word` as one of its arguments.
pub(super) fn has_argument(pid: i32, word: &Path) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    line.split(|b| *b == 0).any(|part| part == word.as_os_str().as_bytes())
}

/// The value of the variable `name` that `pid` was started with.
pub(super) fn mark_of(pid: i32, name: &str) -> Option<String> {
    let environ = marks(pid)?;
    let prefix = format!("{name}=");
    let value = environ.split(|b| *b == 0).find_map(|v| v.strip_prefix(prefix.as_bytes()))?;
    String::from_utf8(value.to_vec()).ok()
}

fn marks(pid: i32) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{pid}/environ")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_brackets_and_spaces_is_read() {
        let mut stat = b"42 (a ) (b c) S 7 8 9".to_vec();
        stat.extend(b" 0".repeat(15));
        stat.extend(b" 1234 0 0");
        let process = parse(&stat).unwrap();
        assert_eq!(process.identity, Identity { pid: 42, started: 1234 });
        assert_eq!((process.parent, process.group, process.session), (7, 8, 9));
        assert!(process.is_alive());
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let me = Identity::of(pid).unwrap();
        assert!(me.open().is_some());
        assert!(Identity { started: me.started + 1, ..me }.open().is_none());
    }

    #[test]
    fn descendants_go_through_a_zombie() {
        let process = |pid, parent, state| Process {
            identity: Identity { pid, started: 1 },
            parent,
            group: pid,
            session: pid,
            state,
        };
        let all = [
            process(2, 1, State::Alive),
            process(3, 2, State::Zombie),
            process(4, 3, State::Alive),
            process(5, 1, State::Alive),
        ];
        let found: Vec<i32> = descendants(&all, &[2]).iter().map(|p| p.identity.pid).collect();
        assert_eq!(found, [4]);
    }
}
