//! StartAttempt: the attached sandbox takes up the open phase.

use super::Decision;
use crate::spec::event::Event;
use crate::spec::rejection::Rejection;
use crate::spec::state::{Spec, Status};
use crate::{Digest, Epoch, Timestamp};

#[derive(Debug, Clone)]
pub struct StartAttempt {
    pub epoch: Epoch,
    /// Digest of the prompt that the engine made of the context.
    pub prompt: Digest,
    pub now: Timestamp,
}

impl StartAttempt {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        spec.fence(self.epoch)?;
        let running = spec.current().and_then(|state| state.running);
        // Asked again, whatever the status is by now: a pause lets it finish.
        if running.is_some_and(|attempt| attempt.epoch == self.epoch) && !spec.status.is_ended() {
            return Ok(Vec::new());
        }
        if spec.status != Status::Executing {
            return Err(Rejection::WrongStatus {
                status: spec.status,
                command: "an attempt",
                needs: "executing",
            });
        }
        let phase = spec.phase.filter(|phase| phase.needs_agent());
        let Some(phase) = phase else {
            return Err(Rejection::PhaseNotOpen { phase: crate::Phase::Sync, current: spec.phase });
        };
        let state = spec.phase_state(phase).cloned().unwrap_or_default();
        if !state.evaluating.is_empty() {
            return Err(Rejection::TooEarly);
        }
        if state.retry_at.is_some_and(|at| at > self.now) {
            return Err(Rejection::TooEarly);
        }
        if let Some(used) = spec.over_budget(crate::Usage::default()) {
            return Ok(spec.fail_budget(phase, &used));
        }
        Ok(vec![Event::AttemptStarted {
            phase,
            attempt: spec.next_attempt(phase),
            epoch: self.epoch,
            context: spec.context_digest(phase),
            prompt: self.prompt,
            deadline: self.now.plus_ms(spec.limits(phase).time_ms),
        }])
    }
}
