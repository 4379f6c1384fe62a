//! PlanSync, CompleteSync and ReportSyncFailed: the spec's side of SYNC, which the engine carries
//! out between the first two.

use super::output::{Judged, summary};
use super::{Decision, FailedAttempt, Judging, Wait};
use crate::gate::{self, SyncEvidence};
use crate::output::{Coverage, ExportedFile, IdMap, Requirements, Tasks};
use crate::spec::event::{Event, FailureKind, ReleaseReason};
use crate::spec::rejection::Rejection;
use crate::spec::state::{Spec, Status};
use crate::{Digest, Phase, RawJson, Usage};
use serde::Serialize;

#[derive(Debug, Clone)]
pub struct PlanSync {
    /// Folder of the spec's files, relative to the repository root.
    pub folder: String,
    pub files: Vec<ExportedFile>,
    /// Digest of everything that is about to be made.
    pub plan: Digest,
    pub judging: Judging,
    pub wait: Wait,
}

#[derive(Debug, Clone)]
pub struct CompleteSync {
    /// What was written, as read back from the repository; none = it is not there.
    pub written: Vec<(ExportedFile, Option<Digest>)>,
    pub judging: Judging,
    pub wait: Wait,
}

#[derive(Debug, Clone)]
pub struct ReportSyncFailed {
    pub message: String,
    pub wait: Wait,
}

/// The computed output of SYNC.
#[derive(Serialize)]
struct SyncOutput<'a> {
    #[serde(flatten)]
    ids: &'a IdMap,
    coverage: &'a [Coverage],
    files: &'a [ExportedFile],
}

impl Spec {
    /// The stored ids of what the accepted outputs name, by v5: twice gives the same.
    #[must_use]
    pub fn sync_ids(&self, requirements: &Requirements, tasks: &Tasks) -> Option<IdMap> {
        let spec = self.id?;
        let id = |kind: &str, local: &String| (local.clone(), spec.derive(kind, local));
        Some(IdMap {
            requirements: requirements
                .requirements
                .iter()
                .map(|r| id("requirement", &r.id))
                .map(|(local, id)| (local, id.into()))
                .collect(),
            tickets: tasks
                .tickets
                .iter()
                .map(|t| id("ticket", &t.id))
                .map(|(local, id)| (local, id.into()))
                .collect(),
            tasks: tasks
                .tasks
                .iter()
                .map(|t| id("task", &t.id))
                .map(|(local, id)| (local, id.into()))
                .collect(),
        })
    }

    fn in_sync(&self) -> Result<(), Rejection> {
        if self.status.is_ended() {
            return Err(Rejection::Ended { status: self.status });
        }
        if self.phase == Some(Phase::Sync) {
            Ok(())
        } else {
            Err(Rejection::PhaseNotOpen { phase: Phase::Sync, current: self.phase })
        }
    }
}

impl PlanSync {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        spec.in_sync()?;
        let state = spec.phase_state(Phase::Sync).cloned().unwrap_or_default();
        let planned = spec.plan.as_ref().filter(|plan| plan.run == spec.run);
        if state.running.is_some() && planned.is_some_and(|plan| plan.digest == self.plan) {
            return Ok(Vec::new());
        }
        if spec.status == Status::Paused {
            return Err(Rejection::Paused);
        }
        if state.retry_at.is_some_and(|at| at > self.wait.now) {
            return Err(Rejection::TooEarly);
        }
        let earlier = spec.earlier(Phase::Sync, &self.judging.blobs)?;
        let (Some(requirements), Some(design), Some(tasks)) =
            (earlier.requirements, earlier.design, earlier.tasks)
        else {
            let missing = spec.first_open_phase().unwrap_or(Phase::Explore);
            return Err(Rejection::NotReachable { phase: Phase::Sync, missing });
        };
        let ids = spec.sync_ids(&requirements, &tasks).ok_or(Rejection::NotFound)?;
        let attempt = spec.next_attempt(Phase::Sync);
        Ok(vec![
            Event::AttemptStarted {
                phase: Phase::Sync,
                attempt,
                epoch: spec.epoch,
                context: spec.context_digest(Phase::Sync),
                prompt: self.plan,
                deadline: self.wait.now.plus_ms(spec.limits(Phase::Sync).time_ms),
            },
            Event::SyncPlanned {
                run: spec.run,
                attempt,
                folder: self.folder.clone(),
                ids,
                coverage: gate::coverage(&requirements, &design, &tasks),
                files: self.files.clone(),
                plan: self.plan,
            },
        ])
    }
}

