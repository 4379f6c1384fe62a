//! The one transition of a spec: replay and live both go through `evolve`. It checks that an event
//! can follow the state at all (a log that breaks this is corrupt); whether it *should* have been
//! decided is the commands' business.

use super::event::{Event, FailureKind, LossCause};
use super::state::{
    Accepted, Attempt, Failure, Feedback, Pending, PhaseState, Sandbox, Spec, Status, Step, Steps,
    SyncPlan, Verdict,
};
use crate::{IllegalTransition, Phase, Usage};

impl Spec {
    /// Applies one event. On an error the state is unchanged.
    pub fn evolve(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        self.check(event)?;
        self.version += 1;
        self.apply_lifecycle(event);
        self.apply_sandbox(event);
        self.apply_phase(event);
        self.apply_outcome(event);
        Ok(())
    }

    fn check(&self, event: &Event) -> Result<(), IllegalTransition> {
        let first = matches!(event, Event::SpecDrafted { .. } | Event::SpecForked { .. });
        let legal = match event {
            Event::SpecDrafted { .. } | Event::SpecForked { .. } => self.status == Status::Unknown,
            Event::SandboxRequested { epoch, .. } => *epoch == self.epoch.next(),
            Event::SandboxAttached { epoch, sandbox, .. } => {
                *epoch == self.epoch && self.sandbox == Sandbox::Requested { id: *sandbox }
            }
            Event::AttemptStarted { epoch, phase, attempt, .. } => {
                let last = self.phases.get(phase).map_or(0, |state| state.last_attempt);
                *epoch == self.epoch && *attempt > last
            }
            Event::SandboxLost { epoch, sandbox, .. }
            | Event::SandboxReleased { epoch, sandbox, .. } => {
                *epoch == self.epoch && self.sandbox.id() == Some(*sandbox)
            }
            Event::PhaseCompleted { phase, output, .. } => {
                self.accepted(*phase).is_some_and(|accepted| accepted.digest == *output)
            }
            Event::CheckpointSaved { phase, output, .. } => self.may_accept(*phase, output),
            Event::SpecCompleted { .. }
            | Event::SpecFailed { .. }
            | Event::SpecCancelled { .. } => !self.status.is_ended(),
            Event::StepRecorded { .. }
            | Event::OutputSubmitted { .. }
            | Event::VerdictRecorded { .. }
            | Event::EvaluationRequested { .. }
            | Event::AttemptFailed { .. }
            | Event::ApprovalRequested { .. }
            | Event::PhaseApproved { .. }
            | Event::PhaseRejected { .. }
            | Event::SpecRevised { .. }
            | Event::ExecutionStarted { .. }
            | Event::ExecutionPaused { .. }
            | Event::ExecutionResumed { .. }
            | Event::PhaseReopened { .. }
            | Event::TicketLinked { .. }
            | Event::CommentAdded { .. }
            | Event::SyncPlanned { .. }
            | Event::SpecSynced { .. } => true,
        };
        if legal && (first || self.status != Status::Unknown) {
            Ok(())
        } else {
            Err(IllegalTransition::new(self.status, event.name()))
        }
    }

    /// Whether `output` is the one that was submitted last, and its verdict is a pass.
    fn may_accept(&self, phase: Phase, output: &crate::Digest) -> bool {
        let Some(state) = self.phases.get(&phase) else { return false };
        let passed = |verdict: &Verdict| verdict.passed && verdict.output == *output;
        state.verdict.as_ref().is_some_and(passed)
            && state.pending.as_ref().is_some_and(|pending| pending.digest == *output)
    }

    fn state_mut(&mut self, phase: Phase) -> &mut PhaseState {
        self.phases.entry(phase).or_default()
    }

    fn account(&mut self, phase: Phase, usage: Usage) {
        self.usage = self.usage.plus(usage);
        self.epoch_usage = self.epoch_usage.plus(usage);
        let state = self.state_mut(phase);
        state.usage = state.usage.plus(usage);
    }

    /// Opens `phase` and everything after it again.
    fn reopen(&mut self, from: Phase) {
        for phase in Phase::ALL.into_iter().filter(|phase| *phase >= from) {
            let state = self.state_mut(phase);
            state.used_attempts = 0;
            state.losses = 0;
            state.running = None;
            state.retry_at = None;
            state.pending = None;
            state.evaluating.clear();
            // What was done for an output that was accepted is not taken up again.
            if state.accepted.take().is_some() {
                state.steps = Steps::default();
            }
            if phase > from {
                state.feedback = None;
            }
        }
        self.plan = None;
        self.approval_deadline = None;
    }

