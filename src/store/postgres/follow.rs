//! Follows the log's end and the store's clock. Notifications say at once that something was
//! appended; one poll a second finds what they missed, and is the only statement of an idle log.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use specline_aggregates::Timestamp;
use specline_pg::{Pool, within};
use sqlx::postgres::{PgListener, PgPool};
use sqlx::{Executor, Row};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::adopt::{Adopter, Adoption};
use super::error::log_error;
use super::rows;
use crate::metrics::Histogram;
use crate::store::{LogError, Position};

/// The fall-back when no notification comes.
const POLL: Duration = Duration::from_secs(1);

/// A sample of the clock is good for this long; then the store has been away.
const SAMPLE_LASTS: Duration = Duration::from_secs(5);

/// Pause before the next try to listen.
const AGAIN: Duration = Duration::from_millis(250);

/// A listener that hears nothing for so long is asked whether it is still there, and for how long.
const SILENCE: Duration = Duration::from_secs(15);
const TRIAL: Duration = Duration::from_secs(2);

/// Streams with refused rows that a node remembers; more are looked at again and again.
const MAX_REFUSED: usize = 1_000;

/// What a node knows of the log's end without asking.
pub(super) struct View {
    head: watch::Sender<Position>,
    /// `recorded_at` of the last event that was seen, in microseconds.
    latest: AtomicI64,
    sample: Mutex<Option<Sample>>,
    /// Appends in each batch that this node's writer has committed.
    pub(super) commits: Histogram,
}

/// The store's time at a moment of ours.
#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    /// The log's time.
    time: Timestamp,
    /// What the database's clock showed.
    clock: Timestamp,
}

