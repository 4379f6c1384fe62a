//! The provider `process` as the engine sees it.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::Signal;
use specline_aggregates::SandboxId;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::folder::Folder;
use super::options::Options;
use super::orders::Record;
use super::shelf;
use super::start::start;
use super::watch::{self, Watched};
use super::{judge, reap, tree};
use crate::program::Ended;
use crate::sandbox::files::private_folder;
use crate::sandbox::provider::{
    Adopted, EXITS, Exited, Handle, Listed, OrderError, Outbox, ProgramError, ProgramRequest,
    Provider, SpawnError, SpawnRequest,
};
use crate::sandbox::snapshot::{SnapshotError, Snapshots};

/// What a supervisor needs to end itself, beyond the time that it gives its processes.
const END_MARGIN: Duration = Duration::from_secs(7);

/// Sandboxes as process trees on this machine.
pub struct LocalMachine {
    options: Arc<Options>,
    snapshots: Snapshots,
    watched: Watched,
    place: String,
    exits: Mutex<Option<mpsc::Receiver<Exited>>>,
}

impl LocalMachine {
    /// Makes the folders under `options.state` where they are missing. It blocks.
    pub fn new(options: Options) -> Result<Self, SnapshotError> {
        let sandboxes = options.sandboxes();
        private_folder(&sandboxes).map_err(|source| SnapshotError::Io {
            what: "make",
            path: sandboxes,
            source,
        })?;
        let mut options = options;
        // Absolute: a supervisor and its worker stand in other folders.
        options.state = options.state.canonicalize().map_err(|source| SnapshotError::Io {
            what: "find",
            path: options.state.clone(),
            source,
        })?;
        judge::sweep(&options);
        let snapshots = Snapshots::open(&options.state)?;
        let place = shelf::place(&options.state).map_err(|source| SnapshotError::Io {
            what: "name",
            path: options.state.clone(),
            source,
        })?;
        let (report, exits) = mpsc::channel(EXITS);
        Ok(Self {
            options: Arc::new(options),
            snapshots,
            watched: Watched::new(report),
            place,
            exits: Mutex::new(Some(exits)),
        })
    }

    /// The snapshots that its sandboxes start from.
    #[must_use]
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    fn folder(&self, sandbox: SandboxId) -> Folder {
        Folder::of(&self.options.sandboxes(), sandbox)
    }

    async fn end(&self, sandbox: SandboxId, record: &Record) -> Result<(), OrderError> {
        let supervisor = record.supervisor;
        let patience = self.options.end_grace + END_MARGIN;
        for signal in [Signal::TERM, Signal::KILL] {
            supervisor.signal(signal);
            if signal == Signal::TERM {
                supervisor.signal(Signal::CONT);
            }
            let Some(fd) = supervisor.open() else { return Ok(()) };
            let gone = timeout(patience, watch::until_gone(fd)).await;
            if let Ok(gone) = gone {
                let failed = |source| OrderError::Io { what: "wait for", sandbox, source };
                return gone.map_err(failed);
            }
        }
        Err(OrderError::Lives { sandbox, pids: vec![supervisor.pid] })
    }
}

#[async_trait]
impl Provider for LocalMachine {
    fn name(&self) -> &'static str {
        "process"
    }

    fn isolation(&self) -> Option<&'static str> {
        Some(self.options.isolation.strength())
    }

    fn place(&self) -> String {
        self.place.clone()
    }

    fn announce(&self, api_url: &str) -> io::Result<()> {
        shelf::announce(&self.options.sandboxes(), api_url)
    }

    async fn spawn(&self, request: SpawnRequest) -> Result<Handle, SpawnError> {
        let (options, snapshots) = (Arc::clone(&self.options), self.snapshots.clone());
        let sandbox = request.sandbox;
        let started = blocking(move || start(&options, &snapshots, &request)).await?;
        let handle = handle(&started.record);
        self.watched.watch(self.folder(sandbox), started.record, started.child);
        Ok(handle)
    }

    async fn adopt(&self, sandbox: SandboxId, handle: &Handle) -> Result<Adopted, OrderError> {
        let record = read(sandbox, handle)?;
        let folder = self.folder(sandbox);
        if let Some(record) = living(&folder, Some(&record)) {
            let record = Record { sandbox, ..record };
            self.watched.watch(folder, record, None);
            return Ok(Adopted::Alive);
        }
        let settled = blocking(move || watch::settle(&folder, sandbox, Some(&record))).await;
        Ok(Adopted::Gone(settled))
    }

    async fn terminate(&self, sandbox: SandboxId, handle: &Handle) -> Result<(), OrderError> {
        let record = read(sandbox, handle)?;
        let folder = self.folder(sandbox);
        if let Some(living) = living(&folder, Some(&record)) {
            self.end(sandbox, &living).await?;
        }
        let left = blocking(move || {
            let now = folder.record();
            reap::orphans(&folder, Some(now.as_ref().unwrap_or(&record)))
        });
        match left.await {
            pids if pids.is_empty() => Ok(()),
            pids => Err(OrderError::Lives { sandbox, pids }),
        }
    }

    async fn run_program(&self, request: ProgramRequest) -> Result<Ended, ProgramError> {
        judge::run(&self.options, &self.snapshots, request).await
    }

    async fn remove(&self, sandbox: SandboxId, outbox: Outbox) -> Result<(), OrderError> {
        let (folder, sandboxes) = (self.folder(sandbox), self.options.sandboxes());
        blocking(move || {
            if shelf::lives(&folder) {
                return Err(OrderError::Running { sandbox });
            }
            let failed = |source| OrderError::Io { what: "clean up", sandbox, source };
            folder.free(outbox).map_err(failed)?;
            shelf::prune(&sandboxes).map_err(failed)
        })
        .await
    }

    fn exits(&self) -> Option<mpsc::Receiver<Exited>> {
        self.exits.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn list(&self) -> Result<Vec<Listed>, io::Error> {
        let sandboxes = self.options.sandboxes();
        blocking(move || shelf::list(&sandboxes)).await
    }

    async fn hand_over(&self, from: SandboxId, to: SandboxId) -> io::Result<()> {
        let (from, to) = (self.folder(from), self.folder(to));
        blocking(move || from.hand_over(&to)).await
    }
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Cancelled: the runtime is shutting down, and nobody waits for the answer.
            Err(_) => std::future::pending().await,
        },
    }
}

pub(super) fn handle(record: &Record) -> Handle {
    Handle::from_json(serde_json::to_string(record).expect("a record has string keys only"))
}

fn read(sandbox: SandboxId, handle: &Handle) -> Result<Record, OrderError> {
    let read = serde_json::from_str(handle.as_json());
    read.map_err(|source| OrderError::Handle { sandbox, source })
}

/// The sandbox's living supervisor: the one that was handed out, else the one that wrote itself
/// into the folder; in either case a process that was started to be that.
pub(super) fn living(folder: &Folder, known: Option<&Record>) -> Option<Record> {
    let boot = tree::boot();
    let candidates = known.cloned().into_iter().chain(folder.record());
    let mut seen = HashSet::new();
    candidates
        .filter(|record| record.boot == boot && seen.insert(record.supervisor))
        .find(|record| folder.supervises(record.supervisor) && record.supervisor.open().is_some())
}
