//! EditOutput: a person's own output, through the same gate. The later phases are reopened.

use super::output::{Judged, check_size};
use super::{Decision, Judging, Wait};
use crate::spec::event::{Event, ReleaseReason, SandboxReason};
use crate::spec::rejection::Rejection;
use crate::spec::state::{Spec, Status};
use crate::{Phase, RawJson, Usage};

#[derive(Debug, Clone)]
pub struct EditOutput {
    pub phase: Phase,
    pub output: RawJson,
    pub by: String,
    pub judging: Judging,
    pub wait: Wait,
}

impl EditOutput {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        self.check(spec)?;
        let digest = self.output.digest();
        let accepted = spec.accepted(self.phase).map(|accepted| accepted.digest);
        let pending = spec.phase_state(self.phase).and_then(|state| state.pending.as_ref());
        if accepted.or(pending.map(|pending| pending.digest)) == Some(digest) {
            return Ok(Vec::new());
        }
        let judgement = spec.judge(self.phase, &self.output, &self.judging)?;
        if !judgement.passed {
            let findings = judgement.failed().cloned().collect();
            return Err(Rejection::GateFailed { phase: self.phase, findings });
        }
        let attempt = spec.next_attempt(self.phase);
        let judged = spec.judged(Judged {
            phase: self.phase,
            attempt,
            output: &self.output,
            digest,
            usage: Usage::default(),
            session: None,
            by: &self.by,
            judgement: &judgement,
        })?;
        if spec.policy.approvals.contains(&self.phase) {
            Ok(self.then_ask(spec, attempt, judged))
        } else {
            Ok(self.then_complete(spec, judged))
        }
    }

    fn check(&self, spec: &Spec) -> Result<(), Rejection> {
        check_size(&self.output)?;
        if !self.phase.needs_agent() {
            let problem = "sync is computed; edit an earlier phase".to_owned();
            return Err(Rejection::InvalidInput { field: "phase", problem });
        }
        if matches!(spec.status, Status::Unknown | Status::Draft) {
            return Err(Rejection::WrongStatus {
                status: spec.status,
                command: "edit",
                needs: "started; execute it first",
            });
        }
        if spec.status == Status::Cancelled {
            return Err(Rejection::Ended { status: spec.status });
        }
        match spec.first_open_phase() {
            Some(missing) if missing < self.phase => {
                Err(Rejection::NotReachable { phase: self.phase, missing })
            }
            _ => Ok(()),
        }
    }

    /// Whether the spec goes on by itself. A paused or ended one waits for a resume.
    fn goes_on(spec: &Spec) -> bool {
        matches!(spec.status, Status::Executing | Status::AwaitingApproval)
    }

    /// The phase is done, and the later ones begin again.
    fn then_complete(&self, spec: &Spec, judged: Vec<Event>) -> Vec<Event> {
        let mut events = Self::released(spec);
        let sequence = spec.version() + events.len() as u64 + 1;
        events.extend(judged);
        events.extend(spec.complete_phase(self.phase, self.output.digest(), sequence));
        let next = self.phase.next().unwrap_or(Phase::Sync);
        events.extend(spec.begin_again(next, &self.by, &format!("{} was edited", self.phase)));
        if Self::goes_on(spec) {
            events.extend(spec.go_on(next, SandboxReason::Edit));
        } else {
            events.push(self.paused());
        }
        events
    }

    /// The policy asks for an approval, and an edit is no way around it.
    fn then_ask(&self, spec: &Spec, attempt: u32, judged: Vec<Event>) -> Vec<Event> {
        let mut events = Self::released(spec);
        if spec.status != Status::AwaitingApproval || spec.phase != Some(self.phase) {
            let reason = format!("{} was edited", self.phase);
            events.extend(spec.begin_again(self.phase, &self.by, &reason));
        }
        events.extend(judged);
        let digest = self.output.digest();
        events.push(if Self::goes_on(spec) {
            spec.ask_approval(self.phase, attempt, digest, self.wait)
        } else {
            self.paused()
        });
        events
    }

    fn released(spec: &Spec) -> Vec<Event> {
        spec.release_sandbox(ReleaseReason::Reopened).into_iter().collect()
    }

    fn paused(&self) -> Event {
        let reason = format!("{} was edited; resume to go on", self.phase);
        Event::ExecutionPaused { by: self.by.clone(), reason }
    }
}