impl View {
    pub(super) fn new(head: Position, latest: Timestamp) -> Self {
        Self {
            head: watch::Sender::new(head),
            latest: AtomicI64::new(latest.micros()),
            sample: Mutex::new(None),
            commits: Histogram::of_sizes(),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    pub(super) fn saw(&self, position: Position) {
        self.head.send_if_modified(|head| {
            let moved = position > *head;
            *head = position.max(*head);
            moved
        });
    }

    pub(super) fn saw_at(&self, position: Position, at: Timestamp) {
        self.latest.fetch_max(at.micros(), Ordering::AcqRel);
        self.saw(position);
    }

    pub(super) fn latest(&self) -> Timestamp {
        Timestamp::from_micros(self.latest.load(Ordering::Acquire))
    }

    /// By how much the log's time was ahead of the database's clock at the last sample.
    pub(super) fn ahead_ms(&self) -> u64 {
        let sample = *self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        sample.map_or(0, |sample| sample.time.ms_since(sample.clock))
    }

    /// The store's time by its last sample; none when the store has not been heard for a while.
    pub(super) fn now(&self) -> Option<Timestamp> {
        let sample = (*self.sample.lock().unwrap_or_else(PoisonError::into_inner))?;
        let since = sample.at.elapsed();
        if since > SAMPLE_LASTS {
            return None;
        }
        let micros = i64::try_from(since.as_micros()).unwrap_or(0);
        let now = Timestamp::from_micros(sample.time.micros().saturating_add(micros));
        Some(now.max(self.latest()))
    }

    fn sampled(&self, sample: Sample) {
        *self.sample.lock().unwrap_or_else(PoisonError::into_inner) = Some(sample);
    }
}

/// Asks for the end of the log and the time.
pub(super) async fn poll(
    pool: &Pool,
    view: &View,
    adopts: &[&'static str],
) -> Result<Polled, LogError> {
    let sql = "SELECT h.position, h.recorded_at, t.now, EXISTS (
                   SELECT FROM events WHERE position IS NULL AND aggregate_type = ANY ($1)),
                   h.clock_at IS NULL OR h.clock_at > c.clock, c.clock
               FROM log_head h, specline_clock() AS c (clock),
                   specline_time(h.recorded_at, h.clock_at, c.clock) AS t (now)";
    let types: Vec<&str> = adopts.to_vec();
    let asked = Instant::now();
    let row = sqlx::query(sql).bind(types).fetch_one(pool).await.map_err(log_error)?;
    // The clock was read somewhere between the question and the answer.
    let at = asked + asked.elapsed() / 2;
    let read = || -> sqlx::Result<(bool, bool)> {
        view.saw_at(Position(rows::fetched(&row, 0)?), rows::time(&row, 1)?);
        let (time, clock) = (rows::time(&row, 2)?, rows::time(&row, 5)?);
        view.sampled(Sample { at, time, clock });
        Ok((row.try_get(3)?, row.try_get(4)?))
    };
    let (foreign, set_back) = read().map_err(log_error)?;
    Ok(Polled { foreign, set_back })
}

/// What a poll found, beside the end of the log and the time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Polled {
    /// Rows wait to be adopted.
    foreign: bool,
    /// The database's clock shows less than when the head was written.
    pub(super) set_back: bool,
}

/// Has the log's time go on by the clock as it is now.
pub(super) async fn set_back(pool: &Pool) -> Result<(), LogError> {
    let sql = "SELECT specline_set_back()";
    sqlx::query(sql).execute(pool).await.map(drop).map_err(log_error)
}

/// The parts of a log that its followers need.
#[derive(Clone)]
pub(super) struct Follower {
    pub(super) pool: Pool,
    pub(super) view: Arc<View>,
    pub(super) channel: String,
    pub(super) adopts: Vec<&'static str>,
    /// Not a handle that only reads.
    pub(super) writes: bool,
    /// Our connection was lost: notifications may have been missed.
    pub(super) missed: Arc<Notify>,
}

impl Follower {
    /// Polls once a second, and whenever notifications may have been missed.
    pub(super) async fn poll_on(self) {
        let mut heard = true;
        let mut refused = Vec::new();
        loop {
            match poll(&self.pool, &self.view, &self.adopts).await {
                Ok(polled) => {
                    if !std::mem::replace(&mut heard, true) {
                        tracing::info!("the log's database is back");
                    }
                    if polled.set_back && self.writes {
                        self.set_back().await;
                    }
                    if polled.foreign {
                        self.adopt(&mut refused).await;
                    }
                }
                Err(error) => {
                    if std::mem::replace(&mut heard, false) {
                        tracing::warn!(cause = %error, "the log's database does not answer");
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                () = self.missed.notified() => {}
            }
        }
    }

    async fn set_back(&self) {
        if let Err(error) = set_back(&self.pool).await {
            tracing::warn!(cause = %error, "the log's time stands still until its clock is ahead");
        }
    }

    /// Adopts what waits. A stream whose rows are refused is said once, and looked at again when
    /// somebody loads it.
    async fn adopt(&self, refused: &mut Vec<String>) {
        let adopter = Adopter { pool: &self.pool, channel: &self.channel, now: None };
        let waiting = adopter.waiting(&self.adopts, refused).await;
        let failed = |error: &LogError| {
            tracing::warn!(cause = %error, "events of another writer were not adopted");
        };
        // One stream that cannot be adopted stands in the way of no other.
        for stream in waiting.inspect_err(failed).unwrap_or_default() {
            match adopter.adopt(&stream).await {
                Ok(Adoption::Done(_)) => {}
                Ok(Adoption::Refused { place, cause }) => {
                    tracing::warn!(place, cause, "a row of another program is no event");
                    if refused.len() < MAX_REFUSED {
                        refused.push(rows::text(&stream.aggregate_id));
                    }
                }
                Err(error) => failed(&error),
            }
        }
    }

    /// Hears of appends, by a connection of its own.
    pub(super) async fn listen_on(self, pool: PgPool) {
        loop {
            if let Err(error) = self.listen(&pool).await {
                tracing::debug!(cause = %error, "notifications are not heard; polling goes on");
            }
            self.missed.notify_one();
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn listen(&self, pool: &PgPool) -> sqlx::Result<()> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(&self.channel).await?;
        self.missed.notify_one();
        loop {
            let Some(heard) = within(SILENCE, listener.try_recv()).await else {
                // Nothing was appended, or a connection that was forgotten on the way is deaf.
                let tried = within(TRIAL, listener.execute("SELECT 1")).await;
                tried.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
                continue;
            };
            let Some(notification) = heard? else {
                self.missed.notify_one();
                continue;
            };
            if let Ok(position) = notification.payload().parse() {
                self.view.saw(Position(position));
            }
        }
    }
}
