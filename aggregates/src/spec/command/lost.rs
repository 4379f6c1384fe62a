//! ReportSandboxLost: a sandbox died, or could not be started. The next one takes over.

use super::{Decision, Wait};
use crate::spec::event::{Event, FailureKind, LossCause, SandboxReason};
use crate::spec::rejection::Rejection;
use crate::spec::state::{Spec, Status};
use crate::{Epoch, Phase, Timestamp, Usage};

#[derive(Debug, Clone)]
pub struct ReportSandboxLost {
    pub epoch: Epoch,
    pub cause: LossCause,
    pub last_heard: Option<Timestamp>,
    /// Cumulative usage that the sandbox last reported.
    pub reported: Usage,
    pub wait: Wait,
}

impl ReportSandboxLost {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        if self.epoch > spec.epoch {
            return Err(Rejection::StaleEpoch { given: self.epoch, current: spec.epoch });
        }
        // An older sandbox, or one that was let go: its end changes nothing.
        let (Some(sandbox), true) = (spec.sandbox.id(), self.epoch == spec.epoch) else {
            return Ok(Vec::new());
        };
        let phase = spec.phase.unwrap_or(Phase::Explore);
        let usage = self.reported.since(spec.epoch_usage);
        let mut events = vec![Event::SandboxLost {
            epoch: self.epoch,
            sandbox,
            phase,
            cause: self.cause.clone(),
            last_heard: self.last_heard,
            usage,
        }];
        if spec.status == Status::Executing {
            events.extend(self.go_on(spec, phase, usage));
        }
        Ok(events)
    }

    fn go_on(&self, spec: &Spec, phase: Phase, usage: Usage) -> Option<Event> {
        let before = spec.phase_state(phase).map_or(0, |state| state.losses);
        if self.cause == LossCause::Shutdown {
            return spec.request_sandbox(phase, SandboxReason::Shutdown, None);
        }
        let losses = before + 1;
        if !phase.needs_agent() {
            return None;
        }
        if let Some(used) = spec.over_budget(usage) {
            return Some(super::budget_failure(phase, &used));
        }
        if losses > spec.policy.max_sandbox_losses {
            let reason = format!("{losses} sandboxes were lost in {phase}; {}", self.told());
            return Some(Event::SpecFailed { kind: FailureKind::SandboxLost, reason, phase });
        }
        // The first loss is made good at once; a sandbox that keeps dying waits longer each time.
        let wait_ms = spec.policy.backoff.wait_ms(before, self.wait.jitter);
        let not_before = (before > 0).then(|| self.wait.now.plus_ms(wait_ms));
        // A backoff that the loss fell into still holds.
        let not_before = not_before.max(spec.phase_state(phase).and_then(|state| state.retry_at));
        spec.request_sandbox(phase, SandboxReason::Crash, not_before)
    }

    fn told(&self) -> String {
        match &self.cause {
            LossCause::Exit { code } => format!("the last one exited with code {code}"),
            LossCause::Signal { signal } => format!("the last one was killed by signal {signal}"),
            LossCause::LeaseExpired => "the last one was no longer heard of".to_owned(),
            LossCause::Spawn { message } => format!("it cannot be started: {message}"),
            LossCause::Provider { message } => format!("the provider says: {message}"),
            LossCause::Detached { reason } => format!("the last one left: {reason}"),
            LossCause::Shutdown => "the engine stopped".to_owned(),
        }
    }
}
