//! ResumeExecution: goes on at the first phase without an accepted output.

use super::{Decision, Wait};
use crate::spec::event::{Event, SandboxReason};
use crate::spec::rejection::Rejection;
use crate::spec::state::{Spec, Status};
use crate::{Phase, Usage};

#[derive(Debug, Clone)]
pub struct ResumeExecution {
    pub by: String,
    pub wait: Wait,
}

impl ResumeExecution {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        match spec.status {
            Status::Paused => {}
            Status::Executing | Status::AwaitingApproval => return Ok(Vec::new()),
            Status::Draft | Status::Unknown => {
                return Err(Rejection::WrongStatus {
                    status: spec.status,
                    command: "resume",
                    needs: "paused; execute it first",
                });
            }
            Status::Completed | Status::Failed | Status::Cancelled => {
                return Err(Rejection::Ended { status: spec.status });
            }
        }
        let phase = spec.first_open_phase().unwrap_or(Phase::Sync);
        let pending = spec.phase_state(phase).and_then(|state| state.pending.as_ref());
        if let Some(used) = spec.over_budget(Usage::default())
            && pending.is_none()
            && phase.needs_agent()
        {
            return Err(Rejection::BudgetExceeded { used });
        }
        let mut events = vec![Event::ExecutionResumed {
            by: self.by.clone(),
            run: spec.run,
            phase,
            attempt: spec.next_attempt(phase),
        }];
        let waits_for_person = state_is_judged(spec, phase);
        if let Some(pending) = pending.filter(|_| waits_for_person) {
            // It was judged and waits for a person: ask again rather than work again.
            events.push(spec.ask_approval(phase, pending.attempt, pending.digest, self.wait));
        } else if spec.sandbox.id().is_none() {
            events.extend(spec.request_sandbox(phase, SandboxReason::Resume, None));
        }
        Ok(events)
    }
}

/// Whether no evaluator is left to speak of the phase's output.
fn state_is_judged(spec: &Spec, phase: Phase) -> bool {
    spec.phase_state(phase).is_none_or(|state| state.evaluating.is_empty())
}
