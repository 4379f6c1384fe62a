//! RetryFromPhase: the explicit way on from an end, or back to an earlier phase.

use super::Decision;
use crate::spec::event::{Event, ManifestRef, ReleaseReason, SandboxReason};
use crate::spec::rejection::Rejection;
use crate::spec::state::{Spec, Status};
use crate::{Budget, Phase};

#[derive(Debug, Clone)]
pub struct RetryFromPhase {
    pub phase: Phase,
    pub by: String,
    pub reason: String,
    pub budget: Option<Budget>,
    /// A new snapshot, taken when the retry starts at explore.
    pub manifest: Option<ManifestRef>,
}

impl RetryFromPhase {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        if matches!(spec.status, Status::Unknown | Status::Draft) {
            return Err(Rejection::WrongStatus {
                status: spec.status,
                command: "retry",
                needs: "started; execute it first",
            });
        }
        if let Some(missing) = spec.first_open_phase().filter(|open| *open < self.phase) {
            return Err(Rejection::NotReachable { phase: self.phase, missing });
        }
        let budget = self.budget.unwrap_or(spec.policy.budget);
        if let Some(used) = budget.exceeded_by(spec.usage)
            && self.phase.needs_agent()
        {
            return Err(Rejection::BudgetExceeded { used });
        }
        let manifest = match &self.manifest {
            Some(manifest) => manifest.clone(),
            None => spec.run_manifest()?.clone(),
        };
        let mut events: Vec<Event> =
            spec.release_sandbox(ReleaseReason::Reopened).into_iter().collect();
        events.push(Event::PhaseReopened {
            phase: self.phase,
            by: self.by.clone(),
            reason: self.reason.clone(),
            budget: self.budget,
        });
        events.push(Event::ExecutionStarted {
            run: spec.run + 1,
            first_phase: self.phase,
            manifest,
        });
        events.extend(spec.request_sandbox(self.phase, SandboxReason::Retry, None));
        Ok(events)
    }
}
