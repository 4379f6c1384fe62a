//! SubmitOutput: the agent proposes, the gate judges, and what follows is decided in the same
//! append: there is no instant with an output and no verdict.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Decision, FailedAttempt, Wait};
use crate::gate::{self, Earlier};
use crate::spec::event::{
    Event, FailureKind, MAX_OUTPUT_BYTES, ManifestRef, Payload, ReleaseReason,
};
use crate::spec::rejection::Rejection;
use crate::spec::state::{Attempt, Spec, Status};
use crate::{Digest, Epoch, Judgement, Manifest, Phase, RawJson, Usage};

/// What the gate needs beside the state: the manifest of the run, and the accepted outputs that
/// stand in blobs.
#[derive(Debug, Clone, Default)]
pub struct Judging {
    pub manifest: Arc<Manifest>,
    /// Digest of the manifest's stored bytes.
    pub manifest_digest: Option<Digest>,
    pub blobs: BTreeMap<Digest, Arc<RawJson>>,
}

#[derive(Debug, Clone)]
pub struct SubmitOutput {
    pub epoch: Epoch,
    pub phase: Phase,
    pub attempt: u32,
    pub context: Digest,
    pub output: RawJson,
    /// What was used since the last event of the attempt: recorded steps are not in it.
    pub usage: Usage,
    pub session: Option<String>,
    pub judging: Judging,
    pub wait: Wait,
}

impl SubmitOutput {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        let digest = self.output.digest();
        if spec.is_repeat(self.phase, self.attempt, digest) {
            return Ok(Vec::new());
        }
        spec.fence(self.epoch)?;
        if spec.phase != Some(self.phase) {
            return Err(Rejection::PhaseNotOpen { phase: self.phase, current: spec.phase });
        }
        let running = spec.running(self.phase, self.attempt)?;
        if running.context != self.context {
            return Err(Rejection::StaleContext);
        }
        check_size(&self.output)?;
        let judgement = spec.judge(self.phase, &self.output, &self.judging)?;
        let mut events = spec.judged(Judged {
            phase: self.phase,
            attempt: self.attempt,
            output: &self.output,
            digest,
            usage: self.usage,
            session: self.session.clone(),
            by: "agent",
            judgement: &judgement,
        })?;
        if judgement.passed {
            events.extend(spec.after_pass(&Passed {
                phase: self.phase,
                attempt: self.attempt,
                digest,
                sequence: spec.version + 1,
                usage: self.usage,
                wait: self.wait,
            }));
        } else {
            events.extend(self.after_fail(spec, &judgement));
        }
        Ok(events)
    }

    fn after_fail(&self, spec: &Spec, judgement: &Judgement) -> Vec<Event> {
        let kind = if judgement.malformed { FailureKind::InvalidOutput } else { FailureKind::Gate };
        let failed = FailedAttempt {
            attempt: self.attempt,
            kind,
            message: summary(judgement),
            usage: Usage::default(),
            submitted: self.usage,
        };
        spec.after_failure(self.phase, failed, self.wait)
    }
}

/// An output with its judgement, on its way into the log.
pub(super) struct Judged<'a> {
    pub phase: Phase,
    pub attempt: u32,
    pub output: &'a RawJson,
    pub digest: Digest,
    pub usage: Usage,
    pub session: Option<String>,
    pub by: &'a str,
    pub judgement: &'a Judgement,
}

/// An output that was judged and passed.
pub(super) struct Passed {
    pub phase: Phase,
    pub attempt: u32,
    pub digest: Digest,
    /// Sequence of the event that carries it.
    pub sequence: u64,
    /// What its submission accounts for, which the state does not hold yet.
    pub usage: Usage,
    pub wait: Wait,
}

pub(super) fn check_size(output: &RawJson) -> Result<(), Rejection> {
    let bytes = output.text().len();
    if bytes > MAX_OUTPUT_BYTES {
        let problem = format!("is {bytes} bytes; at most {MAX_OUTPUT_BYTES} are kept");
        return Err(Rejection::InvalidInput { field: "output", problem });
    }
    Ok(())
}

