//! `PgLog`, and the trait `EventLog` on it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use specline_aggregates::{Digest, Timestamp};
use specline_pg::Pool;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::adopt::{Adopter, Adoption};
use super::append::Reply;
use super::events::{self, End, Foreign};
use super::follow::{View, poll};
use super::foreign::may_be_adopted;
use super::open::{self, Settings};
use super::reading::patiently;
use super::writer::Writer;
use super::{OpenError, keys, rows, snapshots};
use crate::metrics::Histogram;
use crate::store::audit::Audit;
use crate::store::{
    Append, Appended, Blob, Capabilities, Clock, EventLog, KeyRecord, LogError, LogIdentity,
    MAX_EVENT_BYTES, Position, Recorded, Snapshot, StreamHead, StreamId,
};

/// One node's handle on the log in a PostgreSQL database.
pub struct PgLog {
    parts: Parts,
}

pub(super) struct Parts {
    /// The database, as a person knows it.
    pub(super) name: String,
    pub(super) identity: LogIdentity,
    /// None where the role may only read.
    pub(super) secret: Option<[u8; 32]>,
    pub(super) clock: Option<Clock>,
    pub(super) channel: String,
    pub(super) pool: Pool,
    /// For beats alone.
    pub(super) beats: Pool,
    pub(super) view: Arc<View>,
    /// None: it is open for reading only.
    pub(super) writer: Option<Writer>,
    /// They follow the log until this handle is dropped.
    pub(super) tasks: Vec<JoinHandle<()>>,
}

impl Drop for Parts {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl PgLog {
    /// Draws a new secret for the log at `url`, and answers with the log's id. Tokens that nodes
    /// made before are refused once these are started again.
    pub async fn renew_secret(url: &str) -> Result<Uuid, OpenError> {
        open::renew_secret(url).await
    }

    /// Whether the database at `url` can be reached now.
    pub async fn probe(url: &str) -> Result<(), OpenError> {
        open::probe(url).await
    }

    /// Opens the log as one of its nodes, and makes its tables when they are not there.
    pub async fn open(settings: Settings) -> Result<Self, OpenError> {
        open::node(settings).await
    }

    /// Opens the log for reading. Every write answers `Transient`.
    pub async fn open_read_only(url: &str) -> Result<Self, OpenError> {
        open::reader(url).await
    }

    pub(super) const fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// The database, as a person knows it; without a password.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// Batches that this node has committed since it opened the log.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.parts.view.commits.count()
    }

    pub(super) const fn pool(&self) -> &Pool {
        &self.parts.pool
    }

    pub(super) const fn beats(&self) -> &Pool {
        &self.parts.beats
    }

    pub(super) const fn secret_bytes(&self) -> Option<[u8; 32]> {
        self.parts.secret
    }

    /// A clock of the caller's, where there is one: microseconds.
    pub(super) fn given_now(&self) -> Option<i64> {
        self.parts.clock.as_ref().map(|clock| clock.now().micros())
    }

    pub(super) fn writable(&self) -> Result<&Writer, LogError> {
        self.parts.writer.as_ref().ok_or_else(|| LogError::Transient {
            cause: "it is open for reading only; write through an engine".to_owned(),
        })
    }

    /// What a read of `stream` does about rows of another writer.
    fn foreign(&self, stream: &StreamId) -> Foreign {
        let adopts = self.parts.writer.is_some() && may_be_adopted(&stream.aggregate_type);
        if adopts { Foreign::Told } else { Foreign::Ignored }
    }

    /// Gives rows of another writer their place, where this handle may.
    async fn adopt(&self, stream: &StreamId) -> Result<Adoption, LogError> {
        self.writable()?;
        let (pool, channel) = (&self.parts.pool, self.parts.channel.as_str());
        let adopter = Adopter { pool, channel, now: self.given_now() };
        let adoption = adopter.adopt(stream).await?;
        poll(pool, &self.parts.view, &[]).await?;
        Ok(adoption)
    }

    async fn repeated(&self, append: &Append) -> Result<Appended, LogError> {
        let Some(key) = &append.key else {
            let cause = "a key is known that was not given".to_owned();
            return Err(LogError::Transient { cause });
        };
        let id = rows::text(&append.stream.aggregate_id);
        let first = keys::find(&self.parts.pool, &id, &key.key).await?;
        match first {
            Some(first) if first.record.request == key.request => Ok(first.repeated()),
            Some(_) => Err(LogError::KeyReused { key: key.key.clone() }),
            None => {
                let actual = self.stream_head(&append.stream).await?.map_or(0, |head| head.version);
                Err(LogError::Conflict { stream: append.stream.clone(), actual })
            }
        }
    }
}

