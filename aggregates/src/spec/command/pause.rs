//! PauseExecution: the running attempt finishes and is judged; no next one starts.
//! ExpireApproval: an approval that took too long pauses the spec.

use super::Decision;
use crate::Timestamp;
use crate::spec::event::{Event, ReleaseReason};
use crate::spec::rejection::Rejection;
use crate::spec::state::{Spec, Status};

#[derive(Debug, Clone)]
pub struct PauseExecution {
    pub by: String,
    pub reason: String,
}

#[derive(Debug, Clone)]
pub struct ExpireApproval {
    pub now: Timestamp,
}

impl PauseExecution {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        match spec.status {
            Status::Paused => return Ok(Vec::new()),
            Status::Executing | Status::AwaitingApproval => {}
            Status::Completed | Status::Failed | Status::Cancelled => {
                return Err(Rejection::Ended { status: spec.status });
            }
            Status::Unknown | Status::Draft => {
                return Err(Rejection::WrongStatus {
                    status: spec.status,
                    command: "pause",
                    needs: "executing",
                });
            }
        }
        let mut events =
            vec![Event::ExecutionPaused { by: self.by.clone(), reason: self.reason.clone() }];
        let at_work = spec.current().is_some_and(|state| state.running.is_some());
        if !at_work {
            events.extend(spec.release_sandbox(ReleaseReason::Paused));
        }
        Ok(events)
    }
}

impl ExpireApproval {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        let due = spec.approval_deadline.is_some_and(|deadline| deadline <= self.now);
        if spec.status != Status::AwaitingApproval || !due {
            return Ok(Vec::new());
        }
        Ok(vec![Event::ExecutionPaused {
            by: "engine".to_owned(),
            reason: "nobody approved in time; resume to ask again".to_owned(),
        }])
    }
}
