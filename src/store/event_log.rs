//! The event log as a trait, and the values that go in and out of it. What each promise means is
//! checked on every backend by `tests/it/store_conformance`. Nothing here knows a database.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use specline_aggregates::{Digest, Timestamp};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::Clock;
use super::audit::Audit;
use crate::metrics::Histogram;

/// Place of an event in the whole log: from 1, rising, never reused. 0 = before the first.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One aggregate's stream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// `Spec`, `Task` or `Ticket`: the `TYPE` of the aggregate.
    pub aggregate_type: String,
    pub aggregate_id: Uuid,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.aggregate_type, self.aggregate_id)
    }
}

/// The end of a stream: its last sequence number and that event's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamHead {
    pub version: u64,
    pub hash: Digest,
}

/// What an append expects of its stream. Both parts of `Exact` are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    NoStream,
    Exact(StreamHead),
}

/// An event on its way into the log. `payload` and `metadata` are JSON, stored byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub event_type: String,
    pub event_version: String,
    pub payload: String,
    pub metadata: String,
}

/// An idempotency key, scoped to the stream it is used on, with the digest of the request that it
/// stands for and the answer that repeats shall get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub key: String,
    pub request: Digest,
    /// Short text that the caller wants back on a repeat (an answer code, or small JSON).
    pub answer: String,
}

/// Bytes kept under their digest, written in the same transaction as the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    pub digest: Digest,
    pub bytes: Vec<u8>,
}

/// One atomic append to one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    pub stream: StreamId,
    pub expected: Expected,
    pub events: Vec<NewEvent>,
    pub key: Option<Key>,
    pub blobs: Vec<Blob>,
}

/// What an append did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Position of the last event of the append.
    pub position: Position,
    pub head: StreamHead,
    pub recorded_at: Timestamp,
    /// The key was already there: nothing was written, and this is the first append's result.
    pub repeated: bool,
    /// The key's stored answer; empty without a key.
    pub answer: String,
}

/// What is stored under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    pub request: Digest,
    pub position: Position,
    pub version: u64,
    pub answer: String,
}

/// An event as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub position: Position,
    pub stream: StreamId,
    pub sequence: u64,
    pub event_type: String,
    pub event_version: String,
    pub payload: String,
    pub metadata: String,
    pub recorded_at: Timestamp,
    pub hash: Digest,
}

/// A cached state of an aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub head: StreamHead,
    /// `EventSourced::snapshot_format` of the program that wrote it.
    pub format: u32,
    pub state: String,
    /// Made over all of it with a key that is not in the log's tables. None: an earlier version
    /// wrote it.
    pub mac: Option<Digest>,
}

/// Which log this is. Cursors name both parts; a cursor of another log is worthless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogIdentity {
    pub log_id: Uuid,
    /// Raised when the log is restored from a backup.
    pub incarnation: u32,
}

/// What a backend can and cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    pub max_event_bytes: usize,
    /// Positions have no gaps.
    pub dense_positions: bool,
    /// Several nodes may claim work in this store.
    pub shared_claims: bool,
}

/// Why the log did not do what was asked. There are three kinds, and a caller handles
/// each its way: decide again (`Conflict`), try again (`Transient`), stop (`Corrupt`). `KeyReused`
/// and `TooLarge` are mistakes of the caller.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The stream is not where the append expected it: decide again on its new state.
    #[error("{stream} is at version {actual}, not where this append expected it")]
    Conflict { stream: StreamId, actual: u64 },
    /// The idempotency key stands for another request. Nothing was written.
    #[error("the idempotency key {key:?} was used for another request")]
    KeyReused { key: String },
    /// More bytes than the store takes at once. Nothing was written, and trying again won't help.
    #[error("{what} has {bytes} bytes; the log takes at most {max}")]
    TooLarge { what: String, bytes: usize, max: usize },
    /// Try again later: busy, disk full, connection lost. Nothing was acknowledged.
    #[error("the log cannot be used right now: {cause}")]
    Transient { cause: String },
    /// The log is damaged, or was changed by something else. Stop.
    #[error("the log is corrupt at {place}: {cause}")]
    Corrupt { place: String, cause: String },
}

