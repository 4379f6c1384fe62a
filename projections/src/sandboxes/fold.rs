//! Folds the sandbox events of specs and tasks. Most events of a task do not name its sandbox, so
//! the table also holds one hidden row a task that does.

use serde::{Deserialize, Serialize};
use specline_aggregates::spec::{self, LossCause, ReleaseReason};
use specline_aggregates::{SandboxId, SpecId, TaskId, task};

use super::{Owner, SandboxLine, State};
use crate::Envelope;
use crate::framework::{Column, FoldError, Model, Rows, Table, Value};

pub(crate) struct Sandboxes;

#[derive(Serialize, Deserialize)]
pub(crate) enum Row {
    Sandbox { line: Box<SandboxLine>, ordinal: u64 },
    Task { sandbox: SandboxId },
}

impl Row {
    pub(crate) fn into_line(self) -> Option<SandboxLine> {
        match self {
            Self::Sandbox { line, .. } => Some(*line),
            Self::Task { .. } => None,
        }
    }
}

fn task_key(task: TaskId) -> String {
    format!("task/{task}")
}

impl Model for Sandboxes {
    type Row = Row;

    const READS: &'static [&'static str] = &["Spec", "Task"];

    const TABLE: Table = Table {
        name: "sandboxes",
        version: 2,
        columns: &[
            Column::text("owner"),
            Column::text("state"),
            Column::int("ordinal"),
            Column::text("id"),
            Column::text("owner_kind"),
            Column::int("epoch"),
            Column::text("phase"),
            Column::text("reason"),
            Column::text("provider"),
            Column::text("worker_version"),
            Column::text("instance"),
            Column::text("released"),
            Column::text("cause"),
            Column::time("requested_at"),
            Column::time("attached_at"),
            Column::time("ended_at"),
        ],
        indices: &[&["ordinal"], &["owner", "ordinal"], &["state", "ordinal"]],
        lists: &[],
    };

    fn keys(event: &Envelope) -> Vec<String> {
        if let Some((_, event)) = event.spec() {
            return spec_sandbox(event).map(|id| id.to_string()).into_iter().collect();
        }
        let Some((id, event)) = event.task() else { return Vec::new() };
        if let task::Event::TaskClaimed { sandbox, .. } = event {
            vec![task_key(id), sandbox.to_string()]
        } else if matters(event) {
            vec![task_key(id)]
        } else {
            Vec::new()
        }
    }

    fn link(row: &Row) -> Option<String> {
        match row {
            Row::Task { sandbox } => Some(sandbox.to_string()),
            Row::Sandbox { .. } => None,
        }
    }

    fn fold(rows: &mut Rows<Row>, envelope: &Envelope) -> Result<(), FoldError> {
        if let Some((id, event)) = envelope.spec() {
            fold_spec(rows, id, (envelope, event))
        } else {
            if let Some((id, event)) = envelope.task() {
                fold_task(rows, id, (envelope, event));
            }
            Ok(())
        }
    }

    fn columns(row: &Row) -> Vec<Value> {
        let Row::Sandbox { line, ordinal } = row else { return Self::TABLE.blank() };
        let owner_kind = match line.owner {
            Owner::Spec(_) => "spec",
            Owner::Task(_) => "task",
        };
        vec![
            Value::text(line.owner.id()),
            Value::text(line.state.as_str()),
            Value::position(*ordinal),
            Value::text(line.id),
            Value::text(owner_kind),
            Value::int(line.epoch.0),
            Value::text_or_null(line.phase),
            Value::word(line.reason),
            Value::text_or_null(line.provider.as_ref()),
            Value::text_or_null(line.worker_version.as_ref()),
            Value::text_or_null(line.instance),
            Value::word(line.released),
            Value::word(&line.cause),
            Value::time(line.requested_at),
            Value::time_or_null(line.attached_at),
            Value::time_or_null(line.ended_at),
        ]
    }
}

/// The sandbox that a spec's event is about.
fn spec_sandbox(event: &spec::Event) -> Option<SandboxId> {
    if let spec::Event::SandboxRequested { sandbox, .. }
    | spec::Event::SandboxAttached { sandbox, .. }
    | spec::Event::SandboxReleased { sandbox, .. }
    | spec::Event::SandboxLost { sandbox, .. } = event
    {
        Some(*sandbox)
    } else {
        None
    }
}

