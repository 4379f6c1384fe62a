//! Folds spec events into what is due. One row a spec, with its entries; it is gone when the spec
//! has ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use specline_aggregates::spec::{Event, Status};
use specline_aggregates::{Phase, SpecId, Timestamp};

use super::{DueWork, Kind};
use crate::Envelope;
use crate::framework::{Column, FoldError, Model, Rows, Table, Value};
use crate::lifecycle::{phase_after, status_after};

pub(crate) struct Due;

#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    spec: SpecId,
    status: Status,
    phase: Option<Phase>,
    run: u32,
    /// Last attempt of SYNC, and when the next one may start.
    sync_attempt: u32,
    sync_retry_at: Option<Timestamp>,
    work: BTreeMap<Kind, DueWork>,
}

impl Row {
    pub(crate) fn into_work(self) -> impl Iterator<Item = DueWork> {
        self.work.into_values()
    }
}

impl Model for Due {
    type Row = Row;

    /// It only says where to look, and every spec needs it: what it cannot read, it leaves out.
    const READS: &'static [&'static str] = &[];

    const TABLE: Table = Table {
        name: "due_work",
        version: 4,
        columns: &[
            Column::time("due"),
            Column::time("last_due"),
            Column::time("spawn_due"),
            Column::time("other_due"),
        ],
        indices: &[&["due", "key"], &["spawn_due", "key"], &["other_due", "key"]],
        lists: &[],
    };

    fn keys(event: &Envelope) -> Vec<String> {
        event
            .spec()
            .filter(|(_, event)| matters(event))
            .map(|(id, _)| id.to_string())
            .into_iter()
            .collect()
    }

    fn fold(rows: &mut Rows<Row>, envelope: &Envelope) -> Result<(), FoldError> {
        let Some((spec, event)) = envelope.spec().filter(|(_, event)| matters(event)) else {
            return Ok(());
        };
        let key = spec.to_string();
        if status_after(event).is_some_and(Status::is_ended) {
            rows.remove(&key);
            return Ok(());
        }
        if rows.get(&key).is_none() {
            rows.put(key.clone(), Row::new(spec));
        }
        if let Some(row) = rows.get_mut(&key) {
            row.take(event, envelope);
        }
        Ok(())
    }

    fn columns(row: &Row) -> Vec<Value> {
        let due = row.work.values().map(|entry| entry.due);
        let spawn = row.work.get(&Kind::Spawn).map(|entry| entry.due);
        let others = row.work.iter().filter(|(kind, _)| **kind != Kind::Spawn);
        let other = others.map(|(_, entry)| entry.due).min();
        vec![
            Value::time_or_null(due.clone().min()),
            Value::time_or_null(due.max()),
            Value::time_or_null(spawn),
            Value::time_or_null(other),
        ]
    }
}

/// Whether `event` can change what is due.
fn matters(event: &Event) -> bool {
    match event {
        Event::SpecDrafted { .. }
        | Event::SpecForked { .. }
        | Event::SpecRevised { .. }
        | Event::SandboxAttached { .. }
        | Event::SandboxRequested { .. }
        | Event::SandboxReleased { .. }
        | Event::SandboxLost { .. }
        | Event::ExecutionStarted { .. }
        | Event::ExecutionPaused { .. }
        | Event::ExecutionResumed { .. }
        | Event::PhaseReopened { .. }
        | Event::AttemptStarted { .. }
        | Event::OutputSubmitted { .. }
        | Event::EvaluationRequested { .. }
        | Event::AttemptFailed { .. }
        | Event::ApprovalRequested { .. }
        | Event::PhaseApproved { .. }
        | Event::PhaseRejected { .. }
        | Event::PhaseCompleted { .. }
        | Event::SpecCompleted { .. }
        | Event::SpecFailed { .. }
        | Event::SpecCancelled { .. } => true,
        Event::StepRecorded { .. }
        | Event::VerdictRecorded { .. }
        | Event::CheckpointSaved { .. }
        | Event::TicketLinked { .. }
        | Event::CommentAdded { .. }
        | Event::SyncPlanned { .. }
        | Event::SpecSynced { .. } => false,
    }
}

impl Row {
    fn new(spec: SpecId) -> Self {
        Self {
            spec,
            status: Status::Draft,
            phase: None,
            run: 0,
            sync_attempt: 0,
            sync_retry_at: None,
            work: BTreeMap::new(),
        }
    }

    fn take(&mut self, event: &Event, envelope: &Envelope) {
        self.status = status_after(event).unwrap_or(self.status);
        self.phase = phase_after(event).or(self.phase);
        if let Event::ExecutionStarted { run, .. } = event {
            self.run = *run;
        }
        self.clear(event);
        self.note_sync(event);
        if let Some(entry) = self.entry(event, envelope) {
            self.work.insert(entry.kind, entry);
        }
        self.settle_sync(envelope);
    }

