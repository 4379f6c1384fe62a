//! The supervisor: a small process a sandbox that owns its process tree. It starts the worker,
//! keeps its log, and ends every descendant when the worker ends, when it is told to (SIGTERM), or
//! when the worker has had no answer from an engine for too long. It does not die with the engine.
//!
//! It must not talk to the engine after its report: what it has to say is in the folder.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{WaitOptions, WaitStatus, getpid, set_child_subreaper, setsid, wait};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::folder::Folder;
use super::log::{Log, Mask, Sink, Tail};
use super::orders::{Ending, Orders, Record, Report};
use super::tree::{self, Identity, Process};
use super::{reap, worker};
use crate::sandbox::Isolation;
use crate::sandbox::files::Lock;
use crate::sandbox::provider::{Cause, Exit};

/// The exit code of a supervisor that found another one for its folder.
pub const BUSY: u8 = 75;
/// The exit code of a supervisor that could not start its worker.
const FAILED: u8 = 70;

/// What a worker left behind has lost its purpose, and its successor waits for the report.
const LEFTOVER_GRACE: Duration = Duration::from_millis(250);

/// How long a pipe may stay open after its last writer is dead.
const DRAIN: Duration = Duration::from_secs(1);

/// The most time between two looks at the lease.
const LOOK: Duration = Duration::from_secs(1);

/// Runs the supervisor of the sandbox in `folder`, with its orders on stdin, to the sandbox's end.
/// It blocks, and must be called outside of any async runtime, on a thread that lives on.
#[must_use]
pub fn supervise(folder: &Path) -> ExitCode {
    // Away from the terminal and its Ctrl-C. It fails when it has no terminal already.
    let _ = setsid();
    let folder = Folder::new(folder.to_owned());
    match run(&folder) {
        Ok(code) => code,
        Err(message) => {
            // Into the folder's supervisor.log, for a report may come too late to be heard.
            let _ = writeln!(io::stderr(), "{message}");
            report(&Report::Failed { message });
            ExitCode::from(FAILED)
        }
    }
}

