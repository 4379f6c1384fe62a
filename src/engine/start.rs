//! Starting and stopping an engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use specline_projections::{LogId, Place, ReadModels};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{
    Engine, EngineError, Inner, MAX_MANIFEST_BYTES, MAX_MANIFESTS, Programs, duties, heartbeats,
    membership, projector, reactor, watchdog,
};
use crate::commands::Commands;
use crate::private;
use crate::sandbox::{Provider, Snapshots};
use crate::store::recent::Recent;
use crate::store::{Beat, EventLog, LogError, SideTables, SnapshotKey};

/// Longest that a stop waits for duties to finish what they do. The whole stop has ten seconds.
const STOP_WAIT: Duration = Duration::from_secs(8);

/// What an engine is made of.
pub struct Settings {
    pub log: Arc<dyn EventLog>,
    pub side: Arc<dyn SideTables>,
    /// Where the read models are.
    pub read_models: Place,
    pub provider: Arc<dyn Provider>,
    pub snapshots: Snapshots,
    /// Where workers reach this engine.
    pub api_url: String,
    /// Files and folders that a sandbox must not see.
    pub hidden: Vec<PathBuf>,
    /// What this machine keeps of the tokens' secret; none where the store has all of it.
    pub host_key: Option<[u8; 32]>,
    /// What policies may choose by name.
    pub programs: Programs,
    /// Sandboxes that this node runs at a time; at least one.
    pub max_sandboxes: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the read models cannot be opened")]
    ReadModels(#[from] specline_projections::Error),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The secret of a log's tokens, of two halves: neither whoever reads the log nor whoever has this
/// machine's part alone can make one.
#[must_use]
pub fn token_key(host_key: &[u8; 32], salt: &[u8; 32]) -> [u8; 32] {
    *blake3::keyed_hash(host_key, salt).as_bytes()
}

/// Whether the sandboxes go on when the engine stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// They live on, and wait for the next engine.
    Sandboxes,
    /// They are ended; the next engine starts new ones where they were.
    Nothing,
}

/// The read models hold what the log says: they are their owner's alone, as it is. Where the file
/// cannot be made, opening it says why.
fn hide(read_models: &std::path::Path) {
    private::mend_family(read_models);
    if let Err(error) = private::create(read_models) {
        tracing::debug!(cause = %error, "the file of the read models cannot be made");
    }
}

/// Ends when the log's writer has died, and so does the engine then.
async fn watch_writer(engine: Engine) {
    tokio::select! {
        () = engine.inner.log.writer_died() => {}
        () = engine.inner.stop.cancelled() => {}
    }
}

impl Engine {
    /// An engine that answers commands; its duties do not run yet.
    pub async fn open(settings: Settings) -> Result<Self, StartError> {
        let identity = settings.log.identity();
        let log_id = LogId { log_id: identity.log_id, incarnation: identity.incarnation };
        let head = *settings.log.watch_head().borrow();
        if let Place::File(path) = &settings.read_models {
            hide(path);
        }
        let models = ReadModels::open(&settings.read_models, log_id, head.0).await?;
        let salt = settings.side.secret().await?;
        let secret = settings.host_key.map_or(salt, |key| token_key(&key, &salt));
        let snapshot_key = SnapshotKey::of_secret(&secret);
        let (beats, waiting) = mpsc::channel(heartbeats::MAX_WAITING);
        let engine = Self {
            inner: Arc::new(Inner {
                id: Uuid::now_v7(),
                commands: Commands::new(Arc::clone(&settings.log)).with_snapshots(&snapshot_key),
                secret,
                tail: super::tail::Tail::default(),
                keys: super::access::Known::default(),
                epochs: Mutex::new(BTreeMap::new()),
                log: settings.log,
                side: settings.side,
                models,
                projected: watch::Sender::new(0),
                reacted: watch::Sender::new(0),
                provider: settings.provider,
                snapshots: Arc::new(settings.snapshots),
                api_url: settings.api_url,
                hidden: settings.hidden,
                allowances: super::allowance::Allowances::default(),
                programs: settings.programs,
                manifests: Mutex::new(Recent::new(MAX_MANIFESTS, MAX_MANIFEST_BYTES)),
                beats,
                calm: Mutex::default(),
                peers: watch::Sender::new(Beat::default()),
                leases_changed: Notify::new(),
                folders: Mutex::new(BTreeMap::new()),
                under_way: Mutex::new(BTreeSet::new()),
                jumps: Mutex::default(),
                room: super::room::Room::new(settings.max_sandboxes),
                health: super::health::Health::default(),
                stop: CancellationToken::new(),
                tracker: TaskTracker::new(),
                fatal: watch::Sender::new(None),
            }),
        };
        engine.keep("heartbeats", heartbeats::run(engine.clone(), waiting));
        Ok(engine)
    }

    /// Starts the duties: first the sandboxes that outlived the last engine are taken over.
    pub async fn start(&self) -> Result<(), StartError> {
        if let Some(exits) = self.inner.provider.exits() {
            self.keep("exits", watchdog::watch_exits(self.clone(), exits));
        }
        self.beat().await?;
        self.adopt_survivors().await?;
        if self.is_shared() {
            self.keep("membership", membership::run(self.clone()));
        }
        self.keep("log", watch_writer(self.clone()));
        self.keep("projector", projector::run(self.clone()));
        self.keep("reactor", reactor::run(self.clone()));
        self.keep("sealer", super::sealer::run(self.clone()));
        self.keep("watchdog", watchdog::run(self.clone()));
        self.keep("clockwork", duties::run(self.clone()));
        Ok(())
    }

    /// Stops the duties, and ends the sandboxes or leaves them to the next engine.
    pub async fn stop(&self, leave: Leave) -> Result<(), EngineError> {
        self.inner.stop.cancel();
        self.inner.tracker.close();
        if tokio::time::timeout(STOP_WAIT, self.inner.tracker.wait()).await.is_err() {
            tracing::warn!("a duty did not stop in time; what it did not record is done again");
        }
        if leave == Leave::Nothing {
            self.end_all().await?;
        }
        // What was this node's is free for the others at once.
        Ok(self.inner.side.leave(self.inner.id).await?)
    }
}
