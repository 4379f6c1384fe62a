//! Loads an aggregate: from the hot cache, else from its snapshot and the events after it, else
//! from all of its events.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use futures_util::future::{MaybeDone, maybe_done};
use specline_aggregates::EventSourced;
use uuid::Uuid;

use super::mac::same;
use super::{AggregateStore, Loaded, Place, SNAPSHOT_EVERY, StoreError};
use crate::store::{EarlyEvents, LogError, Recorded, Snapshot, StreamHead, StreamId, links};

/// Events read at a time: enough to make the query's cost small, few enough that decoding them
/// holds a runtime thread for a millisecond only, and that the next are soon on their way.
const PAGE: usize = 256;

impl<A: EventSourced> AggregateStore<A> {
    /// The current state. It may lag behind what another process writes; a commit then answers
    /// `Conflict`, and drops it.
    pub async fn load(&self, id: Uuid) -> Result<Loaded<A>, StoreError> {
        if let Some(loaded) = self.cached().get(&id) {
            return Ok(loaded.clone());
        }
        let (mut loaded, replayed) = self.build(id, u64::MAX).await?;
        if replayed >= 2 * SNAPSHOT_EVERY {
            self.save_snapshot(&mut loaded).await;
        }
        self.remember(&loaded);
        Ok(loaded)
    }

    /// The state that is in memory, if any.
    pub fn peek(&self, id: Uuid) -> Option<Loaded<A>> {
        self.cached().get(&id).cloned()
    }

    /// The current state as the log has it: on a log that other processes write too, what they
    /// appended since is read.
    pub async fn load_fresh(&self, id: Uuid) -> Result<Loaded<A>, StoreError> {
        let known = self.cached().get(&id).cloned();
        let shared = self.log.capabilities().shared_claims;
        let Some(known) = known.filter(|_| shared) else { return self.load(id).await };
        let stream = Self::stream(id);
        let mut events = self.log.read_stream(&stream, known.version(), PAGE).await?;
        if events.is_empty() {
            return Ok(known);
        }
        let mut building = Building::resume(&known);
        loop {
            building.apply(&events)?;
            if events.len() < PAGE {
                break;
            }
            events = self.log.read_stream(&stream, building.version(), PAGE).await?;
        }
        let fresh = building.finish(id);
        self.remember(&fresh);
        Ok(fresh)
    }

    /// The state as it was after the event of `sequence`; the current one when the stream is
    /// shorter. Never from the cache.
    pub async fn load_at(&self, id: Uuid, sequence: u64) -> Result<Loaded<A>, StoreError> {
        Ok(self.build(id, sequence).await?.0)
    }

    /// The state after `sequence`, and how many events were read for it.
    async fn build(&self, id: Uuid, sequence: u64) -> Result<(Loaded<A>, u64), StoreError> {
        let stream = Self::stream(id);
        let mut building = self.start_from_snapshot(&stream, sequence).await?;
        let start = building.version();
        let mut read = self.page(&stream, start, sequence);
        while let Some(page) = read.take() {
            let early = page.end().await?;
            let events = early.events();
            let version = events.last().map_or(building.version(), |event| event.sequence);
            // The store reads the next events, and checks their hashes, while these are folded.
            if events.len() >= PAGE {
                read = self.page(&stream, version, sequence);
            }
            if let Some(page) = &mut read {
                page.begin().await;
            }
            let applied = building.apply(events);
            // What is not as it was written is told as that, whatever else came of it.
            early.check().await?;
            applied?;
        }
        let replayed = building.version() - start;
        Ok((building.finish(id), replayed))
    }

    /// The events after `after` and up to `sequence`; none when there can be none.
    fn page<'a>(&'a self, stream: &'a StreamId, after: u64, sequence: u64) -> Option<Reading<'a>> {
        let left = sequence.checked_sub(after).filter(|left| *left > 0)?;
        let limit = usize::try_from(left).unwrap_or(PAGE).min(PAGE);
        Some(Reading(Box::pin(maybe_done(self.log.read_stream_early(stream, after, limit)))))
    }

