//! ReportAttemptFailed: the worker could not bring an output.

use super::{Decision, FailedAttempt, Wait};
use crate::spec::event::FailureKind;
use crate::spec::rejection::Rejection;
use crate::spec::state::Spec;
use crate::{Epoch, Phase, Usage};

/// Longest message that is kept, in characters.
const MAX_MESSAGE_CHARS: usize = 4_000;

#[derive(Debug, Clone)]
pub struct ReportAttemptFailed {
    pub epoch: Epoch,
    pub phase: Phase,
    pub attempt: u32,
    pub kind: FailureKind,
    pub message: String,
    pub usage: Usage,
    pub wait: Wait,
}

impl ReportAttemptFailed {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        let feedback = spec.phase_state(self.phase).and_then(|state| state.feedback.as_ref());
        if feedback.is_some_and(|told| told.attempt == self.attempt && told.kind == self.kind) {
            return Ok(Vec::new());
        }
        spec.fence(self.epoch)?;
        self.check_kind()?;
        spec.running(self.phase, self.attempt)?;
        let failed = FailedAttempt {
            attempt: self.attempt,
            kind: self.kind,
            message: self.message.chars().take(MAX_MESSAGE_CHARS).collect(),
            usage: self.usage,
            submitted: Usage::default(),
        };
        Ok(spec.after_failure(self.phase, failed, self.wait))
    }

    /// What a worker can know of. Any other kind is decided here, and some use up no attempt.
    fn check_kind(&self) -> Result<(), Rejection> {
        match self.kind {
            FailureKind::AgentError
            | FailureKind::Timeout
            | FailureKind::InvalidOutput
            | FailureKind::Configuration => Ok(()),
            FailureKind::Gate
            | FailureKind::Budget
            | FailureKind::Rejected
            | FailureKind::Sync
            | FailureKind::SandboxLost => {
                let problem = format!("{} is not a worker's to report", self.kind.as_str());
                Err(Rejection::InvalidInput { field: "kind", problem })
            }
        }
    }
}
