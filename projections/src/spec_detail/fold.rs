//! Folds spec events into the document: what concerns the spec as a whole, and its phases.

use specline_aggregates::spec::{self, Event, Failure, Status, slug};
use specline_aggregates::{Digest, Epoch, Phase, Policy, SpecId, Usage};

use super::document::{Checkpoint, LostSandbox, PhaseDetail, PhaseStatus, SpecDetail, Totals};
use super::tables;
use crate::Envelope;
use crate::framework::{Entries, FoldError, Model, Rows, Table, Value};
use crate::lifecycle::{joins_the_gate, phase_after, spec_usage, status_after};

pub(crate) struct Details;

impl Model for Details {
    type Row = SpecDetail;

    const READS: &'static [&'static str] = &["Spec"];

    const TABLE: Table = Table {
        name: "spec_detail",
        version: 2,
        columns: tables::COLUMNS,
        indices: &[],
        lists: tables::LISTS,
    };

    fn keys(event: &Envelope) -> Vec<String> {
        event.spec().map(|(id, _)| id.to_string()).into_iter().collect()
    }

    fn fold(rows: &mut Rows<SpecDetail>, envelope: &Envelope) -> Result<(), FoldError> {
        let Some((id, event)) = envelope.spec() else { return Ok(()) };
        let key = id.to_string();
        if let Event::SpecDrafted { brief, policy, .. } | Event::SpecForked { brief, policy, .. } =
            event
        {
            let mut detail = SpecDetail::new(id, (brief, policy), envelope);
            detail.inherit(event, envelope);
            rows.put(key, detail);
            return Ok(());
        }
        let Some(detail) = rows.get_mut(&key) else {
            let what = format!("spec {id}");
            return Err(FoldError::Unknown { event: envelope.event_type.clone(), what });
        };
        detail.take(event, envelope);
        Ok(())
    }

    fn columns(row: &SpecDetail) -> Vec<Value> {
        tables::columns(row)
    }

    fn entries(row: &SpecDetail) -> Entries {
        tables::entries(row)
    }
}

fn untouched(phase: Phase) -> PhaseDetail {
    PhaseDetail {
        phase,
        status: PhaseStatus::Pending,
        attempts: 0,
        digest: None,
        score: None,
        threshold: None,
        findings: Vec::new(),
        retry_at: None,
        usage: Usage::default(),
        started_at: None,
        completed_at: None,
    }
}

impl SpecDetail {
    fn new(id: SpecId, (brief, policy): (&spec::Brief, &Policy), envelope: &Envelope) -> Self {
        let policy_json = serde_json::to_vec(policy)
            .expect("a policy is a struct of strings, numbers and maps of them");
        Self {
            id,
            project: brief.project,
            title: brief.title.clone(),
            description: brief.description.clone(),
            slug: slug(&brief.title),
            repository: brief.repository.clone(),
            policy_digest: Digest::of(&policy_json),
            agent: policy.agent.clone(),
            status: Status::Draft,
            phase: None,
            run: 0,
            epoch: Epoch::default(),
            manifest: None,
            phases: Phase::ALL.into_iter().map(untouched).collect(),
            checkpoints: Vec::new(),
            attempts: Vec::new(),
            sandboxes_lost: Vec::new(),
            usage: Usage::default(),
            failure: None,
            note: None,
            approval_deadline: None,
            tickets: brief.source_ticket.into_iter().collect(),
            forked_from: None,
            folder: None,
            exported: Vec::new(),
            totals: None,
            created_at: envelope.recorded_at,
            updated_at: envelope.recorded_at,
            completed_at: None,
            version: envelope.sequence,
            position: envelope.position,
        }
    }

    fn inherit(&mut self, event: &Event, envelope: &Envelope) {
        let Event::SpecForked { source, sequence, accepted, .. } = event else { return };
        self.forked_from = Some((*source, *sequence));
        for (phase, done) in accepted {
            let detail = self.phase_mut(*phase);
            detail.status = PhaseStatus::Completed;
            detail.digest = Some(done.digest);
            detail.score = Some(done.score);
            detail.completed_at = Some(envelope.recorded_at);
        }
    }

    pub(super) fn phase_mut(&mut self, phase: Phase) -> &mut PhaseDetail {
        let at = Phase::ALL.iter().position(|each| *each == phase).unwrap_or(0);
        &mut self.phases[at]
    }

    fn take(&mut self, event: &Event, envelope: &Envelope) {
        if let Some((phase, usage)) = spec_usage(event) {
            self.usage = self.usage.plus(usage);
            let detail = self.phase_mut(phase);
            detail.usage = detail.usage.plus(usage);
        }
        self.take_history(event, envelope);
        self.take_phase(event, envelope);
        self.take_lifecycle(event, envelope);
        self.take_end(event, envelope);
        self.status = status_after(event).unwrap_or(self.status);
        self.phase = phase_after(event).or(self.phase);
        self.version = envelope.sequence;
        self.position = envelope.position;
        self.updated_at = envelope.recorded_at;
    }

