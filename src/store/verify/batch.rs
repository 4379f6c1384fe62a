//! Rows of the log on their way from a store to a verification: many at a time, their texts in one
//! buffer, as a text of its own for each would cost more than to check it.

use specline_aggregates::{Digest, Timestamp};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::Unreadable;
use crate::store::{Position, Recorded, StreamId};

/// A batch is full with this many bytes of texts, or rows: small enough for a processor's cache.
const MAX_BYTES: usize = 512 * 1024;
const MAX_ROWS: usize = 2_048;

/// Full batches that wait to be checked.
const WAITING: usize = 2;

/// An event as it lies in the log.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    pub position: Position,
    pub aggregate_type: &'a str,
    pub aggregate_id: Uuid,
    pub sequence: u64,
    pub event_type: &'a str,
    pub event_version: &'a str,
    pub payload: &'a str,
    pub metadata: &'a str,
    pub recorded_at: Timestamp,
    pub hash: Digest,
}

impl<'a> Row<'a> {
    #[must_use]
    pub fn of(event: &'a Recorded) -> Self {
        Self {
            position: event.position,
            aggregate_type: &event.stream.aggregate_type,
            aggregate_id: event.stream.aggregate_id,
            sequence: event.sequence,
            event_type: &event.event_type,
            event_version: &event.event_version,
            payload: &event.payload,
            metadata: &event.metadata,
            recorded_at: event.recorded_at,
            hash: event.hash,
        }
    }

    #[must_use]
    pub fn stream(&self) -> StreamId {
        let Self { aggregate_type, aggregate_id, .. } = *self;
        StreamId { aggregate_type: aggregate_type.to_owned(), aggregate_id }
    }

    /// Which event it is, without what it says.
    pub(super) fn key(&self) -> Recorded {
        Recorded {
            position: self.position,
            stream: self.stream(),
            sequence: self.sequence,
            event_type: self.event_type.to_owned(),
            event_version: self.event_version.to_owned(),
            payload: String::new(),
            metadata: String::new(),
            recorded_at: self.recorded_at,
            hash: self.hash,
        }
    }
}

/// Rows in the order of the log; behind one that cannot be read there is none.
#[derive(Debug, Default)]
pub struct Batch {
    texts: String,
    rows: Vec<Slot>,
    broken: Option<Unreadable>,
}

/// A row, with the ends of its five texts.
#[derive(Debug)]
struct Slot {
    position: Position,
    aggregate_id: Uuid,
    sequence: u64,
    recorded_at: Timestamp,
    hash: Digest,
    begin: usize,
    ends: [usize; 5],
}

impl Batch {
    pub fn push(&mut self, row: Row<'_>) {
        let begin = self.texts.len();
        let texts =
            [row.aggregate_type, row.event_type, row.event_version, row.payload, row.metadata];
        let ends = texts.map(|text| {
            self.texts.push_str(text);
            self.texts.len()
        });
        let Row { position, aggregate_id, sequence, recorded_at, hash, .. } = row;
        self.rows.push(Slot { position, aggregate_id, sequence, recorded_at, hash, begin, ends });
    }

    /// Ends it with a row that cannot be read.
    pub fn break_off(&mut self, row: Unreadable) {
        self.broken = Some(row);
    }

    #[must_use]
    pub fn is_full(&self) -> bool {
        self.broken.is_some() || self.texts.len() >= MAX_BYTES || self.rows.len() >= MAX_ROWS
    }

    /// The last position whose row can be read; none where there is no row behind it at all.
    #[must_use]
    pub fn last(&self) -> Option<Position> {
        self.rows.last().filter(|_| self.broken.is_none()).map(|row| row.position)
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.broken.is_none()
    }

    pub(super) const fn broken(&self) -> Option<&Unreadable> {
        self.broken.as_ref()
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn row(&self, index: usize) -> Row<'_> {
        let slot = &self.rows[index];
        let [kind, event, version, payload, metadata] = slot.ends;
        Row {
            position: slot.position,
            aggregate_type: &self.texts[slot.begin..kind],
            aggregate_id: slot.aggregate_id,
            sequence: slot.sequence,
            event_type: &self.texts[kind..event],
            event_version: &self.texts[event..version],
            payload: &self.texts[version..payload],
            metadata: &self.texts[payload..metadata],
            recorded_at: slot.recorded_at,
            hash: slot.hash,
        }
    }
}

/// Where a store puts the rows that it reads. It waits while the rows before are being checked.
#[derive(Debug)]
pub struct Sink(mpsc::Sender<Batch>);

impl Sink {
    /// False: no more is wanted.
    pub async fn put(&self, batch: Batch) -> bool {
        batch.is_empty() || self.0.send(batch).await.is_ok()
    }
}

pub(super) fn channel() -> (Sink, mpsc::Receiver<Batch>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Sink(sender), receiver)
}
