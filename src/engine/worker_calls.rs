//! The calls of a worker, as commands. A call names its sandbox; the lease says for which spec and
//! epoch it speaks, and the spec itself decides whether it still may.

use std::sync::PoisonError;

use specline_aggregates::spec::command::{
    AttachSandbox, RecordStep, ReportAttemptFailed, ReportSandboxLost, SubmitOutput, Wait,
};
use specline_aggregates::spec::{Command, LossCause, Payload, Rejection, Sandbox, Spec};
use specline_aggregates::{Phase, SandboxId};

use super::judging::blob_of;
use super::lease_plan::is_wanted;
use super::lookup::{jitter, within};
use super::{Engine, EngineError};
use crate::commands::{Actor, CommandError, Done, Keyed, Order, Origin};
use crate::crash_point;
use crate::protocol::{
    Assignment, Attach, Detach, FailureAnswer, FailureReport, HeartbeatAnswer, HeartbeatReport,
    Note, Orders, StepAnswer, StepReport, Submission, SubmissionAnswer, VerdictReport,
};
use crate::store::{Heartbeat, Lease, LeaseState};

/// Times that an output is judged again because the spec moved meanwhile.
const MAX_CONFLICTS: u32 = 5;

impl Engine {
    /// A worker is up.
    pub async fn attach(
        &self,
        sandbox: SandboxId,
        attach: &Attach,
        keyed: Option<&Keyed>,
    ) -> Result<Assignment, EngineError> {
        self.allow_call(sandbox)?;
        let lease = self.lease(sandbox).await?;
        let stale =
            |current| EngineError::refused(&Rejection::StaleEpoch { given: attach.epoch, current });
        if attach.epoch != lease.epoch || lease.state == LeaseState::Ended {
            return Err(stale(lease.epoch));
        }
        let command = Command::Attach(AttachSandbox {
            epoch: attach.epoch,
            instance: attach.instance,
            provider: self.inner.provider.name().to_owned(),
            isolation: self.inner.provider.isolation().map(str::to_owned),
            worker_version: attach.worker_version.clone(),
        });
        self.by_sandbox(&lease, &command, keyed).await?;
        // Before the instance stands in the lease, which then counts from this sign of life.
        let beat = Heartbeat { sandbox, usage: lease.usage, progressed: true };
        self.inner.side.heartbeat(vec![beat]).await?;
        if !self.inner.side.attach_lease(sandbox, attach.instance).await? {
            return Err(stale(lease.epoch));
        }
        self.assignment(&lease).await
    }

    /// What the sandbox is to do now.
    pub async fn next_assignment(&self, sandbox: SandboxId) -> Result<Assignment, EngineError> {
        self.allow_call(sandbox)?;
        let lease = self.lease(sandbox).await?;
        self.assignment(&lease).await
    }

    /// A durable step inside an attempt.
    pub async fn record_step(
        &self,
        sandbox: SandboxId,
        report: &StepReport,
        keyed: Option<&Keyed>,
    ) -> Result<StepAnswer, EngineError> {
        self.allow_call(sandbox)?;
        let lease = self.lease(sandbox).await?;
        if lease.state != LeaseState::Ended {
            self.allow_step(sandbox, report).await?;
        }
        let result = self.mask(&lease).await?.raw(&report.result)?;
        let command = Command::RecordStep(RecordStep {
            epoch: lease.epoch,
            phase: report.phase,
            attempt: report.attempt,
            number: report.number,
            name: report.name.clone(),
            result: Payload::of(result.clone()),
            usage: report.usage,
        });
        let done = if let Some(done) = self.already_done(&lease, keyed).await? {
            done
        } else {
            let spec = self.spec(lease.owner.into()).await?;
            let origin = sandbox_origin(&lease, &spec);
            let order = Order::from(&origin).keyed(keyed).with_blobs(blob_of(&result));
            self.commands().spec(lease.owner.into(), &command, order).await?
        };
        Ok(StepAnswer { position: done.position.0, version: done.version, recorded: done.written })
    }

    /// The output of an attempt: judged, recorded, and followed by the next assignment.
    pub async fn submit_output(
        &self,
        sandbox: SandboxId,
        submission: &Submission,
        keyed: Option<&Keyed>,
    ) -> Result<SubmissionAnswer, EngineError> {
        self.allow_call(sandbox)?;
        let lease = self.lease(sandbox).await?;
        let done = match self.already_done(&lease, keyed).await? {
            Some(done) => done,
            None => self.judge_output(&lease, submission, keyed).await?,
        };
        crash_point::reach(&format!("engine_output_recorded:{}", submission.phase));
        let verdict = verdict_of(&done.state, submission.phase, submission)?;
        let next = self.next_or_detach(&lease).await?;
        Ok(SubmissionAnswer { position: done.position.0, version: done.version, verdict, next })
    }

