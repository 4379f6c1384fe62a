//! The one thread that writes. It takes whatever waits, writes it in one transaction, and then
//! answers each: under no load a caller waits for nobody, under load the fsync is shared.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::{Connection, OptionalExtension};
use specline_aggregates::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use super::error::log_error;
use super::job::{Batch, End, Job};
use super::lock::WriteLock;
use super::rows;
use crate::crash_point;
use crate::metrics::Histogram;
use crate::store::recent::Recent;
use crate::store::time::LogTime;
use crate::store::{LogError, Position, StreamHead, StreamId};

/// Jobs that may wait for the writer. A full queue makes callers wait, which is the back-pressure;
/// more than a batch, so that the next one is ready when a commit returns.
const MAX_QUEUED_JOBS: usize = 2_048;

/// Jobs in one transaction: beyond this a batch saves no more fsyncs worth having, and only makes
/// the first caller wait for the last.
const MAX_BATCH_JOBS: usize = 1_024;

/// Bytes after which a batch is closed, so that one transaction stays well below the size at which
/// SQLite spills its cache.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Heads of streams kept in memory, about 200 bytes each.
const MAX_CACHED_HEADS: usize = 65_536;

/// What the thread is made of.
pub(super) struct Setup {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    pub(super) lock: WriteLock,
    pub(super) time: Arc<LogTime>,
    pub(super) end: End,
    pub(super) commits: Arc<Histogram>,
}

/// Owns the thread. Dropping it lets the thread finish what is queued and waits for it.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(setup: Setup) -> std::io::Result<(Self, watch::Receiver<Position>)> {
        let (queue, inbox) = mpsc::channel(MAX_QUEUED_JOBS);
        let (head, watched) = watch::channel(Position(setup.end.position));
        let mut state = State {
            end: Some(setup.end),
            heads: Recent::new(MAX_CACHED_HEADS, usize::MAX),
            connection: setup.connection,
            time: setup.time,
            commits: setup.commits,
            head,
        };
        let (lock, path) = (setup.lock, setup.path);
        let thread =
            std::thread::Builder::new().name("log-writer".to_owned()).spawn(move || {
                state.serve(inbox);
                tracing::debug!(path = %path.display(), "the log is closed");
                // In this order: the next writer may come when the lock is gone.
                drop(state);
                drop(lock);
            })?;
        Ok((Self { queue: Some(queue), thread: Some(thread) }, watched))
    }

    /// Resolves when the thread is gone.
    pub(super) async fn died(&self) {
        if let Some(queue) = &self.queue {
            queue.closed().await;
        }
    }

    pub(super) async fn submit<T>(
        &self,
        job: Box<dyn Job>,
        answer: oneshot::Receiver<Result<T, LogError>>,
    ) -> Result<T, LogError> {
        let stopped = || LogError::Transient { cause: "the log's writer has stopped".to_owned() };
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(job).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the log's writer panicked");
        }
    }
}

struct State {
    connection: Connection,
    time: Arc<LogTime>,
    /// None after a failure: read again before the next batch.
    end: Option<End>,
    heads: Recent<StreamId, StreamHead>,
    commits: Arc<Histogram>,
    head: watch::Sender<Position>,
}

enum Failure {
    /// One job's statement failed: perhaps that job's fault alone.
    Job(rusqlite::Error),
    /// The transaction could not be begun or committed.
    Transaction(rusqlite::Error),
}

impl State {
    fn serve(&mut self, mut inbox: mpsc::Receiver<Box<dyn Job>>) {
        while let Some(first) = inbox.blocking_recv() {
            let mut bytes = first.weight();
            let mut jobs = vec![first];
            while jobs.len() < MAX_BATCH_JOBS && bytes < MAX_BATCH_BYTES {
                let Ok(job) = inbox.try_recv() else { break };
                bytes += job.weight();
                jobs.push(job);
            }
            crash_point::reach("log_writer");
            self.write(jobs);
        }
    }

    fn write(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        match self.transact(&mut jobs) {
            Ok(()) => {
                for job in jobs {
                    job.answer(Ok(()));
                }
                self.publish();
            }
            Err(Failure::Job(_)) if jobs.len() > 1 => {
                for job in jobs {
                    self.write(vec![job]);
                }
            }
            Err(Failure::Job(error) | Failure::Transaction(error)) => {
                let error = log_error(error);
                tracing::warn!(jobs = jobs.len(), cause = %error, "a write to the log failed");
                for job in jobs {
                    job.answer(Err(error.clone()));
                }
            }
        }
    }

    /// One transaction for all jobs. When it fails nothing is written, and nothing is remembered.
    fn transact(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), Failure> {
        let done = self.try_transact(jobs);
        if done.is_err() {
            self.heads.clear();
            self.end = None;
            if !self.connection.is_autocommit()
                && let Err(error) = self.connection.execute_batch("ROLLBACK")
            {
                tracing::error!(cause = %error, "a failed write could not be rolled back");
            }
        }
        done
    }

    fn try_transact(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), Failure> {
        run_cached(&self.connection, "BEGIN IMMEDIATE").map_err(Failure::Transaction)?;
        let mut end = match self.end {
            Some(end) => end,
            None => read_end(&self.connection).map_err(Failure::Transaction)?,
        };
        let moment = self.time.read();
        let now = moment.now.max(end.recorded_at);
        let mut batch =
            Batch { connection: &self.connection, now, end: &mut end, heads: &mut self.heads };
        for job in &mut *jobs {
            job.run(&mut batch).map_err(Failure::Job)?;
        }
        run_cached(&self.connection, "COMMIT").map_err(Failure::Transaction)?;
        self.commits.observe(jobs.len() as u64);
        self.time.saw(end.recorded_at, moment);
        self.end = Some(end);
        Ok(())
    }

    fn publish(&self) {
        let Some(end) = self.end else { return };
        self.head.send_if_modified(|head| {
            let moved = head.0 != end.position;
            head.0 = end.position;
            moved
        });
    }
}

fn run_cached(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// The end of the log as it stands in the file.
pub(super) fn read_end(connection: &Connection) -> rusqlite::Result<End> {
    let sql = "SELECT position, recorded_at FROM events ORDER BY position DESC LIMIT 1";
    let end = connection
        .prepare_cached(sql)?
        .query_row([], |row| {
            Ok(End { position: rows::fetched(row, 0)?, recorded_at: rows::time(row, 1)? })
        })
        .optional()?;
    Ok(end.unwrap_or(End { position: 0, recorded_at: Timestamp::default() }))
}
