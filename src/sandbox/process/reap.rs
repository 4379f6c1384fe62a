//! Ending processes until none is left.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, WaitOptions, getpid, wait};

use super::folder::Folder;
use super::orders::Record;
use super::tree::{self, Identity, Process};

/// Between two looks at the process table.
const PAUSE: Duration = Duration::from_millis(5);

/// A process that SIGKILL does not end within this hangs in the kernel.
const HOPELESS: Duration = Duration::from_secs(5);

/// Asks each process that `find` finds to end, kills what is left after `grace`, and returns what
/// cannot be ended. `find` is asked again until it finds none, so that what is forked meanwhile is
/// found too.
pub(super) fn end(
    mut find: impl FnMut() -> Vec<Process>,
    may_ask: impl Fn(&Process) -> bool,
    grace: Duration,
) -> Vec<i32> {
    let start = Instant::now();
    let mut asked = HashSet::new();
    loop {
        let left = find();
        if left.is_empty() {
            return Vec::new();
        }
        let is_late = start.elapsed() >= grace;
        if start.elapsed() >= grace + HOPELESS {
            return left.iter().map(|process| process.identity.pid).collect();
        }
        for process in &left {
            if is_late {
                process.identity.signal(Signal::KILL);
            } else if may_ask(process) && asked.insert(process.identity) {
                process.identity.signal(Signal::TERM);
                // A stopped process acts on it only once it goes on.
                process.identity.signal(Signal::CONT);
            }
        }
        thread::sleep(PAUSE);
    }
}

/// Ends everything below this process, which must be a subreaper, and waits for it.
pub(crate) fn end_descendants(grace: Duration) {
    let me = getpid().as_raw_nonzero().get();
    let below = || {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        tree::descendants(&Process::all(), &[me])
    };
    end(below, |_| true, grace);
}

/// Kills what a dead supervisor left of a sandbox, and returns what cannot be ended. A living
/// supervisor is left alone.
pub(super) fn orphans(folder: &Folder, record: Option<&Record>) -> Vec<i32> {
    end(|| remains(folder, record), |_| false, Duration::ZERO)
}

/// Every living process of a sandbox, but for its supervisor: those below the recorded ones, those
/// in the worker's group or session, and those whose environment names its folder. Its id alone
/// would not do: another log on this machine may have a spec of the same id. Nor would a record
/// alone: it may be forged, and the processes that it names may be anybody's.
pub(super) fn remains(folder: &Folder, record: Option<&Record>) -> Vec<Process> {
    let all = Process::all();
    let known = |identity: &Identity| all.iter().any(|p| p.identity == *identity);
    let record = record.filter(|record| record.boot == tree::boot());
    let supervisor = record.map(|r| r.supervisor).filter(known).filter(|id| folder.supervises(*id));
    let worker = record.and_then(|r| r.worker).filter(known).filter(|id| folder.runs(id.pid));
    let roots: Vec<i32> = worker.iter().chain(&supervisor).map(|id| id.pid).collect();
    let below: HashSet<i32> =
        tree::descendants(&all, &roots).iter().map(|process| process.identity.pid).collect();
    let belongs = |process: &Process| {
        let pid = process.identity.pid;
        let is_worker = worker.is_some_and(|worker| process.group == worker.pid);
        is_worker || below.contains(&pid) || folder.marks(pid)
    };
    let me = std::process::id();
    let mut found: Vec<Process> = all.iter().filter(|p| p.is_alive()).copied().collect();
    found.retain(|p| {
        let spared = u32::try_from(p.identity.pid) == Ok(me) || Some(p.identity) == supervisor;
        !spared && belongs(p)
    });
    found
}
