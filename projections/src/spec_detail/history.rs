//! Folds the history of attempts.

use specline_aggregates::Phase;
use specline_aggregates::spec::{Event, FailureKind};

use super::document::{AttemptRecord, Outcome, SpecDetail};
use crate::Envelope;
use crate::lifecycle::joins_the_gate;

impl Outcome {
    const fn of(kind: FailureKind) -> Self {
        match kind {
            FailureKind::AgentError => Self::AgentError,
            FailureKind::Timeout => Self::Timeout,
            FailureKind::InvalidOutput => Self::InvalidOutput,
            FailureKind::Gate => Self::Gate,
            FailureKind::Budget => Self::Budget,
            FailureKind::Rejected => Self::Rejected,
            FailureKind::Configuration => Self::Configuration,
            FailureKind::Sync => Self::Sync,
            FailureKind::SandboxLost => Self::SandboxLost,
        }
    }
}

impl SpecDetail {
    pub(super) fn take_history(&mut self, event: &Event, envelope: &Envelope) {
        let at = envelope.recorded_at;
        if let Event::AttemptStarted { phase, attempt, epoch, .. } = event {
            let record = self.record(*phase, *attempt, envelope);
            record.epoch = *epoch;
        } else if let Event::OutputSubmitted { phase, attempt, by, .. } = event {
            let epoch = self.epoch;
            let record = self.record(*phase, *attempt, envelope);
            record.ended_at = Some(at);
            if by != "agent" && by != "engine" {
                record.epoch = epoch;
                record.message = Some(format!("edited by {by}"));
            }
        } else if let Event::VerdictRecorded { phase, attempt, score, .. } = event {
            let record = self.record(*phase, *attempt, envelope);
            let so_far = record.score.filter(|_| joins_the_gate(event));
            record.score = Some(so_far.map_or(*score, |before| before.min(*score)));
        } else if let Event::ApprovalRequested { phase, attempt, .. } = event {
            self.record(*phase, *attempt, envelope).outcome = Outcome::AwaitingApproval;
        } else if let Event::CheckpointSaved { phase, .. } = event {
            if let Some(last) = self.attempts.iter_mut().rfind(|record| record.phase == *phase) {
                last.outcome = Outcome::Accepted;
            }
        } else if let Event::AttemptFailed { phase, attempt, kind, message, .. } = event {
            let record = self.record(*phase, *attempt, envelope);
            record.ended_at = Some(at);
            record.outcome = Outcome::of(*kind);
            record.message = Some(message.clone());
        } else if let Event::SandboxLost { .. } = event {
            self.stop(Phase::needs_agent, Outcome::SandboxLost, envelope);
        } else if let Event::SandboxReleased { .. } = event {
            self.stop(Phase::needs_agent, Outcome::Released, envelope);
        } else if let Event::SpecCancelled { .. } = event {
            self.stop(|_| true, Outcome::Released, envelope);
        } else if let Event::PhaseReopened { phase: from, .. } = event {
            self.stop(|phase| phase >= *from, Outcome::Superseded, envelope);
        }
    }

    /// Ends the attempts that still run.
    fn stop(&mut self, of: impl Fn(Phase) -> bool, outcome: Outcome, envelope: &Envelope) {
        let running = self.attempts.iter_mut().filter(|record| record.ended_at.is_none());
        for record in running.filter(|record| of(record.phase)) {
            record.ended_at = Some(envelope.recorded_at);
            record.outcome = outcome;
        }
    }

    /// The record of an attempt; a new one when there is none (a person's edit starts none).
    fn record(&mut self, phase: Phase, attempt: u32, envelope: &Envelope) -> &mut AttemptRecord {
        let known = self.attempts.iter().rposition(|r| r.phase == phase && r.attempt == attempt);
        let index = known.unwrap_or_else(|| {
            self.attempts.push(AttemptRecord {
                phase,
                attempt,
                epoch: self.epoch,
                started_at: envelope.recorded_at,
                ended_at: None,
                outcome: Outcome::Running,
                message: None,
                score: None,
            });
            self.attempts.len() - 1
        });
        &mut self.attempts[index]
    }
}
