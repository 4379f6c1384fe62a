//! `SqliteLog`, and the trait `EventLog` on it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use specline_aggregates::{Digest, Timestamp};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::append::AppendJob;
use super::index::{Index, Reader};
use super::job::{Batch, Job, Task};
use super::lock::WriteLock;
use super::readers::{Readers, ended};
use super::writer::Writer;
use super::{OpenError, blobs, events, keys, open, snapshots};
use crate::metrics::Histogram;
use crate::store::audit::Audit;
use crate::store::links;
use crate::store::time::LogTime;
use crate::store::{
    Append, Appended, Blob, Capabilities, Clock, EarlyEvents, EventLog, KeyRecord, LogError,
    LogIdentity, MAX_EVENT_BYTES, Position, Recorded, Snapshot, StreamHead, StreamId,
};

/// The log in one SQLite file. Dropping it writes what is queued and closes the file.
pub struct SqliteLog {
    parts: Parts,
}

pub(super) struct Parts {
    pub(super) path: PathBuf,
    pub(super) identity: LogIdentity,
    pub(super) secret: [u8; 32],
    pub(super) time: Arc<LogTime>,
    /// Writes in each transaction that this log's writer has committed.
    pub(super) commits: Arc<Histogram>,
    pub(super) head: watch::Receiver<Position>,
    /// Of a log that is only read: moved by what its reads see.
    pub(super) seen: Option<watch::Sender<Position>>,
    /// This and the index before `writer`, for they are dropped in this order: the last connection
    /// to close folds the WAL into the file, and only the writer's may.
    pub(super) readers: Readers,
    pub(super) index: Index,
    pub(super) writer: Option<Writer>,
}

impl SqliteLog {
    /// Opens the log at `path` as its one writer, and makes it when it is not there. The folder
    /// must exist. The lock `<path>.lock` is held until the log is dropped or the process ends; one
    /// that is on its way out is waited for, up to a second.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, OpenError> {
        open::writer(path, clock, WriteLock::take_soon(path)?)
    }

    /// The same for those who can turn to the engine that holds the log: it waits for nobody.
    pub fn open_at_once(path: &Path, clock: Clock) -> Result<Self, OpenError> {
        open::writer(path, clock, WriteLock::take(path)?)
    }

    /// Opens the log at `path` for reading, with no lock, whether or not an engine writes it. Every
    /// write answers `Transient`. `watch_head` moves with what this log's own reads see.
    pub fn open_read_only(path: &Path) -> Result<Self, OpenError> {
        open::reader(path, Clock::system())
    }

    pub(super) const fn new(parts: Parts) -> Self {
        Self { parts }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.parts.path
    }

    /// Transactions committed since it was opened; each synced the write-ahead log once.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.parts.commits.count()
    }

    /// Bounds the log's file to about `bytes`, or lifts the bound: for quotas. A write that needs
    /// more answers `Transient`, as on a full disk.
    pub async fn limit_size(&self, bytes: Option<u64>) -> Result<(), LogError> {
        self.write(0, move |batch| {
            let connection = batch.connection;
            let page: u64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
            let pages = bytes.map_or(u64::from(u32::MAX - 1), |bytes| bytes.div_ceil(page));
            connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
        })
        .await
    }

    pub(super) fn index(&self) -> Reader {
        self.parts.index.reader()
    }

    pub(super) const fn secret_bytes(&self) -> [u8; 32] {
        self.parts.secret
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        self.parts.readers.run(read).await
    }

    /// Runs `work` in the writer's next transaction; `weight` is what it writes, in bytes.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        weight: usize,
        work: impl FnMut(&Batch<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let (task, answer) = Task::new(weight, work);
        self.submit(Box::new(task), answer).await
    }

    async fn submit<T>(
        &self,
        job: Box<dyn Job>,
        answer: oneshot::Receiver<Result<T, LogError>>,
    ) -> Result<T, LogError> {
        let Some(writer) = &self.parts.writer else {
            let cause = "it is open for reading only; write through its engine".to_owned();
            return Err(LogError::Transient { cause });
        };
        writer.submit(job, answer).await
    }

    /// A log that is only read learns of new events by reading them.
    fn note_seen(&self, events: &[Recorded]) {
        if let (Some(seen), Some(last)) = (&self.parts.seen, events.last()) {
            self.parts.time.saw(last.recorded_at, self.parts.time.read());
            seen.send_if_modified(|head| {
                let moved = last.position > *head;
                *head = last.position.max(*head);
                moved
            });
        }
    }
}

