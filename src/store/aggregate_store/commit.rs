//! Commits what was decided on a loaded aggregate.

use std::collections::BTreeMap;
use std::sync::Arc;

use cqrs_es::DomainEvent;
use specline_aggregates::EventSourced;

use super::{AggregateStore, Loaded, SNAPSHOT_EVERY, StoreError};
use crate::store::{Append, Appended, Blob, Expected, Key, NewEvent, Snapshot, StreamId};

/// What a command decided. Without events it only records its key and its blobs.
#[derive(Debug)]
pub struct Commit<E> {
    pub events: Vec<E>,
    pub metadata: BTreeMap<String, String>,
    pub key: Option<Key>,
    pub blobs: Vec<Blob>,
}

impl<E> Commit<E> {
    #[must_use]
    pub const fn new(events: Vec<E>) -> Self {
        Self { events, metadata: BTreeMap::new(), key: None, blobs: Vec::new() }
    }
}

/// What a commit did, and the state after it.
#[derive(Debug)]
pub struct Committed<A> {
    pub state: Arc<A>,
    pub appended: Appended,
}

impl<A: EventSourced> AggregateStore<A> {
    /// Appends the events behind `loaded`, durably, or writes nothing and says why. On a conflict
    /// the cached state is dropped: load and decide again. A repeat of a key writes nothing, and
    /// answers with the first result and the state as it is now.
    pub async fn commit(
        &self,
        loaded: Loaded<A>,
        commit: Commit<A::Event>,
    ) -> Result<Committed<A>, StoreError> {
        let stream = Self::stream(loaded.id);
        let metadata = to_json(&stream, &commit.metadata)?;
        let events = serialise::<A>(&stream, &commit.events, &metadata)?;
        let before = loaded.version();
        let expected = loaded.head.map_or(Expected::NoStream, Expected::Exact);
        let mut next = self.evolve(&stream, loaded, &commit.events)?;
        next.bytes += events.iter().map(|event| event.payload.len()).sum::<usize>();
        let Commit { key, blobs, .. } = commit;
        let append = Append { stream, expected, events, key, blobs };
        let appended = self.log.append(append).await.inspect_err(|_| self.forget(next.id))?;
        if appended.repeated {
            self.forget(next.id);
            let state = self.load(next.id).await?.state;
            return Ok(Committed { state, appended });
        }
        next.head = (appended.head.version > 0).then_some(appended.head);
        if next.version() / SNAPSHOT_EVERY > before / SNAPSHOT_EVERY {
            self.save_snapshot(&mut next).await;
        }
        self.remember(&next);
        Ok(Committed { state: next.state, appended })
    }

    /// The state after `events`, before they are written. The state leaves the cache, so that the
    /// change is made in place when nobody else holds it; if the append then fails, the next load
    /// reads it again.
    fn evolve(
        &self,
        stream: &StreamId,
        mut loaded: Loaded<A>,
        events: &[A::Event],
    ) -> Result<Loaded<A>, StoreError> {
        if events.is_empty() {
            return Ok(loaded);
        }
        self.forget(loaded.id);
        let state = Arc::make_mut(&mut loaded.state);
        for event in events {
            state
                .evolve(event)
                .map_err(|source| StoreError::Illegal { stream: stream.clone(), source })?;
        }
        Ok(loaded)
    }

    /// Best effort: without it the next load only reads more. It also tells the state's true size.
    pub(super) async fn save_snapshot(&self, loaded: &mut Loaded<A>) {
        let (Some(head), Some(key)) = (loaded.head, &self.key) else { return };
        let stream = Self::stream(loaded.id);
        let state = match to_json(&stream, &*loaded.state) {
            Ok(state) => state,
            Err(error) => {
                tracing::error!(%stream, cause = %error, "a state has no JSON form");
                return;
            }
        };
        loaded.bytes = state.len();
        let format = A::snapshot_format();
        let mac = Some(key.code(&stream, head, (format, &state)));
        let snapshot = Snapshot { head, format, state, mac };
        if let Err(error) = self.log.save_snapshot(&stream, snapshot).await {
            tracing::debug!(%stream, cause = %error, "a snapshot was not saved");
        }
    }
}

fn serialise<A: EventSourced>(
    stream: &StreamId,
    events: &[A::Event],
    metadata: &str,
) -> Result<Vec<NewEvent>, StoreError> {
    let new_event = |event: &A::Event| {
        Ok(NewEvent {
            event_type: event.event_type(),
            event_version: event.event_version(),
            payload: to_json(stream, event)?,
            metadata: metadata.to_owned(),
        })
    };
    events.iter().map(new_event).collect()
}

pub(super) fn to_json(
    stream: &StreamId,
    value: &impl serde::Serialize,
) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::NotSerialisable {
        stream: stream.clone(),
        cause: error.to_string(),
    })
}
