//! Whether this engine can take work, and why not. It looks: the log is written to, the read models
//! are compared with the log's end, and each duty that ends before it is told to is noticed.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use specline_projections::State;
use tokio::time::Instant;

use super::{Engine, Fatal};
use crate::crash_point;
use crate::store::{NODE_LASTS_MS, Position};

/// A write that went well says for so long that the log can be written. It bounds what those who
/// ask cost, whoever they are.
const WRITE_LASTS: Duration = Duration::from_secs(5);

/// Name of the cursor that is written.
const CURSOR: &str = "health";

/// What an engine that can take work keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyBounds {
    /// Events that a read model may be behind.
    pub max_lag_events: u64,
    /// Longest that a duty may be at one step of its work.
    pub max_duty_silence: Duration,
    /// Longest that a write to the log's store may take.
    pub max_write: Duration,
}

impl Default for ReadyBounds {
    fn default() -> Self {
        Self {
            max_lag_events: 10_000,
            max_duty_silence: Duration::from_mins(2),
            max_write: Duration::from_secs(5),
        }
    }
}

/// The duties of this process, and when the log was last written to for its own sake.
#[derive(Debug, Default)]
pub(super) struct Health {
    duties: Mutex<BTreeMap<&'static str, Duty>>,
    /// When the other nodes last heard that this one lives.
    beaten: Mutex<Option<Instant>>,
    /// Held while the log is written to: those who come meanwhile get the same answer.
    written: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
}

#[derive(Debug, Clone, Copy)]
enum Duty {
    /// It waits for something to happen.
    Resting,
    /// It is at one step of its work since then.
    Busy(Instant),
    Ended,
}

/// A duty is busy for as long as this lives.
pub(super) struct Busy {
    engine: Engine,
    name: &'static str,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.engine.inner.health.set(self.name, Duty::Resting);
    }
}

/// One thing that is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    /// In words; empty when there is nothing to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Check {
    fn good(name: impl Into<String>) -> Self {
        Self { name: name.into(), ok: true, detail: String::new() }
    }

    fn bad(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), ok: false, detail: detail.into() }
    }

    fn of(name: impl Into<String>, result: Result<(), String>) -> Self {
        match result {
            Ok(()) => Self::good(name),
            Err(detail) => Self::bad(name, detail),
        }
    }
}

/// Marks a duty as ended, however it ends. One that was not told to leaves nothing behind that goes
/// on without it: the engine ends, and the next one takes over.
struct Mark {
    engine: Engine,
    name: &'static str,
    /// It came to its end; else its runtime is gone, or it panics.
    finished: bool,
}

impl Mark {
    fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.engine.inner.health.set(self.name, Duty::Ended);
        let ended = self.finished || std::thread::panicking();
        if ended && !self.engine.inner.stop.is_cancelled() {
            tracing::error!(duty = self.name, "a duty has ended before it was told to");
            self.engine.fail(Fatal::Ended(self.name));
        }
    }
}

impl Health {
    fn set(&self, name: &'static str, duty: Duty) {
        let mut duties = self.duties.lock().unwrap_or_else(PoisonError::into_inner);
        duties.insert(name, duty);
    }

    /// A duty that is busy has come to its next step.
    pub(super) fn goes_on(&self, name: &'static str) {
        let mut duties = self.duties.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Duty::Busy(since)) = duties.get_mut(name) {
            *since = Instant::now();
        }
    }

    /// The other nodes have heard that this one lives, of a beat that was sent at `sent`: from then
    /// on, at the latest, they count.
    pub(super) fn beaten(&self, sent: Instant) {
        *self.beaten.lock().unwrap_or_else(PoisonError::into_inner) = Some(sent);
    }

    /// Whether the other nodes take this one to live: it asks no store that may not answer.
    fn membership(&self) -> Check {
        let beaten = *self.beaten.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = beaten.map(|at| at.elapsed());
        match silent {
            Some(silent) if silent < Duration::from_millis(NODE_LASTS_MS) => {
                Check::good("membership")
            }
            Some(silent) => Check::bad(
                "membership",
                format!("the other nodes have not heard of it for {} s", silent.as_secs()),
            ),
            None => Check::bad("membership", "the other nodes have not heard of it"),
        }
    }

    fn duties(&self, max_silence: Duration) -> Vec<Check> {
        let duties = self.duties.lock().unwrap_or_else(PoisonError::into_inner);
        if !duties.contains_key("clockwork") {
            return vec![Check::bad("duties", "no duty was started")];
        }
        let check = |(name, duty): (&&'static str, &Duty)| {
            let name = format!("duty {name}");
            match duty {
                Duty::Busy(since) if since.elapsed() > max_silence => Check::bad(
                    name,
                    format!("it has been at one step for {} s", since.elapsed().as_secs()),
                ),
                Duty::Resting | Duty::Busy(_) => Check::good(name),
                Duty::Ended => Check::bad(name, "it has ended"),
            }
        };
        duties.iter().map(check).collect()
    }
}

impl Engine {
    /// Starts a duty, and keeps an eye on it.
    pub(super) fn keep(&self, name: &'static str, duty: impl Future<Output = ()> + Send + 'static) {
        self.inner.health.set(name, Duty::Resting);
        let mark = Mark { engine: self.clone(), name, finished: false };
        self.inner.tracker.spawn(async move {
            duty.await;
            mark.finish();
        });
    }

    /// A duty begins a step, which may not take for ever.
    pub(super) fn busy(&self, name: &'static str) -> Busy {
        crash_point::reach(&format!("duty:{name}"));
        self.inner.health.set(name, Duty::Busy(Instant::now()));
        Busy { engine: self.clone(), name }
    }

    /// Everything that has to be well for this engine to take work.
    pub async fn checks(&self, bounds: &ReadyBounds) -> Vec<Check> {
        let running = match &*self.inner.fatal.borrow() {
            Some(fatal) => Err(format!("{fatal:?}")),
            None if self.inner.stop.is_cancelled() => Err("it is stopping".to_owned()),
            None => Ok(()),
        };
        let mut checks = vec![Check::of("engine", running)];
        checks.push(Check::of("log", self.can_write(bounds.max_write).await));
        if self.is_shared() {
            checks.push(self.inner.health.membership());
        }
        let head = self.head();
        for model in self.inner.models.status() {
            let name = format!("read model {}", model.model);
            let lag = head.saturating_sub(model.position);
            checks.push(match model.state {
                State::Failed(failure) => Check::bad(name, format!("it has stopped: {failure:?}")),
                State::Running if lag > bounds.max_lag_events => {
                    Check::bad(name, format!("it is {lag} events behind"))
                }
                State::Running => Check::good(name),
            });
        }
        checks.extend(self.inner.health.duties(bounds.max_duty_silence));
        checks
    }

    /// Writes to the log's store, unless that was done a moment ago.
    async fn can_write(&self, patience: Duration) -> Result<(), String> {
        let mut written = self.inner.health.written.lock().await;
        if let Some((at, result)) = &*written
            && at.elapsed() < WRITE_LASTS
        {
            return result.clone();
        }
        let write = self.inner.side.set_cursor(CURSOR, Position(self.head()));
        let result = match tokio::time::timeout(patience, write).await {
            Ok(done) => done.map_err(|error| error.to_string()),
            Err(_) => Err(format!("a write took more than {} s", patience.as_secs())),
        };
        *written = Some((Instant::now(), result.clone()));
        result
    }
}