    async fn judge_output(
        &self,
        lease: &Lease,
        submission: &Submission,
        keyed: Option<&Keyed>,
    ) -> Result<Done<Spec>, EngineError> {
        let commands = self.commands();
        let mask = self.mask(lease).await?;
        let output = mask.raw(&submission.output)?;
        let session = submission.session.as_deref().map(|session| mask.text(session));
        let mut tries = 0;
        loop {
            let loaded = self.loaded(lease.owner.into()).await?;
            let origin = sandbox_origin(lease, &loaded.state);
            let command = Command::SubmitOutput(Box::new(SubmitOutput {
                epoch: lease.epoch,
                phase: submission.phase,
                attempt: submission.attempt,
                context: submission.context_digest,
                output: output.clone(),
                usage: submission.usage,
                session: session.clone(),
                judging: self.judging(&loaded.state).await?,
                wait: self.wait().await?,
            }));
            let order = Order::from(&origin).keyed(keyed).with_blobs(blob_of(&output));
            match commands.try_once(&commands.specs, loaded, &command, order).await {
                Err(error) if error.is_conflict() && tries < MAX_CONFLICTS => tries += 1,
                Err(CommandError::Rejected(rejection)) => {
                    let done = commands.repeated(&commands.specs, lease.owner, keyed).await?;
                    return done.ok_or_else(|| EngineError::refused(&rejection));
                }
                result => return Ok(result?),
            }
        }
    }

    /// The attempt brought no output.
    pub async fn report_failure(
        &self,
        sandbox: SandboxId,
        report: &FailureReport,
        keyed: Option<&Keyed>,
    ) -> Result<FailureAnswer, EngineError> {
        let lease = self.lease(sandbox).await?;
        let command = Command::ReportFailure(ReportAttemptFailed {
            epoch: lease.epoch,
            phase: report.phase,
            attempt: report.attempt,
            kind: report.kind,
            message: self.mask(&lease).await?.text(&report.message),
            usage: report.usage,
            wait: self.wait().await?,
        });
        let done = match self.already_done(&lease, keyed).await? {
            Some(done) => done,
            None => self.by_sandbox(&lease, &command, keyed).await?,
        };
        let next = self.next_or_detach(&lease).await?;
        Ok(FailureAnswer { position: done.position.0, version: done.version, next })
    }

    /// The worker lives. The answer says whether it is still wanted.
    pub async fn heartbeat(
        &self,
        sandbox: SandboxId,
        report: &HeartbeatReport,
    ) -> Result<HeartbeatAnswer, EngineError> {
        self.allow_call(sandbox)?;
        let lease_ms = if let Some(lease_ms) = self.calm_lease(sandbox) {
            lease_ms
        } else {
            let lease = self.lease(sandbox).await?;
            let spec = self.spec(lease.owner.into()).await?;
            if !is_wanted(&spec, sandbox) || lease.state == LeaseState::Ended {
                return Ok(HeartbeatAnswer { orders: Orders::Stop, lease_ms: lease.lease_ms });
            }
            lease.lease_ms
        };
        let beat = Heartbeat { sandbox, usage: report.usage, progressed: report.progressed };
        if self.inner.beats.send(beat).await.is_err() {
            return Err(EngineError::Transient("the engine is stopping".to_owned()));
        }
        Ok(HeartbeatAnswer { orders: Orders::GoOn, lease_ms })
    }

    /// The length of the lease of a sandbox that the watchdog has just seen to be wanted, and whose
    /// spec has not changed since, as far as this node knows.
    fn calm_lease(&self, sandbox: SandboxId) -> Option<u64> {
        let calm = self.inner.calm.lock().unwrap_or_else(PoisonError::into_inner).get(sandbox);
        let (spec, lease_ms) = calm?;
        let changed = self.inner.commands.specs.peek(spec);
        let wanted = changed.is_none_or(|spec| is_wanted(&spec.state, sandbox));
        wanted.then_some(lease_ms)
    }

    /// Keeps what a worker has to tell beside its outputs; it counts as life, whatever its kind.
    pub async fn add_notes(&self, sandbox: SandboxId, notes: &[Note]) -> Result<(), EngineError> {
        self.allow_call(sandbox)?;
        let lease = self.lease(sandbox).await?;
        if lease.state == LeaseState::Ended {
            return Err(let_go());
        }
        let n_bytes = notes.iter().map(|note| note.kind.len() + note.body.to_string().len()).sum();
        self.inner.allowances.notes(sandbox, n_bytes)?;
        let mask = self.mask(&lease).await?;
        let entry = |note: &Note| (note.kind.clone(), mask.json(&note.body.to_string()));
        let entries = notes.iter().map(entry).collect();
        self.inner.side.add_telemetry(sandbox, entries).await?;
        let beat = Heartbeat { sandbox, usage: lease.usage, progressed: true };
        // A full queue of beats is no reason to lose the notes.
        drop(self.inner.beats.try_send(beat));
        Ok(())
    }

