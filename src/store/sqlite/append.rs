//! One append, run inside the writer's transaction.
//!
//! Everything is checked before the first row is written, so an append that is refused leaves
//! nothing behind and costs its neighbours nothing.

use specline_aggregates::Digest;
use tokio::sync::oneshot;

use super::job::{Batch, Job};
use super::{blobs, keys, rows};
use crate::store::chain::{GENESIS, chain_hashes};
use crate::store::{
    Append, Appended, Expected, LogError, NewEvent, Position, StreamHead, StreamId,
};

type Answer = Result<Appended, LogError>;

/// What the caller gets back: the append comes along, so that its texts are freed by the caller's
/// thread, and the one writer need not wait for the allocator.
type Reply = Result<(Appended, Append), LogError>;

pub(super) struct AppendJob {
    append: Append,
    /// The chain's hash of each event, should the stream be where the append expects it. Made by
    /// the caller's thread: the one writer has enough to do.
    hashes: Vec<Digest>,
    result: Option<Answer>,
    reply: oneshot::Sender<Reply>,
}

impl AppendJob {
    pub(super) fn new(append: Append) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, answer) = oneshot::channel();
        let hashes = chain_hashes(&append);
        (Self { append, hashes, result: None, reply }, answer)
    }
}

impl Job for AppendJob {
    fn weight(&self) -> usize {
        self.append.weight()
    }

    fn run(&mut self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        self.result = Some(append(self, batch)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), LogError>) {
        let Self { append, result, reply, .. } = *self;
        let result = outcome.and_then(|()| result.expect("an append that was committed has run"));
        // The caller may have gone; what was written stays.
        let _ = reply.send(result.map(|appended| (appended, append)));
    }
}

fn append(job: &AppendJob, batch: &mut Batch<'_>) -> rusqlite::Result<Answer> {
    let append = &job.append;
    let stream = &append.stream;
    if let Some(key) = &append.key
        && let Some(first) = keys::find(batch.connection, &stream.aggregate_id, &key.key)?
    {
        let same = first.record.request == key.request;
        let reused = || LogError::KeyReused { key: key.key.clone() };
        return Ok(if same { Ok(first.repeated()) } else { Err(reused()) });
    }
    let current = batch.head(stream)?;
    let expected = match append.expected {
        Expected::NoStream => None,
        Expected::Exact(head) => Some(head),
    };
    if current != expected {
        let actual = current.map_or(0, |head| head.version);
        return Ok(Err(LogError::Conflict { stream: stream.clone(), actual }));
    }
    write(job, current, batch).map(Ok)
}

fn write(
    AppendJob { append, hashes, .. }: &AppendJob,
    current: Option<StreamHead>,
    batch: &mut Batch<'_>,
) -> rusqlite::Result<Appended> {
    let mut head = current.unwrap_or(StreamHead { version: 0, hash: GENESIS });
    let id = rows::text(&append.stream.aggregate_id);
    for (event, hash) in append.events.iter().zip(hashes) {
        head = StreamHead { version: head.version + 1, hash: *hash };
        insert(event, (&append.stream, &id), head, batch)?;
    }
    if !append.events.is_empty() {
        batch.set_head(&append.stream, head);
    }
    for blob in &append.blobs {
        blobs::put(batch.connection, blob)?;
    }
    let mut appended = Appended {
        position: Position(batch.end.position),
        head,
        recorded_at: batch.now,
        repeated: false,
        answer: String::new(),
    };
    if let Some(key) = &append.key {
        keys::insert(batch.connection, &id, key, &appended)?;
        appended.answer.clone_from(&key.answer);
    }
    Ok(appended)
}

/// Writes one event, which becomes its stream's `head`, at the log's next position.
fn insert(
    event: &NewEvent,
    (stream, id): (&StreamId, &str),
    head: StreamHead,
    batch: &mut Batch<'_>,
) -> rusqlite::Result<()> {
    let position = batch.end.position + 1;
    let mut statement = batch.connection.prepare_cached(
        "INSERT INTO events (position, aggregate_type, aggregate_id, sequence, event_type,
             event_version, payload, metadata, recorded_at, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    statement.execute((
        rows::stored(position),
        &stream.aggregate_type,
        id,
        rows::stored(head.version),
        &event.event_type,
        &event.event_version,
        &event.payload,
        &event.metadata,
        batch.now.micros(),
        head.hash.as_bytes(),
    ))?;
    batch.end.position = position;
    batch.end.recorded_at = batch.now;
    Ok(())
}
