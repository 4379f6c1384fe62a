//! A node's one writer: takes whatever waits, sends it as one call, and answers each. A batch has a
//! number, which the database keeps: when its answer is lost with the connection, the same batch is
//! sent again, and is either carried out now or found to have been.

use std::sync::Arc;
use std::time::Duration;

use specline_aggregates::Timestamp;
use specline_pg::Pool;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::append::{Reply, Waiting};
use super::batch::{self, Answer, Identity, Outcome};
use super::error::{Kind, kind, told};
use super::follow::View;
use super::{keys, rows};
use crate::crash_point;
use crate::store::{Append, Clock, LogError, Position};

/// Appends that may wait for the writer. A full queue makes callers wait, which is the
/// back-pressure; more than a batch, so that the next one is ready when a commit returns.
const MAX_QUEUED: usize = 2_048;

/// Appends in one call: beyond this a batch saves no more fsyncs worth having, and only makes the
/// first caller wait for the last.
const MAX_BATCH: usize = 1_024;

/// Bytes after which a batch is closed; one message to the server stays far below its 1 GB.
const MAX_BATCH_BYTES: usize = 32 * 1024 * 1024;

/// How long a batch is tried again while the server is away. Below a worker's patience with one
/// call: whoever is told that the log is away asks again under the same key.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one try may take: more than it waits for a lock.
const TRY: Duration = Duration::from_secs(5);

/// First and longest pause between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the task is made of.
pub(super) struct Setup {
    pub(super) options: PgConnectOptions,
    pub(super) identity: Identity,
    pub(super) pool: Pool,
    pub(super) clock: Option<Clock>,
    pub(super) view: Arc<View>,
}

/// The queue to the task. When the last handle is gone, the task finishes what waits, and ends.
pub(super) struct Writer {
    queue: mpsc::Sender<Waiting>,
}

impl Writer {
    pub(super) fn start(setup: Setup) -> Self {
        let (queue, inbox) = mpsc::channel(MAX_QUEUED);
        tokio::spawn(Task { setup, connection: None, number: 0 }.serve(inbox));
        Self { queue }
    }

    /// Resolves when the task is gone.
    pub(super) async fn died(&self) {
        self.queue.closed().await;
    }

    pub(super) async fn submit(&self, append: Append) -> Result<Reply, LogError> {
        let stopped = || LogError::Transient { cause: "the log's writer has stopped".to_owned() };
        let (waiting, answer): (_, oneshot::Receiver<Reply>) = Waiting::new(append);
        self.queue.send(waiting).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())
    }
}

struct Task {
    setup: Setup,
    connection: Option<PgConnection>,
    /// Number of the last batch that was begun.
    number: i64,
}

/// Why a batch was not carried out.
enum Failure {
    /// Nothing was written, perhaps because of one append alone.
    Refused(sqlx::Error),
    /// Nothing is known to be written.
    Away(String),
}

impl Task {
    async fn serve(mut self, mut inbox: mpsc::Receiver<Waiting>) {
        while let Some(first) = inbox.recv().await {
            let mut bytes = first.append.weight();
            let mut batch = vec![first];
            while batch.len() < MAX_BATCH && bytes < MAX_BATCH_BYTES {
                let Ok(next) = inbox.try_recv() else { break };
                bytes += next.append.weight();
                batch.push(next);
            }
            crash_point::reach("log_writer");
            self.write(batch).await;
        }
        if let Some(connection) = self.connection {
            drop(connection.close().await);
        }
    }