    /// The worker ends by itself.
    pub async fn detach(&self, sandbox: SandboxId, detach: &Detach) -> Result<(), EngineError> {
        let lease = self.lease(sandbox).await?;
        // Whoever says it again has not heard the answer.
        if lease.state == LeaseState::Ended {
            return Ok(());
        }
        let spec = self.spec(lease.owner.into()).await?;
        let wanted = spec.epoch() == lease.epoch
            && matches!(spec.sandbox(), Sandbox::Attached { id, .. } if id == sandbox);
        if wanted && !spec.status().is_ended() {
            let cause = LossCause::Detached { reason: detach.reason.clone() };
            self.report_lost(&lease, cause).await?;
        }
        self.give_up(&lease).await
    }

    /// Records the loss of a sandbox, if it was still wanted.
    pub(super) async fn report_lost(
        &self,
        lease: &Lease,
        cause: LossCause,
    ) -> Result<Done<Spec>, EngineError> {
        let command = Command::ReportLost(ReportSandboxLost {
            epoch: lease.epoch,
            cause,
            last_heard: Some(lease.last_heard),
            reported: lease.usage,
            wait: self.wait().await?,
        });
        let spec = self.spec(lease.owner.into()).await?;
        let origin = super::lookup::by_duty("watchdog", &spec);
        Ok(self.commands().spec(lease.owner.into(), &command, Order::from(&origin)).await?)
    }

    /// The token dies with its lease: then only what was done before is answered again. None: the
    /// lease lives. The end of a spec is told by the spec itself, which takes nothing more.
    async fn already_done(
        &self,
        lease: &Lease,
        keyed: Option<&Keyed>,
    ) -> Result<Option<Done<Spec>>, EngineError> {
        if lease.state != LeaseState::Ended {
            return Ok(None);
        }
        let commands = self.commands();
        let done = commands.repeated(&commands.specs, lease.owner, keyed).await?;
        if done.is_none() && !self.spec(lease.owner.into()).await?.status().is_ended() {
            return Err(let_go());
        }
        Ok(done)
    }

    async fn by_sandbox(
        &self,
        lease: &Lease,
        command: &Command,
        keyed: Option<&Keyed>,
    ) -> Result<Done<Spec>, EngineError> {
        let spec = self.spec(lease.owner.into()).await?;
        let origin = sandbox_origin(lease, &spec);
        let order = Order::from(&origin).keyed(keyed);
        Ok(self.commands().spec(lease.owner.into(), command, order).await?)
    }

    /// The next assignment; a sandbox that was let go by its own output is told to detach.
    async fn next_or_detach(&self, lease: &Lease) -> Result<Assignment, EngineError> {
        match self.assignment(lease).await {
            Err(EngineError::Refused { code: "stale_epoch", .. }) => {
                let reason = "this sandbox is not needed any more".to_owned();
                Ok(Assignment::Detach { reason })
            }
            other => other,
        }
    }

    pub(super) async fn wait(&self) -> Result<Wait, EngineError> {
        Ok(Wait { now: self.now().await?, jitter: jitter() })
    }
}

/// What a sandbox hears whose lease is over.
pub(super) fn let_go() -> EngineError {
    let message = "this sandbox was let go".to_owned();
    EngineError::Refused { code: "stale_epoch", message, findings: Vec::new() }
}

fn sandbox_origin(lease: &Lease, spec: &Spec) -> Origin {
    within(Origin::of(Actor::Sandbox(lease.sandbox, lease.epoch), lease.owner), spec)
}

fn verdict_of(
    spec: &Spec,
    phase: Phase,
    submission: &Submission,
) -> Result<VerdictReport, EngineError> {
    let verdict = spec.phase_state(phase).and_then(|state| state.verdict.as_ref());
    let verdict = verdict.filter(|verdict| verdict.attempt == submission.attempt);
    let verdict = verdict.ok_or(EngineError::Refused {
        code: "phase_not_open",
        message: format!("the {phase} phase has moved on since"),
        findings: Vec::new(),
    })?;
    Ok(VerdictReport {
        output: verdict.output,
        passed: verdict.passed,
        score: verdict.score,
        findings: verdict.findings.clone(),
    })
}
