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
        let current = spec.accepted(self.phase).map(|accepted| accepted.digest);
        if current == Some(digest) {
            return Ok(Vec::new());
        }
        let judgement = spec.judge(self.phase, &self.output, &self.judging)?;
        if !judgement.passed {
            let findings = judgement.failed().cloned().collect();
            return Err(Rejection::GateFailed { phase: self.phase, findings });
        }
        let mut events: Vec<Event> =
            spec.release_sandbox(ReleaseReason::Reopened).into_iter().collect();
        let sequence = spec.version() + events.len() as u64 + 1;
        let attempt = spec.next_attempt(self.phase);
        events.extend(spec.judged(Judged {
            phase: self.phase,
            attempt,
            output: &self.output,
            digest,
            usage: Usage::default(),
            session: None,
            by: &self.by,
            judgement: &judgement,
        })?);
        if spec.status == Status::AwaitingApproval && spec.phase == Some(self.phase) {
            events.push(spec.ask_approval(self.phase, attempt, digest, self.wait));
            return Ok(events);
        }
        events.extend(spec.complete_phase(self.phase, digest, sequence));
        events.extend(self.reopen_later(spec));
        Ok(events)
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
        match spec.first_open_phase() {
            Some(missing) if missing < self.phase => {
                Err(Rejection::NotReachable { phase: self.phase, missing })
            }
            _ => Ok(()),
        }
    }

    fn reopen_later(&self, spec: &Spec) -> Vec<Event> {
        let next = self.phase.next().unwrap_or(Phase::Sync);
        let mut events = spec.begin_again(next, &self.by, &format!("{} was edited", self.phase));
        if spec.status == Status::Executing {
            events.extend(spec.request_sandbox(next, SandboxReason::Edit, None));
        } else {
            let reason = format!("{} was edited; resume to go on", self.phase);
            events.push(Event::ExecutionPaused { by: self.by.clone(), reason });
        }
        events
    }
}