/// Whether a task's event changes its sandbox.
fn matters(event: &task::Event) -> bool {
    matches!(
        event,
        task::Event::TaskStarted { .. }
            | task::Event::TaskSandboxLost { .. }
            | task::Event::TaskCompleted { .. }
            | task::Event::TaskRequeued { .. }
            | task::Event::TaskCancelled { .. }
            | task::Event::TaskFailed { .. }
    )
}

fn requested(id: SandboxId, owner: Owner, envelope: &Envelope) -> SandboxLine {
    SandboxLine {
        id,
        owner,
        epoch: specline_aggregates::Epoch::default(),
        phase: None,
        reason: None,
        state: State::Requested,
        provider: None,
        worker_version: None,
        instance: None,
        requested_at: envelope.recorded_at,
        attached_at: None,
        ended_at: None,
        released: None,
        cause: None,
        position: envelope.position,
    }
}

fn fold_spec(
    rows: &mut Rows<Row>,
    spec: SpecId,
    (envelope, event): (&Envelope, &spec::Event),
) -> Result<(), FoldError> {
    let Some(id) = spec_sandbox(event) else { return Ok(()) };
    let key = id.to_string();
    if let spec::Event::SandboxRequested { epoch, phase, reason, .. } = event {
        let line = SandboxLine {
            epoch: *epoch,
            phase: Some(*phase),
            reason: Some(*reason),
            ..requested(id, Owner::Spec(spec), envelope)
        };
        rows.put(key, Row::Sandbox { line: Box::new(line), ordinal: envelope.position });
        return Ok(());
    }
    let Some(Row::Sandbox { line, .. }) = rows.get_mut(&key) else {
        let what = format!("sandbox {id}");
        return Err(FoldError::Unknown { event: envelope.event_type.clone(), what });
    };
    line.position = envelope.position;
    if let spec::Event::SandboxAttached { instance, provider, worker_version, .. } = event {
        line.state = State::Attached;
        line.attached_at = Some(envelope.recorded_at);
        line.instance = Some(*instance);
        line.provider = Some(provider.clone());
        line.worker_version = Some(worker_version.clone());
    } else if let spec::Event::SandboxReleased { reason, .. } = event {
        line.release(*reason, envelope);
    } else if let spec::Event::SandboxLost { cause, .. } = event {
        line.lose(cause, envelope);
    }
    Ok(())
}

fn fold_task(rows: &mut Rows<Row>, task: TaskId, (envelope, event): (&Envelope, &task::Event)) {
    if let task::Event::TaskClaimed { epoch, sandbox, .. } = event {
        let line =
            SandboxLine { epoch: *epoch, ..requested(*sandbox, Owner::Task(task), envelope) };
        let row = Row::Sandbox { line: Box::new(line), ordinal: envelope.position };
        rows.put(sandbox.to_string(), row);
        rows.put(task_key(task), Row::Task { sandbox: *sandbox });
        return;
    }
    // A task that was never claimed has no sandbox.
    let Some(Row::Task { sandbox }) = rows.get(&task_key(task)).filter(|_| matters(event)) else {
        return;
    };
    let key = sandbox.to_string();
    let ended = |row: &Row| matches!(row, Row::Sandbox { line, .. } if line.ended_at.is_some());
    if rows.get(&key).is_none_or(ended) {
        return;
    }
    let Some(Row::Sandbox { line, .. }) = rows.get_mut(&key) else { return };
    line.position = envelope.position;
    if let task::Event::TaskStarted { instance, .. } = event {
        line.state = State::Attached;
        line.attached_at = Some(envelope.recorded_at);
        line.instance = Some(*instance);
    } else if let task::Event::TaskSandboxLost { cause, .. } = event {
        line.lose(cause, envelope);
    } else {
        line.release(ReleaseReason::Ended, envelope);
    }
}

impl SandboxLine {
    fn release(&mut self, reason: ReleaseReason, envelope: &Envelope) {
        self.state = State::Released;
        self.released = Some(reason);
        self.ended_at = Some(envelope.recorded_at);
    }

    fn lose(&mut self, cause: &LossCause, envelope: &Envelope) {
        self.state = State::Lost;
        self.cause = Some(cause.clone());
        self.ended_at = Some(envelope.recorded_at);
    }
}