    /// What the snapshot says, if it is one that this program reads, is not past `sequence`, and
    /// stands on the very event that the log has there. Anything else is as good as no snapshot.
    async fn start_from_snapshot(
        &self,
        stream: &StreamId,
        sequence: u64,
    ) -> Result<Building<A>, StoreError> {
        let Some(key) = &self.key else { return Ok(Building::empty()) };
        let Some(snapshot) = self.log.load_snapshot(stream).await? else {
            return Ok(Building::empty());
        };
        let code = key.code(stream, snapshot.head, (snapshot.format, &snapshot.state));
        if !snapshot.mac.as_ref().is_some_and(|mac| same(mac, &code)) {
            self.ignore(stream, &snapshot).await;
            return Ok(Building::empty());
        }
        let version = snapshot.head.version;
        if snapshot.format != A::snapshot_format() || version > sequence || version == 0 {
            return Ok(Building::empty());
        }
        let at = self.log.read_stream(stream, version - 1, 1).await?;
        let stands = at.first().is_some_and(|event| event.hash == snapshot.head.hash);
        let built = if stands { Building::restore(&snapshot) } else { None };
        if built.is_none() {
            tracing::warn!(%stream, version, "a snapshot that does not fit its stream is ignored");
        }
        Ok(built.unwrap_or_else(Building::empty))
    }

    /// Takes a snapshot away that is not believed, so that it stands in the way of no other.
    async fn ignore(&self, stream: &StreamId, snapshot: &Snapshot) {
        let n = self.n_ignored.fetch_add(1, Ordering::Relaxed);
        // Before there were codes there were none: that is no cause for alarm.
        if snapshot.mac.is_some() && n == 0 {
            tracing::warn!(%stream, "a snapshot's code is wrong; the state is replayed from the                 log, and more such snapshots are not told");
        }
        if let Err(error) = self.log.drop_snapshot(stream).await {
            tracing::debug!(%stream, cause = %error, "a snapshot that is ignored stays");
        }
    }
}

/// Events that are asked for, and may be there already.
struct Reading<'a>(Pin<Box<MaybeDone<Page<'a>>>>);

type Page<'a> = Pin<Box<dyn Future<Output = Result<EarlyEvents, LogError>> + Send + 'a>>;

impl Reading<'_> {
    /// Lets the store begin, and does not wait for it.
    async fn begin(&mut self) {
        poll_fn(|context| Poll::Ready(self.0.as_mut().poll(context).is_ready())).await;
    }

    async fn end(mut self) -> Result<EarlyEvents, LogError> {
        self.0.as_mut().await;
        self.0.as_mut().take_output().expect("it is taken once, when it has ended")
    }
}

/// A state on its way up.
struct Building<A> {
    state: A,
    head: Option<StreamHead>,
    bytes: usize,
}

impl<A: EventSourced> Building<A> {
    fn empty() -> Self {
        Self { state: A::default(), head: None, bytes: 0 }
    }

    fn restore(snapshot: &Snapshot) -> Option<Self> {
        let state = serde_json::from_str(&snapshot.state).ok()?;
        Some(Self { state, head: Some(snapshot.head), bytes: snapshot.state.len() })
    }

    fn resume(loaded: &Loaded<A>) -> Self {
        Self { state: A::clone(&loaded.state), head: loaded.head, bytes: loaded.bytes }
    }

    fn version(&self) -> u64 {
        self.head.map_or(0, |head| head.version)
    }

    /// Goes on with events that the log finds to be linked to each other, and the first of a stream
    /// to its beginning; here the first is to be linked to this very state as well.
    fn apply(&mut self, events: &[Recorded]) -> Result<(), StoreError> {
        if let (Some(first), Some(head)) = (events.first(), self.head) {
            links::check(first, &head.hash)?;
        }
        for event in events {
            let decoded = A::decode(&event.event_type, &event.event_version, &event.payload)
                .map_err(|error| StoreError::undecodable(event, error))?;
            self.state
                .evolve(&decoded)
                .map_err(|source| StoreError::DoesNotFollow { place: Place::of(event), source })?;
            self.bytes += event.payload.len();
            self.head = Some(StreamHead { version: event.sequence, hash: event.hash });
        }
        Ok(())
    }

    fn finish(self, id: Uuid) -> Loaded<A> {
        Loaded { id, state: Arc::new(self.state), head: self.head, bytes: self.bytes }
    }
}
