//! What one sandbox may ask of this node: calls, bytes of steps, bytes of notes. Whatever runs
//! inside has the sandbox's token and may call by itself; without a bound it could fill the log.
//!
//! Counted in memory, by node: an engine that starts again counts anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use specline_aggregates::SandboxId;
use specline_aggregates::spec::FailureKind;
use tokio::time::Instant;

use super::{Engine, EngineError};
use crate::protocol::{FailureReport, StepReport};

/// Calls a second, over time and at once: far above what a worker makes.
const CALLS: Rate = Rate { per_second: 1_000.0, at_once: 2_000.0 };

/// Bytes of notes, over time and at once.
const NOTE_BYTES: Rate = Rate { per_second: 64.0 * 1024.0, at_once: 8.0 * 1024.0 * 1024.0 };

/// Bytes of steps in the life of a sandbox: four outputs of the greatest size.
const STEP_BYTES: u64 = 64 * 1024 * 1024;

/// Steps in the life of a sandbox.
const STEPS: u64 = 20_000;

/// Sandboxes that are remembered; the one that was silent for longest goes first.
const MAX_SANDBOXES: usize = 10_000;

struct Rate {
    per_second: f64,
    at_once: f64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

struct Used {
    calls: Bucket,
    note_bytes: Bucket,
    step_bytes: u64,
    steps: u64,
    last: Instant,
}

/// What is too much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TooMuch {
    /// For the moment.
    Wait(Duration),
    /// For good.
    Spent(String),
}

impl From<TooMuch> for EngineError {
    fn from(much: TooMuch) -> Self {
        match much {
            TooMuch::Wait(wait) => Self::TooMuch {
                code: "rate_limited",
                message: "this sandbox calls too often, or tells too much".to_owned(),
                wait: Some(wait),
            },
            TooMuch::Spent(message) => {
                Self::TooMuch { code: "sandbox_allowance_spent", message, wait: None }
            }
        }
    }
}

impl Engine {
    /// Counts a call of `sandbox`.
    pub(super) fn allow_call(&self, sandbox: SandboxId) -> Result<(), EngineError> {
        Ok(self.inner.allowances.call(sandbox)?)
    }

    /// Counts a step. One that is too much for good is the end of its attempt: the sandbox would
    /// only try it again.
    pub(super) async fn allow_step(
        &self,
        sandbox: SandboxId,
        report: &StepReport,
    ) -> Result<(), EngineError> {
        let much = match self.inner.allowances.step(sandbox, report.result.text().len()) {
            Ok(()) => return Ok(()),
            Err(much) => much,
        };
        if let TooMuch::Spent(message) = &much {
            let failure = FailureReport {
                phase: report.phase,
                attempt: report.attempt,
                kind: FailureKind::Budget,
                message: message.clone(),
                usage: report.usage,
            };
            self.report_failure(sandbox, &failure, None).await?;
        }
        Err(much.into())
    }
}

#[derive(Default)]
pub(super) struct Allowances(Mutex<BTreeMap<SandboxId, Used>>);

impl Allowances {
    pub(super) fn call(&self, sandbox: SandboxId) -> Result<(), TooMuch> {
        self.with(sandbox, |used, now| CALLS.take(&mut used.calls, 1.0, now))
    }

    pub(super) fn notes(&self, sandbox: SandboxId, bytes: usize) -> Result<(), TooMuch> {
        // More than ever fits at once is let through when nothing else was.
        #[expect(clippy::cast_precision_loss, reason = "a body has at most 16 MiB")]
        let bytes = (bytes as f64).min(NOTE_BYTES.at_once);
        self.with(sandbox, |used, now| NOTE_BYTES.take(&mut used.note_bytes, bytes, now))
    }

    pub(super) fn step(&self, sandbox: SandboxId, bytes: usize) -> Result<(), TooMuch> {
        self.with(sandbox, |used, _| {
            let (steps, total) = (used.steps + 1, used.step_bytes + bytes as u64);
            if steps > STEPS {
                return Err(TooMuch::Spent(format!("more than {STEPS} steps in one sandbox")));
            }
            if total > STEP_BYTES {
                let most = STEP_BYTES / (1024 * 1024);
                return Err(TooMuch::Spent(format!(
                    "more than {most} MiB of steps in one sandbox"
                )));
            }
            (used.steps, used.step_bytes) = (steps, total);
            Ok(())
        })
    }

    fn with<T>(&self, sandbox: SandboxId, take: impl FnOnce(&mut Used, Instant) -> T) -> T {
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_SANDBOXES
            && !all.contains_key(&sandbox)
            && let Some(oldest) = all.iter().min_by_key(|(_, used)| used.last).map(|(id, _)| *id)
        {
            all.remove(&oldest);
        }
        let used = all.entry(sandbox).or_insert_with(|| Used {
            calls: CALLS.full(now),
            note_bytes: NOTE_BYTES.full(now),
            step_bytes: 0,
            steps: 0,
            last: now,
        });
        used.last = now;
        take(used, now)
    }
}

impl Rate {
    fn full(&self, at: Instant) -> Bucket {
        Bucket { left: self.at_once, at }
    }

    fn take(&self, bucket: &mut Bucket, amount: f64, now: Instant) -> Result<(), TooMuch> {
        let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * self.per_second;
        bucket.left = (bucket.left + gained).min(self.at_once);
        bucket.at = now;
        if bucket.left < amount {
            let wait = (amount - bucket.left) / self.per_second;
            return Err(TooMuch::Wait(Duration::from_secs_f64(wait)));
        }
        bucket.left -= amount;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox(name: &str) -> SandboxId {
        specline_aggregates::derive_id(&[name]).into()
    }

    #[test]
    fn calls_come_back_with_time_and_each_sandbox_has_its_own() {
        let all = Allowances::default();
        let (one, other) = (sandbox("one"), sandbox("other"));
        let n = (0..10_000).filter(|_| all.call(one).is_ok()).count();
        assert!((2_000..4_000).contains(&n), "{n}");
        all.with(one, |used, _| used.calls.left = 0.0);
        assert!(matches!(all.call(one), Err(TooMuch::Wait(wait)) if wait < Duration::from_secs(1)));
        assert_eq!(all.call(other), Ok(()));
    }

    #[test]
    fn steps_are_bounded_for_good() {
        let all = Allowances::default();
        let one = sandbox("one");
        let n = (0..100).filter(|_| all.step(one, 1024 * 1024).is_ok()).count();
        assert_eq!(n, 64);
        assert!(matches!(all.step(one, 1024 * 1024), Err(TooMuch::Spent(_))));
        assert_eq!(all.step(sandbox("other"), 1), Ok(()));
    }

    #[test]
    fn notes_larger_than_the_allowance_are_only_slow() {
        let all = Allowances::default();
        assert_eq!(all.notes(sandbox("one"), 16 << 20), Ok(()));
        assert!(matches!(all.notes(sandbox("one"), 1 << 20), Err(TooMuch::Wait(_))));
    }
}