impl fmt::Debug for SqliteLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteLog").field("path", &self.parts.path).finish_non_exhaustive()
    }
}

#[async_trait]
impl EventLog for SqliteLog {
    fn identity(&self) -> LogIdentity {
        self.parts.identity
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_event_bytes: MAX_EVENT_BYTES,
            dense_positions: true,
            shared_claims: false,
        }
    }

    fn watch_head(&self) -> watch::Receiver<Position> {
        self.parts.head.clone()
    }

    async fn now(&self) -> Result<Timestamp, LogError> {
        Ok(self.parts.time.now())
    }

    fn wall_clock(&self) -> Timestamp {
        self.parts.time.wall()
    }

    fn ahead_ms(&self) -> u64 {
        self.parts.time.ahead_ms()
    }

    async fn writer_died(&self) {
        match &self.parts.writer {
            Some(writer) => writer.died().await,
            None => std::future::pending().await,
        }
    }

    async fn append(&self, append: Append) -> Result<Appended, LogError> {
        append.validate()?;
        let (job, answer) = AppendJob::new(append);
        let (appended, _written) = self.submit(Box::new(job), answer).await?;
        Ok(appended)
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        let stream = stream.clone();
        self.read(move |connection| events::of_stream(connection, &stream, after, limit)).await
    }

    async fn read_stream_early(
        &self,
        stream: &StreamId,
        after: u64,
        limit: usize,
    ) -> Result<EarlyEvents, LogError> {
        let stream = stream.clone();
        let (give, given) = oneshot::channel();
        let read = move |connection: &Connection| {
            let (events, before) = events::unchecked(connection, &stream, after, limit)?;
            let (say, check) = oneshot::channel();
            let events = Arc::new(events);
            drop(give.send(EarlyEvents::new(Arc::clone(&events), check)));
            drop(say.send(links::check_run(&events, before)));
            Ok(())
        };
        let reading = self.parts.readers.start(read).await?;
        match given.await {
            Ok(events) => Ok(events),
            // It ended before it had any.
            Err(_) => Err(ended(reading).await.err().unwrap_or(LogError::Transient {
                cause: "a read of the log was broken off".to_owned(),
            })),
        }
    }

    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, LogError> {
        let events = self.read(move |connection| events::of_log(connection, after, limit)).await?;
        self.note_seen(&events);
        Ok(events)
    }

    async fn stream_head(&self, stream: &StreamId) -> Result<Option<StreamHead>, LogError> {
        let stream = stream.clone();
        self.read(move |connection| {
            events::head(connection, &stream).map_err(super::error::log_error)
        })
        .await
    }

    async fn find_key(&self, aggregate_id: Uuid, key: &str) -> Result<Option<KeyRecord>, LogError> {
        let key = key.to_owned();
        self.read(move |connection| keys::record(connection, &aggregate_id, &key)).await
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, LogError> {
        let stream = stream.clone();
        self.read(move |connection| snapshots::load(connection, &stream)).await
    }

    async fn snapshots(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Snapshot)>, LogError> {
        let after = after.cloned();
        self.read(move |connection| snapshots::page(connection, after.as_ref(), limit)).await
    }

    async fn drop_snapshot(&self, stream: &StreamId) -> Result<(), LogError> {
        let stream = stream.clone();
        self.write(0, move |batch| snapshots::forget(batch.connection, &stream)).await
    }

    async fn save_snapshot(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), LogError> {
        let stream = stream.clone();
        let weight = snapshot.state.len();
        self.write(weight, move |batch| snapshots::save(batch.connection, &stream, &snapshot)).await
    }

    async fn put_blob(&self, blob: Blob) -> Result<(), LogError> {
        blob.validate()?;
        let weight = blob.bytes.len();
        self.write(weight, move |batch| blobs::put(batch.connection, &blob)).await
    }

    fn audit(&self) -> Option<&dyn Audit> {
        Some(self)
    }

    fn batches(&self) -> Option<&Histogram> {
        self.parts.writer.as_ref().map(|_| &*self.parts.commits)
    }

    async fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, LogError> {
        let digest = *digest;
        self.read(move |connection| blobs::get(connection, &digest)).await
    }
}
