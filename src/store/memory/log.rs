//! `EventLog` in memory.

use async_trait::async_trait;
use specline_aggregates::{Digest, Timestamp};
use tokio::sync::watch;
use uuid::Uuid;

use super::{MemoryLog, State};
use crate::store::chain::{Content, GENESIS, chain_hash};
use crate::store::{
    Append, Appended, Blob, Capabilities, EventLog, Expected, KeyRecord, LogError, LogIdentity,
    MAX_EVENT_BYTES, NewEvent, Position, Recorded, Snapshot, StreamHead, StreamId,
};

impl State {
    fn head(&self, stream: &StreamId) -> Option<StreamHead> {
        let last = &self.events[*self.streams.get(stream)?.last()?];
        Some(StreamHead { version: last.sequence, hash: last.hash })
    }

    fn position(&self) -> Position {
        Position(self.events.len() as u64)
    }

    fn append(&mut self, append: Append, now: Timestamp) -> Result<Appended, LogError> {
        let Append { stream, expected, events, key, blobs } = append;
        let id = stream.aggregate_id;
        if let Some(key) = &key
            && let Some((known, first)) = self.keys.get(&(id, key.key.clone()))
        {
            if known.request != key.request {
                return Err(LogError::KeyReused { key: key.key.clone() });
            }
            return Ok(Appended { repeated: true, answer: known.answer.clone(), ..first.clone() });
        }
        let current = self.head(&stream);
        let expected = match expected {
            Expected::NoStream => None,
            Expected::Exact(head) => Some(head),
        };
        if current != expected {
            let actual = current.map_or(0, |head| head.version);
            return Err(LogError::Conflict { stream, actual });
        }
        let mut head = current.unwrap_or(StreamHead { version: 0, hash: GENESIS });
        for event in events {
            head = self.push(&stream, event, head, now);
        }
        self.blobs.extend(blobs.into_iter().map(|blob| (blob.digest, blob.bytes)));
        let answer = key.as_ref().map(|key| key.answer.clone()).unwrap_or_default();
        let appended =
            Appended { position: self.position(), head, recorded_at: now, repeated: false, answer };
        if let Some(key) = key {
            self.keys.insert((id, key.key.clone()), (key, appended.clone()));
        }
        Ok(appended)
    }

    fn push(
        &mut self,
        stream: &StreamId,
        event: NewEvent,
        previous: StreamHead,
        now: Timestamp,
    ) -> StreamHead {
        let NewEvent { event_type, event_version, payload, metadata } = event;
        let content = Content {
            event_type: &event_type,
            event_version: &event_version,
            payload: &payload,
            metadata: &metadata,
        };
        let sequence = previous.version + 1;
        let hash = chain_hash(&previous.hash, stream, sequence, content);
        self.streams.entry(stream.clone()).or_default().push(self.events.len());
        self.events.push(Recorded {
            position: Position(self.events.len() as u64 + 1),
            stream: stream.clone(),
            sequence,
            event_type,
            event_version,
            payload,
            metadata,
            recorded_at: now,
            hash,
        });
        StreamHead { version: sequence, hash }
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    fn identity(&self) -> LogIdentity {
        self.identity
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_event_bytes: MAX_EVENT_BYTES,
            dense_positions: true,
            shared_claims: false,
        }
    }

    fn watch_head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    async fn now(&self) -> Result<Timestamp, LogError> {
        Ok(self.time(&self.state()))
    }

    async fn append(&self, append: Append) -> Result<Appended, LogError> {
        append.validate()?;
        let mut state = self.state();
        let now = self.time(&state);
        let appended = state.append(append, now)?;
        let position = state.position();
        self.head.send_if_modified(|head| std::mem::replace(head, position) != position);
        Ok(appended)
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        let state = self.state();
        let places = state.streams.get(stream).map(Vec::as_slice).unwrap_or_default();
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        let events = places.iter().skip(after).take(limit);
        Ok(events.map(|place| state.events[*place].clone()).collect())
    }

    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, LogError> {
        let after = usize::try_from(after.0).unwrap_or(usize::MAX);
        Ok(self.state().events.iter().skip(after).take(limit).cloned().collect())
    }

    async fn stream_head(&self, stream: &StreamId) -> Result<Option<StreamHead>, LogError> {
        Ok(self.state().head(stream))
    }

    async fn find_key(&self, aggregate_id: Uuid, key: &str) -> Result<Option<KeyRecord>, LogError> {
        let state = self.state();
        let found = state.keys.get(&(aggregate_id, key.to_owned()));
        Ok(found.map(|(key, first)| KeyRecord {
            request: key.request,
            position: first.position,
            version: first.head.version,
            answer: key.answer.clone(),
        }))
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, LogError> {
        Ok(self.state().snapshots.get(stream).cloned())
    }

    async fn snapshots(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Snapshot)>, LogError> {
        let state = self.state();
        let mut all: Vec<_> =
            state.snapshots.iter().map(|(stream, one)| (stream.clone(), one.clone())).collect();
        drop(state);
        all.retain(|(stream, _)| after.is_none_or(|after| stream > after));
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all.truncate(limit);
        Ok(all)
    }

    async fn drop_snapshot(&self, stream: &StreamId) -> Result<(), LogError> {
        self.state().snapshots.remove(stream);
        Ok(())
    }

    async fn save_snapshot(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), LogError> {
        let mut state = self.state();
        let later = state
            .snapshots
            .get(stream)
            .is_some_and(|there| there.head.version > snapshot.head.version);
        if !later {
            state.snapshots.insert(stream.clone(), snapshot);
        }
        Ok(())
    }

    async fn put_blob(&self, blob: Blob) -> Result<(), LogError> {
        blob.validate()?;
        self.state().blobs.insert(blob.digest, blob.bytes);
        Ok(())
    }

    async fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.state().blobs.get(digest).cloned())
    }
}