/// One line that says why a judgement failed.
pub(super) fn summary(judgement: &Judgement) -> String {
    let failed: Vec<_> = judgement.failed().collect();
    match failed.first() {
        None => format!("score {} is below the threshold", judgement.score),
        Some(first) if failed.len() == 1 => format!("{}: {}", first.rule, first.message),
        Some(first) => {
            format!("{}: {} (and {} more findings)", first.rule, first.message, failed.len() - 1)
        }
    }
}

impl Spec {
    /// The running attempt, when it is `number` of `phase`.
    pub(super) fn running(&self, phase: Phase, number: u32) -> Result<Attempt, Rejection> {
        let state = self.phase_state(phase);
        let running = state.and_then(|state| state.running);
        running.filter(|attempt| attempt.number == number && self.phase == Some(phase)).ok_or(
            Rejection::StaleAttempt {
                phase,
                given: number,
                last: state.map_or(0, |state| state.last_attempt),
            },
        )
    }

    /// Whether this very output of this attempt was judged before.
    fn is_repeat(&self, phase: Phase, attempt: u32, digest: Digest) -> bool {
        let verdict = self.phase_state(phase).and_then(|state| state.verdict.as_ref());
        verdict.is_some_and(|verdict| verdict.attempt == attempt && verdict.output == digest)
    }

    /// Judges an output of `phase` against the accepted outputs before it.
    pub(super) fn judge(
        &self,
        phase: Phase,
        output: &RawJson,
        judging: &Judging,
    ) -> Result<Judgement, Rejection> {
        let wanted = self.manifest.as_ref().map(|manifest| manifest.digest);
        if wanted.is_none() || judging.manifest_digest != wanted {
            return Err(Rejection::WrongManifest);
        }
        let earlier = self.earlier(phase, &judging.blobs)?;
        Ok(gate::judge(phase, output, &earlier, &judging.manifest, &self.policy.gate))
    }

    /// The accepted outputs before `phase`, decoded.
    pub fn earlier(
        &self,
        phase: Phase,
        blobs: &BTreeMap<Digest, Arc<RawJson>>,
    ) -> Result<Earlier, Rejection> {
        let mut earlier = Earlier::default();
        for before in Phase::ALL.into_iter().filter(|before| *before < phase) {
            let Some(json) = self.output_text(before, blobs)? else { continue };
            let broken = |cause: serde_json::Error| {
                Rejection::Broken(format!("the accepted {before} output: {cause}"))
            };
            match before {
                Phase::Explore => earlier.explore = Some(json.decode().map_err(broken)?),
                Phase::Requirements => {
                    earlier.requirements = Some(json.decode().map_err(broken)?);
                }
                Phase::Design => earlier.design = Some(json.decode().map_err(broken)?),
                Phase::Tasks => earlier.tasks = Some(json.decode().map_err(broken)?),
                Phase::Sync => {}
            }
        }
        Ok(earlier)
    }

    /// The text of the accepted output of `phase`, from the state or from `blobs`.
    pub fn output_text(
        &self,
        phase: Phase,
        blobs: &BTreeMap<Digest, Arc<RawJson>>,
    ) -> Result<Option<Arc<RawJson>>, Rejection> {
        match self.accepted(phase).map(|accepted| &accepted.output) {
            None => Ok(None),
            Some(Payload::Inline(json)) => Ok(Some(Arc::clone(json))),
            Some(Payload::Blob { digest, .. }) => blobs
                .get(digest)
                .map(|json| Some(Arc::clone(json)))
                .ok_or_else(|| Rejection::Broken(format!("the {phase} output's blob is missing"))),
        }
    }