fn run(folder: &Folder) -> Result<ExitCode, String> {
    let failed = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let lock = Lock::try_take(&folder.lock()).map_err(failed("lock the folder"))?;
    let Some(_lock) = lock else {
        report(&Report::Busy);
        return Ok(ExitCode::from(BUSY));
    };
    let orders: Orders = serde_json::from_reader(io::stdin().lock())
        .map_err(|error| format!("the orders cannot be read: {error}"))?;
    set_child_subreaper(Some(getpid())).map_err(|error| format!("become a subreaper: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed("start the event loop"))?;
    runtime.block_on(watch(folder, &orders))?;
    Ok(ExitCode::SUCCESS)
}

async fn watch(folder: &Folder, orders: &Orders) -> Result<(), String> {
    let signals = Signals::new().map_err(|error| format!("listen for signals: {error}"))?;
    let log = Log::open(&folder.log(), orders.log_bytes)
        .map_err(|error| format!("open the worker's log: {error}"))?;
    // The worker has them from here; for this process they are wide.
    orders.limits.apply().map_err(|error| format!("limit the sandbox: {error}"))?;
    let child = worker::start(orders, folder)?;
    let mut tree = Tree::new(&child, &orders.isolation);
    let tail = Arc::default();
    let drained = drain(child, orders, log, &tail);
    let record = record(folder, orders, tree.worker);
    if let Err(error) = folder.write_record(&record) {
        tree.end(Duration::ZERO);
        return Err(format!("record the worker: {error}"));
    }
    report(&Report::Started(record));

    let lease = Lease::new(folder, orders.silence);
    let cause = tree.outlast(signals, lease).await;
    let left = tree.end(match cause {
        Cause::WorkerEnded => orders.end_grace.min(LEFTOVER_GRACE),
        Cause::Ordered | Cause::LeaseRanOut | Cause::SupervisorLost => orders.end_grace,
    });
    // Both streams, when nobody writes to them any more.
    let _ = drained.recv_timeout(DRAIN).and_then(|()| drained.recv_timeout(DRAIN));
    let last_lines = tail.lock().unwrap_or_else(PoisonError::into_inner).text();
    let ending = Ending { exit: tree.exit(), cause, last_lines };
    folder.write_ending(&ending).map_err(|error| format!("record the end: {error}"))?;
    if left.is_empty() { Ok(()) } else { Err(format!("processes that cannot be ended: {left:?}")) }
}

fn record(folder: &Folder, orders: &Orders, worker: i32) -> Record {
    let me = getpid().as_raw_nonzero().get();
    Record {
        sandbox: orders.sandbox,
        owner: orders.owner,
        epoch: orders.epoch,
        boot: tree::boot(),
        supervisor: Identity::of(me).unwrap_or(Identity { pid: me, started: 0 }),
        worker: Identity::of(worker),
        isolation: orders.isolation.clone(),
        folder: folder.path().to_owned(),
    }
}

/// One line on stdout. The engine may have died meanwhile; the sandbox goes on all the same.
fn report(report: &Report) {
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
    }
}

/// Keeps the worker's output; the receiver hears of the end of each of the two streams.
fn drain(mut child: Child, orders: &Orders, log: Log, tail: &Arc<Mutex<Tail>>) -> Receiver<()> {
    let secrets = orders.secrets.iter().filter_map(|name| orders.env.get(name));
    let sink = Sink { log: Arc::new(Mutex::new(log)), mask: Arc::new(Mask::new(secrets)) };
    let (done, drained) = mpsc::sync_channel(2);
    if let Some(stream) = child.stdout.take() {
        let (sink, done) = (sink.clone(), done.clone());
        thread::spawn(move || {
            sink.drain(stream, &Mutex::default());
            let _ = done.send(());
        });
    }
    if let Some(stream) = child.stderr.take() {
        let tail = Arc::clone(tail);
        thread::spawn(move || {
            sink.drain(stream, &tail);
            let _ = done.send(());
        });
    }
    drained
}

/// The process tree of the sandbox.
struct Tree {
    worker: i32,
    /// Bubblewrap's own two processes end the whole tree at once when they are asked to end.
    has_keeper: bool,
    status: Option<WaitStatus>,
}

impl Tree {
    fn new(child: &Child, isolation: &Isolation) -> Self {
        let worker = i32::try_from(child.id()).expect("a pid of Linux fits into an i32");
        let has_keeper = matches!(isolation, Isolation::Bubblewrap { .. });
        Self { worker, has_keeper, status: None }
    }

    /// Returns when there is a reason to end the sandbox.
    async fn outlast(&mut self, signals: Signals, mut lease: Lease) -> Cause {
        let Signals { mut orders, mut child } = signals;
        let mut looks = interval(LOOK.min(lease.silence / 4).max(Duration::from_millis(10)));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = any(&mut orders) => return Cause::Ordered,
                _ = child.recv() => {}
                _ = looks.tick() => if lease.has_run_out() { return Cause::LeaseRanOut },
            }
            self.collect();
            if self.status.is_some() {
                return Cause::WorkerEnded;
            }
        }
    }

    /// Ends every descendant, daemons included: as subreaper this process is above them all.
    fn end(&mut self, grace: Duration) -> Vec<i32> {
        let me = getpid().as_raw_nonzero().get();
        let (worker, has_keeper) = (self.worker, self.has_keeper);
        let is_keeper = |p: &Process| p.identity.pid == worker || p.parent == worker;
        let left = reap::end(
            || {
                self.collect();
                tree::descendants(&Process::all(), &[me])
            },
            |process| !(has_keeper && is_keeper(process)),
            grace,
        );
        self.collect();
        left
    }

    /// Waits for every child that has ended, adopted ones too.
    fn collect(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid.as_raw_nonzero().get() == self.worker {
                self.status = Some(status);
            }
        }
    }

    fn exit(&self) -> Exit {
        let Some(status) = self.status else { return Exit::Unknown };
        match (status.exit_status(), status.terminating_signal()) {
            // Bubblewrap says 128 + n for a worker that signal n ended, as a shell does.
            (Some(code @ 129..=159), _) if self.has_keeper => Exit::Signal(code - 128),
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unknown,
        }
    }
}

struct Signals {
    orders: [Signal; 3],
    child: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let hear = |kind| signal(kind);
        Ok(Self {
            orders: [
                hear(SignalKind::terminate())?,
                hear(SignalKind::interrupt())?,
                hear(SignalKind::hangup())?,
            ],
            child: hear(SignalKind::child())?,
        })
    }
}

async fn any(signals: &mut [Signal; 3]) {
    let [terminate, interrupt, hangup] = signals;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// The worker's last sign of life, on a clock that neither a suspended machine nor a changed time
/// of day moves.
struct Lease {
    path: PathBuf,
    silence: Duration,
    last: Option<SystemTime>,
    seen: Instant,
}

impl Lease {
    fn new(folder: &Folder, silence: Duration) -> Self {
        Self { path: folder.lease(), silence, last: None, seen: Instant::now() }
    }

    fn has_run_out(&mut self) -> bool {
        let touched =
            fs::symlink_metadata(&self.path).and_then(|metadata| metadata.modified()).ok();
        if touched != self.last {
            self.last = touched;
            self.seen = Instant::now();
        }
        self.seen.elapsed() > self.silence
    }
}
