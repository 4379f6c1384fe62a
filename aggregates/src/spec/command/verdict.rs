//! RecordVerdict: an evaluator says what it thinks of an output that the gate has passed. The
//! output counts when all of them have passed it.

use super::output::Passed;
use super::{Decision, FailedAttempt, Wait};
use crate::gate::RULES_VERSION;
use crate::spec::event::{Event, FailureKind};
use crate::spec::rejection::Rejection;
use crate::spec::state::Spec;
use crate::{Digest, Finding, Phase, Usage};

#[derive(Debug, Clone)]
pub struct RecordVerdict {
    pub phase: Phase,
    /// Digest of the output that it judged.
    pub digest: Digest,
    pub evaluator: String,
    pub passed: bool,
    /// 0 to 1000.
    pub score: u16,
    pub findings: Vec<Finding>,
    pub wait: Wait,
}

impl RecordVerdict {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        if spec.status.is_ended() {
            return Err(Rejection::Ended { status: spec.status });
        }
        let state = spec.phase_state(self.phase);
        let asked = state.is_some_and(|state| state.evaluating.contains(&self.evaluator));
        let pending = state.and_then(|state| state.pending.as_ref()).filter(|_| asked);
        // It has said so before, or the output it speaks of is no longer in question.
        let Some(pending) = pending else { return Ok(Vec::new()) };
        if pending.digest != self.digest {
            return Err(Rejection::DigestMismatch { given: self.digest, current: pending.digest });
        }
        let mut events = vec![Event::VerdictRecorded {
            phase: self.phase,
            attempt: pending.attempt,
            output: self.digest,
            evaluator: self.evaluator.clone(),
            rules_version: RULES_VERSION,
            threshold: spec.policy.gate.threshold,
            manifest: spec.run_manifest()?.digest,
            passed: self.passed,
            score: self.score.min(1000),
            findings: self.findings.clone(),
        }];
        if !self.passed {
            let failed = FailedAttempt {
                attempt: pending.attempt,
                kind: FailureKind::Gate,
                message: self.told(),
                usage: Usage::default(),
                submitted: Usage::default(),
            };
            events.extend(spec.after_failure(self.phase, failed, self.wait));
        } else if state.is_some_and(|state| state.evaluating.len() == 1) {
            events.extend(spec.accept(&Passed {
                phase: self.phase,
                attempt: pending.attempt,
                digest: self.digest,
                sequence: pending.sequence,
                usage: Usage::default(),
                wait: self.wait,
            }));
        }
        Ok(events)
    }

    fn told(&self) -> String {
        let first = self.findings.iter().find(|finding| !finding.passed);
        let said = first.map_or("it did not pass", |finding| finding.message.as_str());
        format!("{}: {said}", self.evaluator)
    }
}
