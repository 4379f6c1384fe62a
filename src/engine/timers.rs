//! Duty: time limits of attempts, and deadlines of approvals. The times are rows of the read model
//! of due work, and the spec decides whether they still mean anything.

use std::sync::PoisonError;

use specline_aggregates::Timestamp;
use specline_aggregates::spec::Command;
use specline_aggregates::spec::command::{ExpireApproval, TimeOutAttempt};
use specline_projections::due_work::DueWork;

use super::jumps::Jumps;
use super::lookup::by_duty;
use super::{Engine, EngineError};
use crate::commands::{CommandError, Order};

/// The worker ends an attempt at its limit by itself and says so; only when it does not, the
/// engine's timer acts, this much later.
const GRACE_MS: u64 = 2_000;

/// Pure: whether an attempt with this deadline is over, of which a leap of the time took `lost_ms`.
const fn is_over(deadline: Timestamp, lost_ms: u64, now: Timestamp) -> bool {
    now.micros() >= deadline.plus_ms(GRACE_MS.saturating_add(lost_ms)).micros()
}

pub(super) async fn time_out(engine: &Engine, row: &DueWork) -> Result<(), EngineError> {
    let wait = engine.wait().await?;
    if !is_over(row.due, 0, wait.now) {
        return Ok(());
    }
    let spec = engine.spec(row.spec).await?;
    let limit = spec.policy().limits(row.phase).time_ms;
    let begun = row.due.minus_ms(limit);
    let lost = engine.jumps().since(begun);
    if !is_over(row.due, lost, wait.now) {
        return Ok(());
    }
    let reported = engine.reported(&spec).await?;
    let command =
        Command::TimeOut(TimeOutAttempt { phase: row.phase, attempt: row.attempt, reported, wait });
    let origin = by_duty("timers", &spec);
    let result = engine.commands().spec(row.spec, &command, Order::from(&origin)).await;
    match result {
        Err(CommandError::Rejected(rejection)) => {
            tracing::debug!(spec.id = %row.spec, %rejection, "a time-out came to nothing");
        }
        other => {
            other?;
        }
    }
    engine.inner.leases_changed.notify_one();
    Ok(())
}

impl Engine {
    pub(super) fn jumps(&self) -> std::sync::MutexGuard<'_, Jumps> {
        self.inner.jumps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn expire_approval(engine: &Engine, row: &DueWork) -> Result<(), EngineError> {
    let spec = engine.spec(row.spec).await?;
    let command = Command::ExpireApproval(ExpireApproval { now: engine.now().await? });
    let origin = by_duty("timers", &spec);
    engine.commands().spec(row.spec, &command, Order::from(&origin)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_over_after_its_deadline_and_the_grace() {
        let deadline = Timestamp::from_micros(1_000_000);
        assert!(!is_over(deadline, 0, deadline));
        assert!(is_over(deadline, 0, deadline.plus_ms(GRACE_MS)));
        assert!(!is_over(deadline, 700, deadline.plus_ms(GRACE_MS)));
        assert!(is_over(deadline, 700, deadline.plus_ms(GRACE_MS + 700)));
    }
}