    fn apply_lifecycle(&mut self, event: &Event) {
        if let Event::SpecDrafted { spec, brief, policy } = event {
            self.id = Some(*spec);
            self.brief = Some(brief.clone());
            self.policy = (**policy).clone();
            self.status = Status::Draft;
        } else if let Event::SpecForked { .. } = event {
            self.apply_fork(event);
        } else if let Event::SpecRevised { title, description, .. } = event {
            if let Some(brief) = &mut self.brief {
                brief.title = title.clone().unwrap_or_else(|| brief.title.clone());
                brief.description =
                    description.clone().unwrap_or_else(|| brief.description.clone());
            }
        } else if let Event::ExecutionStarted { run, first_phase, manifest } = event {
            self.run = *run;
            self.phase = Some(*first_phase);
            self.manifest = Some(manifest.clone());
            self.status = Status::Executing;
            self.failure = None;
            let state = self.state_mut(*first_phase);
            state.used_attempts = 0;
            state.losses = 0;
        } else if let Event::ExecutionPaused { .. } = event {
            self.status = Status::Paused;
            self.approval_deadline = None;
        } else if let Event::ExecutionResumed { phase, .. } = event {
            self.status = Status::Executing;
            self.phase = Some(*phase);
        } else if let Event::PhaseReopened { phase, budget, .. } = event {
            self.reopen(*phase);
            self.phase = Some(*phase);
            self.failure = None;
            self.status = Status::Executing;
            self.policy.budget = budget.unwrap_or(self.policy.budget);
        } else if let Event::TicketLinked { ticket } = event {
            self.tickets.insert(*ticket);
        }
    }

    fn apply_fork(&mut self, event: &Event) {
        let Event::SpecForked { spec, source, sequence, brief, policy, accepted, .. } = event
        else {
            return;
        };
        self.id = Some(*spec);
        self.brief = Some(brief.clone());
        self.policy = (**policy).clone();
        self.status = Status::Draft;
        self.forked_from = Some((*source, *sequence));
        let at = self.version;
        for (phase, inherited) in accepted {
            self.state_mut(*phase).accepted = Some(Accepted {
                output: inherited.output.clone(),
                digest: inherited.digest,
                score: inherited.score,
                run: 0,
                sequence: at,
            });
        }
    }

    fn apply_sandbox(&mut self, event: &Event) {
        if let Event::SandboxRequested { epoch, sandbox, not_before, phase, .. } = event {
            self.epoch = *epoch;
            self.sandbox = Sandbox::Requested { id: *sandbox };
            self.epoch_usage = Usage::default();
            self.state_mut(*phase).retry_at = *not_before;
        } else if let Event::SandboxAttached { sandbox, instance, .. } = event {
            self.sandbox = Sandbox::Attached { id: *sandbox, instance: *instance };
        } else if let Event::SandboxReleased { phase, usage, .. } = event {
            if let Some(phase) = phase {
                self.account(*phase, *usage);
            }
            self.sandbox = Sandbox::None;
            self.stop_attempt();
        } else if let Event::SandboxLost { phase, usage, cause, .. } = event {
            self.account(*phase, *usage);
            self.sandbox = Sandbox::None;
            self.stop_attempt();
            if *cause != LossCause::Shutdown {
                self.state_mut(*phase).losses += 1;
            }
        }
    }

    /// The running attempt ends with its sandbox, and does not count as used.
    fn stop_attempt(&mut self) {
        if let Some(phase) = self.phase {
            let state = self.state_mut(phase);
            if phase.needs_agent() && state.running.take().is_some() {
                state.used_attempts = state.used_attempts.saturating_sub(1);
            }
        }
    }

    fn apply_phase(&mut self, event: &Event) {
        if let Event::AttemptStarted { phase, attempt, epoch, context, deadline, .. } = event {
            let state = self.state_mut(*phase);
            state.last_attempt = *attempt;
            state.used_attempts += 1;
            state.retry_at = None;
            state.running = Some(Attempt {
                number: *attempt,
                epoch: *epoch,
                context: *context,
                deadline: *deadline,
            });
            if state.steps.context != Some(*context) {
                state.steps.context = Some(*context);
                state.steps.by_name.clear();
            }
        } else if let Event::StepRecorded { phase, step, name, result, usage, .. } = event {
            self.account(*phase, *usage);
            let step = Step { number: *step, result: result.clone() };
            self.state_mut(*phase).steps.by_name.insert(name.clone(), step);
        } else if let Event::OutputSubmitted { phase, attempt, output, digest, usage, .. } = event {
            self.account(*phase, *usage);
            let sequence = self.version;
            let state = self.state_mut(*phase);
            state.last_attempt = state.last_attempt.max(*attempt);
            if state.running.take().is_none() && state.pending.is_none() {
                // A person's: it counts like an attempt, so that a rejection can give it back.
                state.used_attempts += 1;
            }
            state.pending = Some(Pending {
                attempt: *attempt,
                output: output.clone(),
                digest: *digest,
                sequence,
            });
            if let Event::OutputSubmitted { session: Some(session), .. } = event {
                state.session = Some(session.clone());
            }
        } else if let Event::AttemptFailed { .. } = event {
            self.apply_failed_attempt(event);
        }
    }

