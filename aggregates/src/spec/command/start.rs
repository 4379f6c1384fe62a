//! StartExecution: begins a run. A second one finds it running and changes nothing.

use super::Decision;
use crate::Phase;
use crate::spec::event::{Event, ManifestRef, SandboxReason};
use crate::spec::rejection::Rejection;
use crate::spec::state::{Spec, Status};

#[derive(Debug, Clone)]
pub struct StartExecution {
    /// The snapshot that the run works on.
    pub manifest: ManifestRef,
}

impl StartExecution {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        match spec.status {
            Status::Draft => {}
            Status::Executing | Status::AwaitingApproval => return Ok(Vec::new()),
            Status::Paused => return Err(Rejection::Paused),
            Status::Unknown => return Err(Rejection::NotFound),
            Status::Completed | Status::Failed | Status::Cancelled => {
                return Err(Rejection::Ended { status: spec.status });
            }
        }
        let first_phase = spec.first_open_phase().unwrap_or(Phase::Sync);
        let mut events = vec![Event::ExecutionStarted {
            run: spec.run + 1,
            first_phase,
            manifest: self.manifest.clone(),
        }];
        events.extend(spec.request_sandbox(first_phase, SandboxReason::Start, None));
        Ok(events)
    }
}
