//! A log in memory, for unit tests only: nothing outlives it. The conformance suite holds it to the
//! same promises as the others, durability excepted.

mod log;
mod side;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use specline_aggregates::{Digest, SandboxId, Timestamp};
use tokio::sync::watch;
use uuid::Uuid;

use super::time::LogTime;
use super::{
    Appended, Clock, Key, Lease, LogIdentity, Position, Recorded, Snapshot, StreamId,
    TelemetryEntry,
};

/// An event log and its side tables in memory.
#[derive(Debug)]
pub struct MemoryLog {
    identity: LogIdentity,
    time: LogTime,
    head: watch::Sender<Position>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: Vec<Recorded>,
    /// Indices into `events`.
    streams: HashMap<StreamId, Vec<usize>>,
    keys: HashMap<(Uuid, String), (Key, Appended)>,
    snapshots: HashMap<StreamId, Snapshot>,
    blobs: HashMap<Digest, Vec<u8>>,
    leases: BTreeMap<SandboxId, Lease>,
    telemetry: HashMap<SandboxId, Vec<TelemetryEntry>>,
    cursors: HashMap<String, Position>,
    parked: BTreeMap<(String, Position), String>,
}

impl MemoryLog {
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let identity = LogIdentity { log_id: Uuid::now_v7(), incarnation: 1 };
        let (head, _) = watch::channel(Position(0));
        let time = LogTime::new(clock, Timestamp::default());
        Self { identity, time, head, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn time(&self, state: &State) -> Timestamp {
        let moment = self.time.read();
        let Some(last) = state.events.last() else { return moment.now };
        self.time.saw(last.recorded_at, moment);
        moment.now.max(last.recorded_at)
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new(Clock::system())
    }
}
