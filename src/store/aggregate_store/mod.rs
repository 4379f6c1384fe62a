//! Aggregates on the event log: loads their state and commits what was decided. Holds nothing that
//! the log does not: the cache and the snapshots may be dropped at any time.

mod commit;
mod cqrs;
mod error;
mod load;
mod mac;
mod replayed;

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use specline_aggregates::EventSourced;
use uuid::Uuid;

use super::recent::Recent;
use super::{EventLog, StreamHead, StreamId};

pub use commit::{Commit, Committed};
pub use cqrs::Context;
pub use error::{Place, StoreError};
pub use mac::SnapshotKey;
pub use replayed::{SnapshotReport, check_snapshots};

/// A snapshot is saved each time that a stream passes a multiple of this: a load then reads a
/// quarter of a page of events at most, which costs less than a fsync.
pub const SNAPSHOT_EVERY: u64 = 256;

/// How much the hot cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    pub max_entries: usize,
    /// A state counts as its JSON when it was last saved as a snapshot, and the events since.
    pub max_bytes: usize,
}

impl Default for CacheLimits {
    /// Below the memory promised for 10,000 specs, and above what one engine works on at a time.
    fn default() -> Self {
        Self { max_entries: 4_096, max_bytes: 64 * 1024 * 1024 }
    }
}

/// An aggregate's state and the end of the stream that it reflects.
#[derive(Debug)]
pub struct Loaded<A> {
    pub id: Uuid,
    pub state: Arc<A>,
    /// None: the stream has no events, and the state is the default one.
    pub head: Option<StreamHead>,
    /// What the state counts as in the cache.
    bytes: usize,
}

impl<A> Clone for Loaded<A> {
    fn clone(&self) -> Self {
        let Self { id, state, head, bytes } = self;
        Self { id: *id, state: Arc::clone(state), head: *head, bytes: *bytes }
    }
}

impl<A> Loaded<A> {
    /// The stream's last sequence number; 0 when it has no events.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.head.map_or(0, |head| head.version)
    }
}

/// The aggregates of one type. Cheap to share behind an `Arc`; correct beside any other writer of
/// the log, since every append names the head that it was decided on.
pub struct AggregateStore<A> {
    log: Arc<dyn EventLog>,
    cache: Mutex<Recent<Uuid, Loaded<A>>>,
    /// None: snapshots are neither read nor written.
    key: Option<SnapshotKey>,
    /// Snapshots that were not believed.
    n_ignored: AtomicU64,
    of: PhantomData<fn() -> A>,
}

impl<A> fmt::Debug for AggregateStore<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateStore").field("log", &self.log).finish_non_exhaustive()
    }
}

impl<A: EventSourced> AggregateStore<A> {
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self::with_limits(log, CacheLimits::default())
    }

    #[must_use]
    pub fn with_limits(log: Arc<dyn EventLog>, limits: CacheLimits) -> Self {
        let cache = Mutex::new(Recent::new(limits.max_entries, limits.max_bytes));
        Self { log, cache, key: None, n_ignored: AtomicU64::new(0), of: PhantomData }
    }

    /// The same, with snapshots under this key.
    #[must_use]
    pub fn with_snapshots(mut self, key: SnapshotKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Snapshots that were not believed so far: somebody else put them there, or another key made
    /// their codes.
    pub fn n_ignored_snapshots(&self) -> u64 {
        self.n_ignored.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// Drops the cached state of one aggregate.
    pub fn forget(&self, id: Uuid) {
        self.cached().remove(&id);
    }

    fn stream(id: Uuid) -> StreamId {
        StreamId { aggregate_type: A::TYPE.to_owned(), aggregate_id: id }
    }

    fn cached(&self) -> MutexGuard<'_, Recent<Uuid, Loaded<A>>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unless a later state is there: a slow load must not hide a commit that overtook it.
    fn remember(&self, loaded: &Loaded<A>) {
        let mut cache = self.cached();
        let known = cache.get(&loaded.id).map_or(0, Loaded::version);
        if loaded.version() > known {
            cache.insert(loaded.id, loaded.clone(), loaded.bytes);
        }
    }
}
