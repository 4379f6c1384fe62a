//! TimeOutAttempt: the timer's command. An output that came first wins.

use super::{Decision, FailedAttempt, Wait};
use crate::spec::event::{Event, FailureKind, ReleaseReason, SandboxReason};
use crate::spec::rejection::Rejection;
use crate::spec::state::{Spec, Status};
use crate::{Phase, Usage};

#[derive(Debug, Clone)]
pub struct TimeOutAttempt {
    pub phase: Phase,
    pub attempt: u32,
    /// Cumulative usage that the sandbox last reported.
    pub reported: Usage,
    pub wait: Wait,
}

impl TimeOutAttempt {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        if spec.status.is_ended() {
            return Ok(Vec::new());
        }
        let Ok(running) = spec.running(self.phase, self.attempt) else {
            return Ok(Vec::new());
        };
        if self.wait.now < running.deadline {
            return Err(Rejection::TooEarly);
        }
        let limit_s = spec.limits(self.phase).time_ms / 1_000;
        let failed = FailedAttempt {
            attempt: self.attempt,
            kind: FailureKind::Timeout,
            message: format!("no output within the limit of {limit_s} s"),
            usage: self.reported.since(spec.epoch_usage),
            submitted: Usage::default(),
        };
        let mut events = spec.after_failure(self.phase, failed, self.wait);
        let retry_at = events.iter().find_map(|event| {
            if let Event::AttemptFailed { retry_at, .. } = event { *retry_at } else { None }
        });
        // The agent may hang for ever: the next attempt gets a sandbox of its own.
        if retry_at.is_some() && spec.status == Status::Executing {
            events.extend(spec.release_sandbox(ReleaseReason::Reopened));
            events.extend(spec.request_sandbox(self.phase, SandboxReason::Timeout, retry_at));
        }
        Ok(events)
    }
}
