//! ApprovePhase and RejectPhase: the human gate. Both name the digest that was looked at.

use super::{Decision, Wait, check_text};
use crate::spec::event::{Event, FailureKind, SandboxReason};
use crate::spec::rejection::Rejection;
use crate::spec::state::{Pending, Spec, Status};
use crate::{Digest, Phase, Usage};

/// Longest feedback or comment, in bytes.
pub(super) const MAX_FEEDBACK_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone)]
pub struct ApprovePhase {
    pub phase: Phase,
    pub digest: Digest,
    pub by: String,
    pub comment: Option<String>,
}

#[derive(Debug, Clone)]
pub struct RejectPhase {
    pub phase: Phase,
    pub digest: Digest,
    pub by: String,
    pub feedback: String,
    pub wait: Wait,
}

impl ApprovePhase {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        let done = spec.accepted(self.phase).is_some_and(|done| done.digest == self.digest);
        if done && spec.phase != Some(self.phase) {
            return Ok(Vec::new());
        }
        let pending = spec.awaited(self.phase, self.digest)?;
        let mut events = vec![Event::PhaseApproved {
            phase: self.phase,
            output: self.digest,
            by: self.by.clone(),
            comment: self.comment.clone(),
        }];
        events.extend(spec.complete_phase(self.phase, self.digest, pending.sequence));
        let next = self.phase.next().unwrap_or(self.phase);
        events.extend(spec.go_on(next, SandboxReason::Approval));
        Ok(events)
    }
}

impl RejectPhase {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        check_text("feedback", &self.feedback, MAX_FEEDBACK_BYTES)?;
        let told = spec.phase_state(self.phase).and_then(|state| state.feedback.as_ref());
        let again = told.is_some_and(|told| {
            told.kind == FailureKind::Rejected
                && told.message == self.feedback
                && told.output.as_ref().is_some_and(|output| output.digest() == self.digest)
        });
        if again && spec.status != Status::AwaitingApproval {
            return Ok(Vec::new());
        }
        let pending = spec.awaited(self.phase, self.digest)?;
        let over = spec.over_budget(Usage::default()).is_some();
        let mut events = vec![
            Event::PhaseRejected {
                phase: self.phase,
                output: self.digest,
                by: self.by.clone(),
                feedback: self.feedback.clone(),
            },
            Event::AttemptFailed {
                phase: self.phase,
                attempt: pending.attempt,
                kind: FailureKind::Rejected,
                message: self.feedback.clone(),
                usage: Usage::default(),
                retry_at: (!over).then_some(self.wait.now),
            },
        ];
        events.extend(spec.go_on(self.phase, SandboxReason::Rejection));
        Ok(events)
    }
}

impl Spec {
    /// The output that waits for a person, when it is `digest` of `phase`.
    fn awaited(&self, phase: Phase, digest: Digest) -> Result<&Pending, Rejection> {
        if self.status.is_ended() {
            return Err(Rejection::Ended { status: self.status });
        }
        if self.status != Status::AwaitingApproval {
            return Err(Rejection::WrongStatus {
                status: self.status,
                command: "an approval",
                needs: "awaiting_approval",
            });
        }
        if self.phase != Some(phase) {
            return Err(Rejection::PhaseNotOpen { phase, current: self.phase });
        }
        let pending = self.current().and_then(|state| state.pending.as_ref());
        let pending = pending.ok_or(Rejection::PhaseNotOpen { phase, current: self.phase })?;
        if pending.digest == digest {
            Ok(pending)
        } else {
            Err(Rejection::DigestMismatch { given: digest, current: pending.digest })
        }
    }
}
