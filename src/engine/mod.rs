//! The engine: the commands of a log, and the duties that act on its events. `Engine` is a cheap
//! handle; the duties run until it is stopped. Every effect can be repeated: a duty that acts twice
//! changes nothing the second time.

mod access;
mod allowance;
mod assignment;
pub mod audit;
pub mod backtest;
mod diff;
mod duties;
mod envelope;
mod error;
mod evaluator;
mod execute;
mod export;
mod health;
mod heartbeats;
mod history;
mod judging;
mod jumps;
mod lease_plan;
mod lookup;
mod masking;
mod membership;
mod metrics;
mod notes;
mod once;
mod policy_input;
mod programs;
mod projector;
mod projects;
mod quiet;
mod reactor;
mod room;
mod sealer;
mod shortage;
mod shown;
mod spawner;
mod start;
mod syncer;
pub mod tail;
mod timers;
mod token;
mod watchdog;
mod worker_calls;

pub use access::{Minted, Owned, PREFIX, Stock};
pub use diff::Diff;
pub use error::EngineError;
pub use execute::{Asked, DraftRequest, Executed, Trust};
pub use health::{Check, ReadyBounds};
pub use history::Attempt;
pub use notes::Why;
pub use policy_input::PolicyInput;
pub use programs::{MISSING, Program, ProgramShown, Programs, ProgramsShown};
pub use projects::{NewProject, ProjectRevision};
pub use shown::{ContextShown, PhaseShown};
pub use start::{Leave, Settings, StartError, token_key};
pub use token::Token;

pub use crate::commands::{Done, Keyed};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use specline_aggregates::{Digest, Epoch, Manifest, SandboxId, SpecId};
use specline_projections::ReadModels;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::commands::Commands;
use crate::sandbox::{Provider, Snapshots};
use crate::store::recent::Recent;
use crate::store::{Beat, EventLog, Heartbeat, SideTables};

/// Manifests kept in memory: one a run that is worked on, and bytes in sum. One of 20,000 files has
/// some 3 MB.
const MAX_MANIFESTS: usize = 64;
const MAX_MANIFEST_BYTES: usize = 64 * 1024 * 1024;

/// A spec's folder is claimed for this long: until its files stand there and say whose it is.
const FOLDER_CLAIM_MS: u64 = 10 * 60_000;

/// A running engine. Clones are handles to the same one.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    /// Tells this engine process from every other.
    id: Uuid,
    log: Arc<dyn EventLog>,
    side: Arc<dyn SideTables>,
    commands: Commands,
    models: ReadModels,
    /// Position that every healthy read model has passed.
    projected: watch::Sender<u64>,
    /// Position up to which the reactor has done everything that follows.
    reacted: watch::Sender<u64>,
    provider: Arc<dyn Provider>,
    snapshots: Arc<Snapshots>,
    secret: [u8; 32],
    /// Who listens to the live end of the log.
    tail: tail::Tail,
    /// What this node has read of the access keys.
    keys: access::Known,
    /// Epochs of the sandboxes that have called; an epoch never changes.
    epochs: Mutex<BTreeMap<SandboxId, Epoch>>,
    /// Where workers reach this engine.
    api_url: String,
    /// Folders that a sandbox must not see.
    hidden: Vec<PathBuf>,
    allowances: allowance::Allowances,
    /// What this host knows by name.
    programs: Programs,
    manifests: Mutex<Recent<Digest, Arc<Manifest>>>,
    beats: mpsc::Sender<Heartbeat>,
    /// Sandboxes that the watchdog has just seen to be wanted.
    calm: Mutex<quiet::Calm>,
    /// What the last beat brought: who else works on this log, and which duties are this node's.
    peers: watch::Sender<Beat>,
    /// Wakes the watchdog: a lease was made or given up.
    leases_changed: Notify,
    /// Folders that specs were given by this process, before anything stood in them.
    folders: Mutex<BTreeMap<String, SpecId>>,
    /// Work that is under way in this process, so that it is not started twice.
    under_way: Mutex<std::collections::BTreeSet<String>>,
    /// When the log's time leapt.
    jumps: Mutex<jumps::Jumps>,
    /// How many sandboxes run here at a time.
    room: room::Room,
    health: health::Health,
    stop: CancellationToken,
    tracker: TaskTracker,
    /// Set when a duty met something that this program must not go on with.
    fatal: watch::Sender<Option<Fatal>>,
}

/// Work that is under way for as long as this lives, however it ends.
struct UnderWay {
    engine: Engine,
    key: String,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let set = &self.engine.inner.under_way;
        set.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Why an engine stopped by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fatal {
    /// The log holds an event that a newer program wrote.
    NewerPeer(String),
    /// The log is damaged.
    Corrupt(String),
    /// A duty, or the log's writer, has ended before it was told to.
    Ended(&'static str),
}

impl Engine {
    #[must_use]
    pub fn commands(&self) -> &Commands {
        &self.inner.commands
    }

    #[must_use]
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.inner.log
    }

    #[must_use]
    pub fn side(&self) -> &Arc<dyn SideTables> {
        &self.inner.side
    }

    #[must_use]
    pub fn models(&self) -> &ReadModels {
        &self.inner.models
    }

    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.inner.api_url
    }

    /// Why the engine stopped by itself, once it has.
    #[must_use]
    pub fn fatal(&self) -> watch::Receiver<Option<Fatal>> {
        self.inner.fatal.subscribe()
    }

    /// Marks `key` as under way; none when it is already.
    fn begin(&self, key: &str) -> Option<UnderWay> {
        let mut set = self.inner.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        // Made only where it is needed: to drop one takes this lock, and the key away.
        set.insert(key.to_owned()).then(|| UnderWay { engine: self.clone(), key: key.to_owned() })
    }

    /// Gives `folder` to `spec`, for long enough to write it; false when another has it.
    async fn reserve(&self, folder: &str, spec: SpecId) -> Result<bool, EngineError> {
        if self.is_shared() {
            let key = [folder.to_owned()];
            let got = self.inner.side.claim_work(&key, spec.uuid(), FOLDER_CLAIM_MS).await?;
            return Ok(!got.is_empty());
        }
        let mut folders = self.inner.folders.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(*folders.entry(folder.to_owned()).or_insert(spec) == spec)
    }

    /// An event that only a newer program can read ends this one, wherever it is met: where nodes
    /// share the read models, another may have folded it.
    fn heed(&self, error: EngineError) -> EngineError {
        if let EngineError::Newer(cause) = &error {
            self.fail(Fatal::NewerPeer(cause.clone()));
        }
        error
    }

    fn fail(&self, fatal: Fatal) {
        self.inner.fatal.send_if_modified(|slot| {
            let first = slot.is_none();
            if first {
                *slot = Some(fatal);
            }
            first
        });
        self.inner.stop.cancel();
    }
}