    fn apply_failed_attempt(&mut self, event: &Event) {
        let Event::AttemptFailed { phase, attempt, kind, message, usage, retry_at } = event else {
            return;
        };
        self.account(*phase, *usage);
        self.approval_deadline = None;
        let state = self.state_mut(*phase);
        state.running = None;
        state.retry_at = *retry_at;
        if *kind == FailureKind::Rejected {
            state.used_attempts = state.used_attempts.saturating_sub(1);
        }
        state.evaluating.clear();
        let pending = state.pending.take().filter(|pending| pending.attempt == *attempt);
        let verdict = state.verdict.as_ref().filter(|verdict| verdict.attempt == *attempt);
        let findings = verdict.map_or_else(Vec::new, |verdict| {
            verdict.findings.iter().filter(|f| !f.passed && !f.skipped).cloned().collect()
        });
        state.feedback = Some(Feedback {
            attempt: *attempt,
            kind: *kind,
            message: message.clone(),
            output: pending.map(|pending| pending.output),
            findings,
        });
    }

    fn apply_outcome(&mut self, event: &Event) {
        if let Event::VerdictRecorded { phase, .. } = event {
            if let Some(verdict) = Verdict::of(event) {
                self.state_mut(*phase).take_verdict(verdict);
            }
        } else if let Event::EvaluationRequested { phase, evaluators, .. } = event {
            self.state_mut(*phase).evaluating = evaluators.iter().cloned().collect();
        } else if let Event::ApprovalRequested { deadline, .. } = event {
            self.status = Status::AwaitingApproval;
            self.approval_deadline = *deadline;
        } else if let Event::PhaseApproved { .. } | Event::PhaseRejected { .. } = event {
            self.status = Status::Executing;
            self.approval_deadline = None;
        } else if let Event::CheckpointSaved { phase, output, run, sequence } = event {
            let state = self.state_mut(*phase);
            let score = state.verdict.as_ref().map_or(0, |verdict| verdict.score);
            state.accepted = state.pending.take().map(|pending| Accepted {
                output: pending.output,
                digest: *output,
                score,
                run: *run,
                sequence: *sequence,
            });
        } else if let Event::PhaseCompleted { phase, next, .. } = event {
            let state = self.state_mut(*phase);
            state.running = None;
            state.feedback = None;
            state.retry_at = None;
            self.phase = Some(next.unwrap_or(*phase));
        } else {
            self.apply_end(event);
        }
    }

    fn apply_end(&mut self, event: &Event) {
        if let Event::SyncPlanned { run, attempt, folder, ids, coverage, files, plan } = event {
            self.plan = Some(SyncPlan {
                run: *run,
                attempt: *attempt,
                folder: folder.clone(),
                ids: ids.clone(),
                coverage: coverage.clone(),
                files: files.clone(),
                digest: *plan,
            });
        } else if let Event::SpecSynced { ids, files, .. } = event {
            self.synced = Some(ids.clone());
            self.exported.clone_from(files);
        } else if let Event::SpecCompleted { .. } = event {
            self.status = Status::Completed;
        } else if let Event::SpecFailed { kind, reason, phase } = event {
            self.status = Status::Failed;
            self.failure = Some(Failure { kind: *kind, reason: reason.clone(), phase: *phase });
        } else if let Event::SpecCancelled { .. } = event {
            self.status = Status::Cancelled;
            self.approval_deadline = None;
            if let Some(phase) = self.phase {
                self.state_mut(phase).running = None;
            }
        }
    }
}

impl PhaseState {
    /// An evaluator that passes the output joins the gate's verdict; any other verdict takes its
    /// place.
    fn take_verdict(&mut self, verdict: Verdict) {
        let asked = self.evaluating.remove(&verdict.evaluator);
        match &mut self.verdict {
            Some(so_far) if asked && verdict.passed => {
                so_far.score = so_far.score.min(verdict.score);
                so_far.findings.extend(verdict.findings);
            }
            slot => *slot = Some(verdict),
        }
    }
}

impl Verdict {
    fn of(event: &Event) -> Option<Self> {
        let Event::VerdictRecorded { attempt, output, evaluator, passed, score, findings, .. } =
            event
        else {
            return None;
        };
        Some(Self {
            attempt: *attempt,
            output: *output,
            evaluator: evaluator.clone(),
            passed: *passed,
            score: *score,
            findings: findings.clone(),
        })
    }
}