impl CompleteSync {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        if spec.status == Status::Completed {
            return Ok(Vec::new());
        }
        spec.in_sync()?;
        let plan = spec
            .plan
            .as_ref()
            .ok_or(Rejection::PhaseNotOpen { phase: Phase::Sync, current: spec.phase })?;
        spec.running(Phase::Sync, plan.attempt)?;
        let earlier = spec.earlier(Phase::Sync, &self.judging.blobs)?;
        let (Some(requirements), Some(tasks)) = (earlier.requirements, earlier.tasks) else {
            return Err(Rejection::WrongManifest);
        };
        let read = evidence(&plan.files, &self.written);
        let judgement = gate::judge_sync(&SyncEvidence {
            requirements: &requirements,
            tasks: &tasks,
            ids: &plan.ids,
            coverage: &plan.coverage,
            files: &read,
        });
        let files: Vec<_> = self.written.iter().map(|(file, _)| file.clone()).collect();
        let output = SyncOutput { ids: &plan.ids, coverage: &plan.coverage, files: &files };
        let output = RawJson::of(&output).map_err(|e| Rejection::Broken(e.to_string()))?;
        let digest = output.digest();
        let mut events = spec.judged(Judged {
            phase: Phase::Sync,
            attempt: plan.attempt,
            output: &output,
            digest,
            usage: Usage::default(),
            session: None,
            by: "engine",
            judgement: &judgement,
        })?;
        if !judgement.passed {
            let failed = FailedAttempt {
                attempt: plan.attempt,
                kind: FailureKind::Sync,
                message: summary(&judgement),
                usage: Usage::default(),
                submitted: Usage::default(),
            };
            events.extend(spec.after_failure(Phase::Sync, failed, self.wait));
            return Ok(events);
        }
        let ids = plan.ids.clone();
        let counts = (ids.requirements.len(), ids.tickets.len(), ids.tasks.len());
        events.push(Event::SpecSynced {
            run: plan.run,
            ids,
            coverage: plan.coverage.clone(),
            files,
        });
        events.extend(spec.complete_phase(Phase::Sync, digest, spec.version() + 1));
        events.extend(spec.release_sandbox(ReleaseReason::Ended));
        events.push(Event::SpecCompleted {
            usage: spec.usage,
            requirements: count(counts.0),
            tickets: count(counts.1),
            tasks: count(counts.2),
        });
        Ok(events)
    }
}

/// What was written, and every planned file that was not. A file may stand beside its own path, so
/// that a plan's file is known by its digest.
fn evidence(
    planned: &[ExportedFile],
    written: &[(ExportedFile, Option<Digest>)],
) -> Vec<(ExportedFile, Option<Digest>)> {
    let mut left: Vec<Digest> = written.iter().map(|(file, _)| file.digest).collect();
    let mut all = written.to_vec();
    for file in planned {
        match left.iter().position(|digest| *digest == file.digest) {
            Some(at) => drop(left.swap_remove(at)),
            None => all.push((file.clone(), None)),
        }
    }
    all
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl ReportSyncFailed {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        spec.in_sync()?;
        let state = spec.phase_state(Phase::Sync).cloned().unwrap_or_default();
        if let Some(running) = state.running {
            return Ok(spec.after_failure(Phase::Sync, self.failed(running.number), self.wait));
        }
        if spec.status != Status::Executing || state.retry_at.is_some_and(|at| at > self.wait.now) {
            return Ok(Vec::new());
        }
        // It failed before there was a plan. That is an attempt too, or it would be made for ever.
        let attempt = spec.next_attempt(Phase::Sync);
        let started = Event::AttemptStarted {
            phase: Phase::Sync,
            attempt,
            epoch: spec.epoch,
            context: spec.context_digest(Phase::Sync),
            prompt: Digest::of(b""),
            deadline: self.wait.now.plus_ms(spec.limits(Phase::Sync).time_ms),
        };
        let mut begun = spec.clone();
        begun.evolve(&started).map_err(|error| Rejection::Broken(error.to_string()))?;
        let failure = begun.after_failure(Phase::Sync, self.failed(attempt), self.wait);
        Ok(std::iter::once(started).chain(failure).collect())
    }

    fn failed(&self, attempt: u32) -> FailedAttempt {
        FailedAttempt {
            attempt,
            kind: FailureKind::Sync,
            message: self.message.clone(),
            usage: Usage::default(),
            submitted: Usage::default(),
        }
    }
}
