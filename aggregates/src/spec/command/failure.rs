//! ReportAttemptFailed: the worker could not bring an output.

use super::{Decision, FailedAttempt, Wait};
use crate::spec::event::FailureKind;
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
        spec.running(self.phase, self.attempt)?;
        let failed = FailedAttempt {
            attempt: self.attempt,
            kind: self.kind,
            message: self.message.chars().take(MAX_MESSAGE_CHARS).collect(),
            usage: self.usage,
        };
        Ok(spec.after_failure(self.phase, failed, self.wait))
    }
}
