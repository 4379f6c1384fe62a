//! Folds task events with the aggregate's own transition, and remembers the times beside it.

use serde::{Deserialize, Serialize};
use specline_aggregates::Timestamp;
use specline_aggregates::task::{Event, Status, Task};

use super::row::TaskLine;
use crate::Envelope;
use crate::framework::{Column, FoldError, Model, Rows, Table, Value};

pub(crate) struct Queue;

#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    task: Task,
    ordinal: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
    claimed_at: Option<Timestamp>,
    /// Why it went back into the queue.
    requeued: Option<String>,
    error: Option<String>,
    position: u64,
}

impl Model for Queue {
    type Row = Row;

    const READS: &'static [&'static str] = &["Task"];

    const TABLE: Table = Table {
        name: "task_queue",
        version: 2,
        columns: &[
            Column::text("status"),
            Column::text("project"),
            Column::text("spec"),
            Column::text("ticket"),
            Column::int("ordinal"),
            Column::text("id"),
            Column::text("local_id"),
            Column::text("kind"),
            Column::text("title"),
            Column::text("priority"),
            Column::text("reason"),
            Column::int("attempts"),
            Column::int("epoch"),
            Column::int("estimated_minutes"),
            Column::int("input_tokens"),
            Column::int("output_tokens"),
            Column::int("cost_micro_usd"),
            Column::int("duration_ms"),
            Column::text("error"),
            Column::time("claimed_at"),
            Column::time("created_at"),
            Column::time("updated_at"),
            Column::int("version"),
        ],
        indices: &[&["ordinal"], &["status", "ordinal"], &["spec", "ordinal"], &["ticket"]],
        lists: &[],
    };

    fn keys(event: &Envelope) -> Vec<String> {
        event.task().map(|(id, _)| id.to_string()).into_iter().collect()
    }

    fn fold(rows: &mut Rows<Row>, envelope: &Envelope) -> Result<(), FoldError> {
        let Some((id, event)) = envelope.task() else { return Ok(()) };
        let key = id.to_string();
        if rows.get(&key).is_none() {
            if !matches!(event, Event::TaskQueued { .. }) {
                let what = format!("task {id}");
                return Err(FoldError::Unknown { event: envelope.event_type.clone(), what });
            }
            rows.put(key.clone(), Row::new(envelope));
        }
        let Some(row) = rows.get_mut(&key) else { return Ok(()) };
        row.task.evolve(event)?;
        row.take(event, envelope);
        Ok(())
    }

    fn columns(row: &Row) -> Vec<Value> {
        let Some(line) = row.line() else { return Self::TABLE.blank() };
        let mut values = vec![
            Value::text(line.status),
            Value::text(line.project),
            Value::text_or_null(line.spec),
            Value::text_or_null(line.ticket),
            Value::position(row.ordinal),
            Value::text(line.id),
            Value::text_or_null(line.local_id),
            Value::word(line.kind),
            Value::text(line.title),
            Value::word(line.priority),
            Value::text(line.reason),
            Value::int(line.attempts),
            Value::int(line.epoch.0),
            Value::int(line.estimated_minutes),
        ];
        values.extend(Value::usage(line.usage));
        values.extend([
            Value::text_or_null(line.error),
            Value::time_or_null(line.claimed_at),
            Value::time(line.created_at),
            Value::time(line.updated_at),
            Value::position(line.version),
        ]);
        values
    }
}

impl Row {
    fn new(envelope: &Envelope) -> Self {
        Self {
            task: Task::default(),
            ordinal: envelope.position,
            created_at: envelope.recorded_at,
            updated_at: envelope.recorded_at,
            claimed_at: None,
            requeued: None,
            error: None,
            position: envelope.position,
        }
    }

    fn take(&mut self, event: &Event, envelope: &Envelope) {
        self.updated_at = envelope.recorded_at;
        self.position = envelope.position;
        if let Event::TaskClaimed { at, .. } = event {
            self.claimed_at = Some(*at);
            self.requeued = None;
        } else if let Event::TaskRequeued { reason, .. } = event {
            self.claimed_at = None;
            self.requeued = Some(reason.clone());
        } else if let Event::TaskAttemptFailed { message, .. } = event {
            self.error = Some(message.clone());
        } else if let Event::TaskFailed { reason, .. } = event {
            self.error = Some(reason.clone());
        } else if let Event::TaskCompleted { .. } = event {
            self.error = None;
        }
    }

    /// Why it was or was not chosen.
    fn reason(&self) -> String {
        match self.task.status() {
            Status::Unknown => "there is no such task".to_owned(),
            Status::Blocked => self.task.blocked_by().map_or_else(
                || "nothing is in its way any more; it is about to be queued".to_owned(),
                |why| format!("not chosen: {why}"),
            ),
            Status::Queued { not_before } => {
                let why = self.requeued.as_ref().map_or_else(String::new, |r| format!(": {r}"));
                match not_before {
                    Some(at) => format!("not chosen before {at}{why}"),
                    None => format!("waits for a free sandbox{why}"),
                }
            }
            Status::Claimed { sandbox, .. } => format!("chosen; sandbox {sandbox} is starting"),
            Status::Running { sandbox, .. } => format!("sandbox {sandbox} works on it"),
            Status::Verifying { .. } => "its result is being judged".to_owned(),
            Status::Completed { .. } => "done".to_owned(),
            Status::Failed { reason } => format!("failed: {reason}"),
            Status::Cancelled { reason } => format!("cancelled: {reason}"),
        }
    }

    pub(crate) fn line(&self) -> Option<TaskLine> {
        let work = self.task.work()?.clone();
        Some(TaskLine {
            id: self.task.id()?,
            spec: work.spec,
            ticket: work.ticket,
            project: work.project,
            local_id: work.local_id,
            kind: work.kind,
            title: work.title,
            description: work.description,
            status: self.task.status().as_str().to_owned(),
            priority: work.priority,
            depends_on: work.depends_on.into_iter().collect(),
            reason: self.reason(),
            attempts: self.task.attempts(),
            epoch: self.task.epoch(),
            claimed_at: self.claimed_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
            files_create: work.files_create,
            files_modify: work.files_modify,
            estimated_minutes: work.estimated_minutes,
            criteria: work.criteria,
            requirements: work.requirements,
            components: work.components,
            usage: self.task.usage(),
            error: self.error.clone(),
            version: self.task.version(),
            position: self.position,
        })
    }
}