    fn take_lifecycle(&mut self, event: &Event, envelope: &Envelope) {
        if let Event::SpecRevised { title, description, .. } = event {
            if let Some(title) = title {
                self.title.clone_from(title);
                self.slug = slug(title);
            }
            if let Some(description) = description {
                self.description.clone_from(description);
            }
        } else if let Event::ExecutionStarted { run, manifest, .. } = event {
            self.run = *run;
            self.manifest = Some(manifest.clone());
            self.failure = None;
            self.note = None;
            self.completed_at = None;
        } else if let Event::SandboxRequested { epoch, .. } = event {
            self.epoch = *epoch;
        } else if let Event::SandboxLost { epoch, sandbox, phase, cause, .. } = event {
            self.sandboxes_lost.push(LostSandbox {
                epoch: *epoch,
                sandbox: *sandbox,
                phase: *phase,
                cause: cause.clone(),
                at: envelope.recorded_at,
            });
        } else if let Event::ExecutionPaused { by, reason } = event {
            self.note = Some(format!("paused by {by}: {reason}"));
            self.approval_deadline = None;
        } else if let Event::ExecutionResumed { .. } = event {
            self.note = None;
        } else if let Event::TicketLinked { ticket } = event
            && !self.tickets.contains(ticket)
        {
            self.tickets.push(*ticket);
        }
    }

    fn take_phase(&mut self, event: &Event, envelope: &Envelope) {
        let at = envelope.recorded_at;
        if let Event::AttemptStarted { phase, attempt, .. } = event {
            let detail = self.phase_mut(*phase);
            detail.status = PhaseStatus::Running;
            detail.attempts = detail.attempts.max(*attempt);
            detail.retry_at = None;
            detail.completed_at = None;
            detail.started_at.get_or_insert(at);
        } else if let Event::OutputSubmitted { phase, attempt, digest, .. } = event {
            let detail = self.phase_mut(*phase);
            detail.digest = Some(*digest);
            detail.attempts = detail.attempts.max(*attempt);
            detail.started_at.get_or_insert(at);
        } else if let Event::VerdictRecorded { phase, score, threshold, findings, .. } = event {
            let detail = self.phase_mut(*phase);
            detail.threshold = Some(*threshold);
            if joins_the_gate(event) {
                detail.score = Some(detail.score.map_or(*score, |before| before.min(*score)));
                detail.findings.extend(findings.iter().cloned());
            } else {
                detail.score = Some(*score);
                detail.findings.clone_from(findings);
            }
        } else if let Event::AttemptFailed { phase, retry_at, .. } = event {
            self.approval_deadline = None;
            let detail = self.phase_mut(*phase);
            detail.retry_at = *retry_at;
            detail.status =
                if retry_at.is_some() { PhaseStatus::Pending } else { PhaseStatus::Failed };
        } else if let Event::ApprovalRequested { phase, deadline, .. } = event {
            self.approval_deadline = *deadline;
            self.phase_mut(*phase).status = PhaseStatus::AwaitingApproval;
        } else if let Event::PhaseApproved { .. } | Event::PhaseRejected { .. } = event {
            self.approval_deadline = None;
        } else if let Event::PhaseCompleted { phase, .. } = event {
            let detail = self.phase_mut(*phase);
            detail.status = PhaseStatus::Completed;
            detail.completed_at = Some(at);
            detail.retry_at = None;
        } else if let Event::SandboxLost { .. } | Event::SandboxReleased { .. } = event {
            for detail in self.phases.iter_mut().filter(|detail| detail.phase.needs_agent()) {
                if detail.status == PhaseStatus::Running {
                    detail.status = PhaseStatus::Pending;
                }
            }
        } else if let Event::PhaseReopened { phase, .. } = event {
            self.reopen(*phase);
        }
    }

    fn reopen(&mut self, from: Phase) {
        for detail in self.phases.iter_mut().filter(|detail| detail.phase >= from) {
            let begun = detail.digest.is_some() || detail.started_at.is_some();
            detail.status = if begun { PhaseStatus::Stale } else { PhaseStatus::Pending };
            detail.retry_at = None;
            detail.started_at = None;
            detail.completed_at = None;
        }
        for checkpoint in self.checkpoints.iter_mut().filter(|saved| saved.phase >= from) {
            checkpoint.stale = true;
        }
        self.approval_deadline = None;
        self.failure = None;
        self.totals = None;
    }

    fn take_end(&mut self, event: &Event, envelope: &Envelope) {
        if let Event::CheckpointSaved { phase, output, run, sequence } = event {
            for old in self.checkpoints.iter_mut().filter(|old| old.phase == *phase) {
                old.stale = true;
            }
            self.checkpoints.push(Checkpoint {
                phase: *phase,
                digest: *output,
                run: *run,
                sequence: *sequence,
                at: envelope.recorded_at,
                stale: false,
            });
        } else if let Event::SyncPlanned { folder, .. } = event {
            self.folder = Some(folder.clone());
        } else if let Event::SpecSynced { files, .. } = event {
            self.exported.clone_from(files);
        } else if let Event::SpecCompleted { requirements, tickets, tasks, .. } = event {
            let (requirements, tickets, tasks) = (*requirements, *tickets, *tasks);
            self.totals = Some(Totals { requirements, tickets, tasks });
            self.completed_at = Some(envelope.recorded_at);
        } else if let Event::SpecFailed { kind, reason, phase } = event {
            self.failure = Some(Failure { kind: *kind, reason: reason.clone(), phase: *phase });
            self.phase_mut(*phase).status = PhaseStatus::Failed;
        } else if let Event::SpecCancelled { by, reason } = event {
            self.note = Some(format!("cancelled by {by}: {reason}"));
            self.approval_deadline = None;
            for detail in &mut self.phases {
                if matches!(detail.status, PhaseStatus::Running | PhaseStatus::AwaitingApproval) {
                    detail.status = PhaseStatus::Pending;
                }
            }
        }
    }
}