    /// Drops the entries that `event` settles.
    fn clear(&mut self, event: &Event) {
        let settled: &[Kind] = match event {
            Event::SandboxAttached { .. } => &[Kind::Spawn],
            Event::SandboxLost { .. } | Event::SandboxReleased { .. } => {
                &[Kind::Spawn, Kind::Attempt]
            }
            Event::OutputSubmitted { .. } | Event::PhaseCompleted { .. } => {
                &[Kind::Attempt, Kind::Evaluate]
            }
            Event::AttemptFailed { .. } | Event::PhaseReopened { .. } => {
                &[Kind::Attempt, Kind::Approval, Kind::Evaluate]
            }
            Event::ExecutionPaused { .. }
            | Event::PhaseApproved { .. }
            | Event::PhaseRejected { .. } => &[Kind::Approval],
            Event::ApprovalRequested { .. } => &[Kind::Approval, Kind::Evaluate],
            Event::SpecDrafted { .. }
            | Event::SpecRevised { .. }
            | Event::ExecutionStarted { .. }
            | Event::SandboxRequested { .. }
            | Event::AttemptStarted { .. }
            | Event::EvaluationRequested { .. }
            | Event::StepRecorded { .. }
            | Event::VerdictRecorded { .. }
            | Event::CheckpointSaved { .. }
            | Event::ExecutionResumed { .. }
            | Event::TicketLinked { .. }
            | Event::CommentAdded { .. }
            | Event::SpecForked { .. }
            | Event::SyncPlanned { .. }
            | Event::SpecSynced { .. }
            | Event::SpecCompleted { .. }
            | Event::SpecFailed { .. }
            | Event::SpecCancelled { .. } => &[],
        };
        for kind in settled {
            self.work.remove(kind);
        }
    }

    fn note_sync(&mut self, event: &Event) {
        if let Event::AttemptStarted { phase: Phase::Sync, attempt, .. } = event {
            self.sync_attempt = *attempt;
            self.sync_retry_at = None;
        } else if let Event::AttemptFailed { phase: Phase::Sync, retry_at, .. } = event {
            self.sync_retry_at = *retry_at;
            self.work.remove(&Kind::Sync);
        } else if let Event::PhaseReopened { .. } = event {
            self.sync_retry_at = None;
        }
    }

    /// The entry that `event` itself makes.
    fn entry(&self, event: &Event, envelope: &Envelope) -> Option<DueWork> {
        let at = envelope.recorded_at;
        if let Event::SandboxRequested { epoch, sandbox, phase, attempt, reason, not_before } =
            event
        {
            return Some(DueWork {
                due: not_before.unwrap_or(at),
                epoch: *epoch,
                sandbox: Some(*sandbox),
                reason: Some(*reason),
                ..self.blank(Kind::Spawn, (*phase, *attempt), envelope)
            });
        }
        if let Event::AttemptStarted { phase, attempt, epoch, deadline, .. } = event
            && phase.needs_agent()
        {
            return Some(DueWork {
                due: *deadline,
                epoch: *epoch,
                sandbox: Some(self.spec.sandbox(*epoch)),
                ..self.blank(Kind::Attempt, (*phase, *attempt), envelope)
            });
        }
        if let Event::ApprovalRequested { phase, attempt, deadline: Some(deadline), .. } = event {
            let blank = self.blank(Kind::Approval, (*phase, *attempt), envelope);
            return Some(DueWork { due: *deadline, ..blank });
        }
        if let Event::EvaluationRequested { phase, attempt, .. } = event {
            return Some(self.blank(Kind::Evaluate, (*phase, *attempt), envelope));
        }
        None
    }

    /// SYNC is due for as long as the spec executes and sync is open, also while an attempt of it
    /// runs: an engine that died in the middle does it again.
    fn settle_sync(&mut self, envelope: &Envelope) {
        if self.status != Status::Executing || self.phase != Some(Phase::Sync) {
            self.work.remove(&Kind::Sync);
            return;
        }
        let at = envelope.recorded_at;
        let due = self.sync_retry_at.map_or(at, |retry| retry.max(at));
        let attempt = (Phase::Sync, self.sync_attempt + 1);
        let fresh = DueWork { due, ..self.blank(Kind::Sync, attempt, envelope) };
        let entry = self.work.entry(Kind::Sync).or_insert(fresh);
        entry.attempt = self.sync_attempt + 1;
        entry.run = self.run;
    }

    fn blank(&self, kind: Kind, (phase, attempt): (Phase, u32), envelope: &Envelope) -> DueWork {
        DueWork {
            spec: self.spec,
            kind,
            due: envelope.recorded_at,
            run: self.run,
            phase,
            attempt,
            epoch: specline_aggregates::Epoch::default(),
            sandbox: None,
            reason: None,
            position: envelope.position,
        }
    }
}