    /// Carries out a batch; one that is refused is tried in halves, so that a fault of one append
    /// costs the others nothing.
    async fn write(&mut self, batch: Vec<Waiting>) {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            match self.carry_out(&part).await {
                Ok(Answer::Done { outcomes, at, head }) => {
                    self.setup.view.saw_at(Position(head), at);
                    self.setup.view.commits.observe(part.len() as u64);
                    for (waiting, outcome) in part.into_iter().zip(outcomes) {
                        answer(waiting, outcome, at);
                    }
                }
                Ok(Answer::Repeated) => self.resolve(part).await,
                Err(Failure::Refused(_)) if part.len() > 1 => {
                    let second = part.split_off(part.len() / 2);
                    parts.push(second);
                    parts.push(part);
                }
                Err(Failure::Refused(error)) => {
                    for waiting in part {
                        refuse(waiting, &error);
                    }
                }
                Err(Failure::Away(cause)) => {
                    tracing::warn!(appends = part.len(), cause, "a write to the log failed");
                    let error = LogError::Transient { cause };
                    for waiting in part {
                        waiting.refuse(error.clone());
                    }
                }
            }
        }
    }

    /// Sends a batch under a number of its own until there is an answer, or patience ends.
    async fn carry_out(&mut self, part: &[Waiting]) -> Result<Answer, Failure> {
        self.number += 1;
        let end = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            let until = end.min(Instant::now() + TRY);
            let error = match tokio::time::timeout_at(until, self.send(part)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => {
                    // What the server still does with it, the same number finds, or makes void.
                    self.connection = None;
                    sqlx::Error::Io(std::io::Error::new(
                        std::io::ErrorKind::TimedOut,
                        "the database does not answer",
                    ))
                }
            };
            match kind(&error) {
                Kind::Refused | Kind::Unreadable if self.connection.is_some() => {
                    return Err(Failure::Refused(error));
                }
                Kind::Lost => self.connection = None,
                // Without a connection it was refused to us, and not the batch.
                Kind::Refused | Kind::Unreadable | Kind::Busy => {}
            }
            if Instant::now() + pause >= end {
                return Err(Failure::Away(told(&error)));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn send(&mut self, part: &[Waiting]) -> sqlx::Result<Answer> {
        if self.connection.is_none() {
            self.connection = Some(PgConnection::connect_with(&self.setup.options).await?);
        }
        let Some(connection) = self.connection.as_mut() else {
            return Err(sqlx::Error::PoolClosed);
        };
        let now = self.setup.clock.as_ref().map(|clock| clock.now().micros());
        batch::send(connection, (&self.setup.identity, self.number), now, part).await
    }

    /// This very batch was committed, and its answer was lost: finds out what became of each.
    async fn resolve(&mut self, part: Vec<Waiting>) {
        let filled = match self.filled().await {
            Ok(filled) => filled,
            Err(error) => {
                let error = LogError::Transient { cause: told(&error) };
                for waiting in part {
                    waiting.refuse(error.clone());
                }
                return;
            }
        };
        self.setup.view.saw(Position(filled.last));
        let mut taken = std::collections::BTreeSet::new();
        for waiting in part {
            match self.what_became_of(&waiting, &filled).await {
                Ok(Some(position)) if taken.insert(position) => {
                    waiting.written(position, filled.at);
                }
                // Under a known key, the answer is what the key stands for.
                Ok(_) if waiting.append.key.is_some() => waiting.key_known(),
                // A conflict: the caller looks up where the stream is.
                Ok(_) => waiting.foreign(),
                Err(error) => waiting.refuse(error),
            }
        }
    }

    async fn filled(&mut self) -> sqlx::Result<Filled> {
        let sql = "SELECT after_position, last_position, at FROM log_writers
                   WHERE writer = $1 AND batch = $2";
        let query = sqlx::query(sql).bind(self.setup.identity.writer).bind(self.number);
        let row = query.fetch_one(&self.setup.pool).await?;
        Ok(Filled {
            after: rows::fetched(&row, 0)?,
            last: rows::fetched(&row, 1)?,
            at: rows::time(&row, 2)?,
        })
    }

    /// The position of the append's last event, if the batch wrote it.
    async fn what_became_of(
        &self,
        waiting: &Waiting,
        filled: &Filled,
    ) -> Result<Option<u64>, LogError> {
        let ours = |position: u64| position > filled.after && position <= filled.last;
        if let Some(key) = &waiting.append.key {
            let found = keys::find(&self.setup.pool, &waiting.id, &key.key).await?;
            // Another append of this batch may have come first under the same key; and one without
            // events shares its position with the one before it.
            let wrote = !waiting.append.events.is_empty();
            let found = found.filter(|first| wrote && first.head() == waiting.head());
            let position = found.map(|first| first.record.position.0);
            return Ok(position.filter(|&position| ours(position)));
        }
        let sql = "SELECT position, hash FROM events
                   WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence = $3";
        let row = sqlx::query(sql)
            .bind(&waiting.append.stream.aggregate_type)
            .bind(&waiting.id)
            .bind(rows::stored(waiting.head().version))
            .fetch_optional(&self.setup.pool)
            .await
            .map_err(super::error::log_error)?;
        let Some(row) = row else { return Ok(None) };
        let hash: Option<Vec<u8>> = row.try_get(1).map_err(super::error::log_error)?;
        if hash.as_deref() != Some(waiting.head().hash.as_bytes().as_slice()) {
            return Ok(None);
        }
        let position = rows::fetched(&row, 0).map_err(super::error::log_error)?;
        Ok(Some(position).filter(|&position| ours(position)))
    }
}

/// The positions that a batch wrote.
struct Filled {
    after: u64,
    last: u64,
    at: Timestamp,
}

fn answer(waiting: Waiting, outcome: Outcome, at: Timestamp) {
    match outcome {
        Outcome::Written(position) => waiting.written(position, at),
        Outcome::KeyKnown => waiting.key_known(),
        Outcome::Conflict(actual) => waiting.conflict(actual),
        Outcome::Foreign => waiting.foreign(),
    }
}

/// The fault is this append's own.
fn refuse(waiting: Waiting, error: &sqlx::Error) {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // Another writer's rows took the places meanwhile.
    if code.as_deref() == Some("23505") {
        waiting.foreign();
        return;
    }
    tracing::warn!(stream = %waiting.append.stream, cause = %error, "an append was refused");
    waiting.refuse(LogError::Transient { cause: told(error) });
}