    /// OutputSubmitted and VerdictRecorded of one judged output.
    pub(super) fn judged(&self, judged: Judged<'_>) -> Decision {
        let manifest = self.manifest.as_ref().ok_or(Rejection::WrongManifest)?;
        Ok(vec![
            Event::OutputSubmitted {
                phase: judged.phase,
                attempt: judged.attempt,
                output: Payload::of(judged.output.clone()),
                digest: judged.digest,
                usage: judged.usage,
                session: judged.session,
                by: judged.by.to_owned(),
            },
            Event::VerdictRecorded {
                phase: judged.phase,
                attempt: judged.attempt,
                output: judged.digest,
                evaluator: "gate".to_owned(),
                rules_version: gate::RULES_VERSION,
                threshold: self.policy.gate.threshold,
                manifest: manifest.digest,
                passed: judged.judgement.passed,
                score: judged.judgement.score,
                findings: judged.judgement.findings.clone(),
            },
        ])
    }

    /// CheckpointSaved and PhaseCompleted; `ahead` events stand between this state and them.
    pub(super) fn complete_phase(&self, phase: Phase, digest: Digest, sequence: u64) -> [Event; 2] {
        [
            Event::CheckpointSaved { phase, output: digest, run: self.run, sequence },
            Event::PhaseCompleted { phase, output: digest, next: phase.next() },
        ]
    }

    /// What follows an output that the gate has passed: its evaluators first, where it has some.
    fn after_pass(&self, passed: &Passed) -> Vec<Event> {
        let evaluators: Vec<String> =
            self.policy.evaluators(passed.phase).map(|evaluator| evaluator.name.clone()).collect();
        if evaluators.is_empty() {
            return self.accept(passed);
        }
        let asked = Event::EvaluationRequested {
            phase: passed.phase,
            attempt: passed.attempt,
            output: passed.digest,
            evaluators,
        };
        let stopping = self.status == Status::Paused;
        let released = stopping.then(|| self.release_sandbox(ReleaseReason::Paused)).flatten();
        std::iter::once(asked).chain(released).collect()
    }

    /// What follows an output that everything but a person has passed.
    pub(super) fn accept(&self, passed: &Passed) -> Vec<Event> {
        let Passed { phase, attempt, digest, .. } = *passed;
        let mut events = Vec::new();
        if self.policy.approvals.contains(&phase) && self.status == Status::Paused {
            // A person paused it: nobody is asked until it is resumed.
            events.extend(self.release_sandbox(ReleaseReason::Paused));
            return events;
        }
        if self.policy.approvals.contains(&phase) {
            events.push(self.ask_approval(phase, attempt, digest, passed.wait));
            events.extend(self.release_sandbox(ReleaseReason::Approval));
            return events;
        }
        events.extend(self.complete_phase(phase, digest, passed.sequence));
        let next = phase.next().unwrap_or(phase);
        if let Some(used) = self.over_budget(passed.usage)
            && next.needs_agent()
        {
            events.extend(self.fail_budget(next, &used));
        } else if self.status == Status::Paused {
            events.extend(self.release_sandbox(ReleaseReason::Paused));
        }
        events
    }

    pub(super) fn ask_approval(
        &self,
        phase: Phase,
        attempt: u32,
        output: Digest,
        wait: Wait,
    ) -> Event {
        let deadline = self.policy.approval_deadline_ms.map(|ms| wait.now.plus_ms(ms));
        Event::ApprovalRequested { phase, attempt, output, deadline }
    }

    pub(super) fn fail_budget(&self, phase: Phase, used: &str) -> Vec<Event> {
        let released = self.release_sandbox(ReleaseReason::Ended);
        let failed = super::budget_failure(phase, used);
        released.into_iter().chain([failed]).collect()
    }

    /// The manifest reference of the current run.
    pub(super) fn run_manifest(&self) -> Result<&ManifestRef, Rejection> {
        self.manifest.as_ref().ok_or(Rejection::WrongManifest)
    }
}