impl fmt::Debug for PgLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgLog").field("database", &self.parts.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl EventLog for PgLog {
    fn identity(&self) -> LogIdentity {
        self.parts.identity
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_event_bytes: MAX_EVENT_BYTES,
            dense_positions: true,
            shared_claims: true,
        }
    }

    fn watch_head(&self) -> watch::Receiver<Position> {
        self.parts.view.watch()
    }

    async fn now(&self) -> Result<Timestamp, LogError> {
        let view = &self.parts.view;
        if let Some(clock) = &self.parts.clock {
            return Ok(clock.now().max(view.latest()));
        }
        if let Some(now) = view.now() {
            return Ok(now);
        }
        poll(&self.parts.pool, view, &[]).await?;
        let away = || LogError::Transient { cause: "the store's clock is not known".to_owned() };
        view.now().ok_or_else(away)
    }

    fn wall_clock(&self) -> Timestamp {
        self.parts.clock.as_ref().map_or_else(|| Clock::system().now(), Clock::now)
    }

    fn ahead_ms(&self) -> u64 {
        self.parts.view.ahead_ms()
    }

    async fn writer_died(&self) {
        match &self.parts.writer {
            Some(writer) => writer.died().await,
            None => std::future::pending().await,
        }
    }

    async fn append(&self, append: Append) -> Result<Appended, LogError> {
        append.validate()?;
        match self.writable()?.submit(append).await? {
            Reply::Appended(appended) => Ok(appended),
            Reply::Refused(error) => Err(error),
            Reply::KeyKnown(append) => self.repeated(&append).await,
            Reply::Foreign(append) => {
                if let Adoption::Refused { place, cause } = self.adopt(&append.stream).await? {
                    return Err(LogError::Corrupt { place, cause });
                }
                let actual = self.stream_head(&append.stream).await?.map_or(0, |head| head.version);
                Err(LogError::Conflict { stream: append.stream, actual })
            }
        }
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, LogError> {
        let mut foreign = self.foreign(stream);
        loop {
            let (pool, page) = (&self.parts.pool, (after, limit));
            let read = || events::of_stream(pool, stream, page, foreign);
            if let Some(found) = patiently(read).await? {
                return Ok(found);
            }
            if let Adoption::Refused { .. } = self.adopt(stream).await? {
                foreign = Foreign::Ignored;
            }
        }
    }

    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, LogError> {
        let found = patiently(|| events::of_log(&self.parts.pool, after, limit)).await?;
        if let Some(last) = found.last() {
            self.parts.view.saw_at(last.position, last.recorded_at);
        }
        Ok(found)
    }

    async fn stream_head(&self, stream: &StreamId) -> Result<Option<StreamHead>, LogError> {
        let mut foreign = self.foreign(stream);
        loop {
            let end = || events::end(&self.parts.pool, stream, foreign);
            match patiently(end).await? {
                End::Nothing => return Ok(None),
                End::At(head) => return Ok(Some(head)),
                End::Foreign => {
                    if let Adoption::Refused { .. } = self.adopt(stream).await? {
                        foreign = Foreign::Ignored;
                    }
                }
            }
        }
    }

    async fn find_key(&self, aggregate_id: Uuid, key: &str) -> Result<Option<KeyRecord>, LogError> {
        let id = rows::text(&aggregate_id);
        let found = patiently(|| keys::find(&self.parts.pool, &id, key)).await?;
        Ok(found.map(|first| first.record))
    }

    async fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, LogError> {
        patiently(|| snapshots::load(&self.parts.pool, stream)).await
    }

    async fn snapshots(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Snapshot)>, LogError> {
        patiently(|| snapshots::page(&self.parts.pool, after, limit)).await
    }

    async fn drop_snapshot(&self, stream: &StreamId) -> Result<(), LogError> {
        self.writable()?;
        snapshots::forget(&self.parts.pool, stream).await
    }

    async fn save_snapshot(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), LogError> {
        self.writable()?;
        snapshots::save(&self.parts.pool, stream, &snapshot).await
    }

    async fn put_blob(&self, blob: Blob) -> Result<(), LogError> {
        blob.validate()?;
        self.writable()?;
        snapshots::put_blob(&self.parts.pool, &blob).await
    }

    fn audit(&self) -> Option<&dyn Audit> {
        Some(self)
    }

    fn batches(&self) -> Option<&Histogram> {
        Some(&self.parts.view.commits)
    }

    async fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, LogError> {
        patiently(|| snapshots::blob(&self.parts.pool, digest)).await
    }
}