/// The append-only log of events.
///
/// Durable: when `append` returns `Ok`, its events survive power loss. A crash before that leaves
/// either all of its events or none. Idempotent: an append whose key is known writes nothing and
/// returns the first result. Ordered: once a reader has seen position p, nothing at or below p
/// appears later.
#[async_trait]
pub trait EventLog: Send + Sync + fmt::Debug {
    fn identity(&self) -> LogIdentity;

    fn capabilities(&self) -> Capabilities;

    /// The position of the last event, kept current by every append that this process sees.
    fn watch_head(&self) -> watch::Receiver<Position>;

    /// The log's time, which `recorded_at`, leases and timers go by. It never goes back, and goes
    /// on as fast as ever from an event that was written while a clock was ahead.
    async fn now(&self) -> Result<Timestamp, LogError>;

    /// The machine's own time: what people mean when they say until when a key is good.
    fn wall_clock(&self) -> Timestamp {
        Clock::system().now()
    }

    /// By how much the log's time is ahead of the clock that it goes by.
    fn ahead_ms(&self) -> u64 {
        0
    }

    async fn append(&self, append: Append) -> Result<Appended, LogError>;

    /// Resolves when what writes for this handle has died, and nothing can be appended any more.
    async fn writer_died(&self) {
        std::future::pending::<()>().await;
    }

    /// At most `limit` events of one stream after sequence `after`, in order. A gap is `Corrupt`.
    async fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError>;

    /// The same, given out while they may still be checked against their hashes.
    async fn read_stream_early(
        &self,
        stream: &StreamId,
        after: u64,
        limit: usize,
    ) -> Result<EarlyEvents, LogError> {
        Ok(EarlyEvents::checked_already(self.read_stream(stream, after, limit).await?))
    }

    /// At most `limit` events of the whole log after position `after`, in order.
    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, LogError>;

    async fn stream_head(&self, stream: &StreamId) -> Result<Option<StreamHead>, LogError>;

    /// Looks up an idempotency key, before a command is decided.
    async fn find_key(&self, aggregate_id: Uuid, key: &str) -> Result<Option<KeyRecord>, LogError>;

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, LogError>;

    /// At most `limit` snapshots behind that of the stream `after`, in the order of their streams.
    async fn snapshots(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Snapshot)>, LogError>;

    /// Forgets the stream's snapshot.
    async fn drop_snapshot(&self, stream: &StreamId) -> Result<(), LogError>;

    /// Replaces the stream's snapshot, unless a later one is there.
    async fn save_snapshot(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), LogError>;

    async fn put_blob(&self, blob: Blob) -> Result<(), LogError>;

    /// The bytes under `digest`, checked against it: other bytes are `Corrupt`.
    async fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, LogError>;

    /// Questions about the whole log, and its seals. None of a log that is in memory only.
    fn audit(&self) -> Option<&dyn Audit> {
        None
    }

    /// How many writes shared each transaction of this process's writer, where it has one.
    fn batches(&self) -> Option<&Histogram> {
        None
    }
}

/// Events that may still be checked: folding them can begin, and what comes of it counts when
/// [`check`](Self::check) has said that they are as they were written.
#[derive(Debug)]
pub struct EarlyEvents {
    events: Arc<Vec<Recorded>>,
    check: Option<oneshot::Receiver<Result<(), LogError>>>,
}

impl EarlyEvents {
    fn checked_already(events: Vec<Recorded>) -> Self {
        Self { events: Arc::new(events), check: None }
    }

    pub(super) const fn new(
        events: Arc<Vec<Recorded>>,
        check: oneshot::Receiver<Result<(), LogError>>,
    ) -> Self {
        Self { events, check: Some(check) }
    }

    #[must_use]
    pub fn events(&self) -> &[Recorded] {
        &self.events
    }

    pub async fn check(self) -> Result<(), LogError> {
        let Some(check) = self.check else { return Ok(()) };
        let broken_off = || LogError::Transient { cause: "a check was broken off".to_owned() };
        check.await.unwrap_or_else(|_| Err(broken_off()))
    }
}
