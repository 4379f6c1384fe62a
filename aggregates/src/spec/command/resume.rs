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
        if let Some(pending) = pending {
            // It was judged and waits for a person: ask again rather than work again.
            events.push(spec.ask_approval(phase, pending.attempt, pending.digest, self.wait));
        } else if spec.sandbox.id().is_none() {
            events.extend(spec.request_sandbox(phase, SandboxReason::Resume, None));
        }
        Ok(events)
    }
}
