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

use super::Engine;
use crate::store::Position;

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
    /// Longest that a duty may not have looked around; each does every half minute at least.
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
    /// Held while the log is written to: those who come meanwhile get the same answer.
    written: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
}

#[derive(Debug, Clone, Copy)]
enum Duty {
    Running,
    /// It said so itself.
    Looked(Instant),
    Ended,
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

/// Marks a duty as ended, however it ends.
struct Mark {
    engine: Engine,
    name: &'static str,
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.engine.inner.health.set(self.name, Duty::Ended);
    }
}

impl Health {
    fn set(&self, name: &'static str, duty: Duty) {
        let mut duties = self.duties.lock().unwrap_or_else(PoisonError::into_inner);
        duties.insert(name, duty);
    }

    /// A duty that is there looked around.
    pub(super) fn looked(&self, name: &'static str) {
        self.set(name, Duty::Looked(Instant::now()));
    }

    fn duties(&self, max_silence: Duration) -> Vec<Check> {
        let duties = self.duties.lock().unwrap_or_else(PoisonError::into_inner);
        if duties.is_empty() {
            return vec![Check::bad("duties", "no duty was started")];
        }
        let check = |(name, duty): (&&'static str, &Duty)| {
            let name = format!("duty {name}");
            match duty {
                Duty::Looked(at) if at.elapsed() > max_silence => Check::bad(
                    name,
                    format!("it has done nothing for {} s", at.elapsed().as_secs()),
                ),
                Duty::Running | Duty::Looked(_) => Check::good(name),
                Duty::Ended => Check::bad(name, "it has ended"),
            }
        };
        duties.iter().map(check).collect()
    }
}

impl Engine {
    /// Starts a duty, and keeps an eye on it.
    pub(super) fn keep(&self, name: &'static str, duty: impl Future<Output = ()> + Send + 'static) {
        self.inner.health.set(name, Duty::Running);
        let mark = Mark { engine: self.clone(), name };
        self.inner.tracker.spawn(async move {
            let _mark = mark;
            duty.await;
        });
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
