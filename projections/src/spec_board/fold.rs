//! Folds spec and task events into the board's lines. A task's events do not name its spec, so the
//! table also holds one hidden row a task that does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use specline_aggregates::spec::{self, Event, Status, slug};
use specline_aggregates::{Epoch, Phase, SpecId, TaskId, Usage, task};

use super::row::{SpecLine, Work};
use crate::Envelope;
use crate::framework::{Column, FoldError, Model, Rows, Table, Value};
use crate::lifecycle::{joins_the_gate, phase_after, spec_usage, status_after, task_status_after};

pub(crate) struct Board;

#[derive(Serialize, Deserialize)]
pub(crate) enum Row {
    Spec(Box<SpecRow>),
    Task { spec: SpecId, status: String },
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SpecRow {
    line: SpecLine,
    /// Position of the first event.
    ordinal: u64,
    /// Scores of the accepted outputs.
    accepted: BTreeMap<Phase, u16>,
    /// Scores of the last verdicts, for when their outputs are accepted.
    verdicts: BTreeMap<Phase, u16>,
    attempts: BTreeMap<Phase, u32>,
}

impl Row {
    pub(crate) fn into_line(self) -> Option<SpecLine> {
        match self {
            Self::Spec(row) => Some(row.line),
            Self::Task { .. } => None,
        }
    }
}

fn task_key(task: TaskId) -> String {
    format!("task/{task}")
}

impl Model for Board {
    type Row = Row;

    const READS: &'static [&'static str] = &["Spec", "Task"];

    const TABLE: Table = Table {
        name: "spec_board",
        version: 2,
        columns: &[
            Column::text("project"),
            Column::text("status"),
            Column::text("phase"),
            Column::text("search"),
            Column::int("ordinal"),
            Column::text("id"),
            Column::text("title"),
            Column::text("slug"),
            Column::int("run"),
            Column::int("epoch"),
            Column::int("attempt"),
            Column::int("progress"),
            Column::int("score"),
            Column::text("work"),
            Column::int("n_tasks"),
            Column::int("n_tasks_done"),
            Column::int("input_tokens"),
            Column::int("output_tokens"),
            Column::int("cost_micro_usd"),
            Column::int("duration_ms"),
            Column::text("error"),
            Column::time("created_at"),
            Column::time("updated_at"),
            Column::int("version"),
        ],
        indices: &[&["ordinal"], &["status", "ordinal"], &["project", "ordinal"]],
        lists: &[],
    };

    fn keys(event: &Envelope) -> Vec<String> {
        if let Some((spec, _)) = event.spec() {
            return vec![spec.to_string()];
        }
        let Some((task, event)) = event.task() else { return Vec::new() };
        if let task::Event::TaskQueued { work, .. } = event {
            return work.spec.map_or_else(Vec::new, |spec| vec![task_key(task), spec.to_string()]);
        }
        // Only a change of status shows on the board.
        task_status_after(event).map_or_else(Vec::new, |_| vec![task_key(task)])
    }

    fn link(row: &Row) -> Option<String> {
        match row {
            Row::Task { spec, .. } => Some(spec.to_string()),
            Row::Spec(_) => None,
        }
    }

    fn fold(rows: &mut Rows<Row>, event: &Envelope) -> Result<(), FoldError> {
        if let Some((spec, what)) = event.spec() {
            fold_spec(rows, spec, (event, what))
        } else if let Some((task, what)) = event.task() {
            fold_task(rows, task, (event, what));
            Ok(())
        } else {
            Ok(())
        }
    }

    fn columns(row: &Row) -> Vec<Value> {
        let Row::Spec(row) = row else { return Self::TABLE.blank() };
        let line = &row.line;
        let mut values = vec![
            Value::text(line.project),
            Value::text(line.status),
            Value::text_or_null(line.phase),
            Value::text(format!("{} {}", line.title.to_lowercase(), line.slug)),
            Value::position(row.ordinal),
            Value::text(line.id),
            Value::text(&line.title),
            Value::text(&line.slug),
            Value::int(line.run),
            Value::int(line.epoch.0),
            Value::int(line.attempt),
            Value::int(line.progress),
            Value::int_or_null(line.score),
            Value::word(line.work),
            Value::int(line.tasks.values().sum::<u32>()),
            Value::int(line.tasks.get("completed").copied().unwrap_or(0)),
        ];
        values.extend(Value::usage(line.usage));
        values.extend([
            Value::text_or_null(line.error.as_ref()),
            Value::time(line.created_at),
            Value::time(line.updated_at),
            Value::position(line.version),
        ]);
        values
    }
}

fn fold_spec(
    rows: &mut Rows<Row>,
    id: SpecId,
    (envelope, event): (&Envelope, &Event),
) -> Result<(), FoldError> {
    let key = id.to_string();
    if let Event::SpecDrafted { brief, .. } | Event::SpecForked { brief, .. } = event {
        let mut row = SpecRow::new(id, brief, envelope);
        if let Event::SpecForked { accepted, .. } = event {
            row.accepted = accepted.iter().map(|(phase, done)| (*phase, done.score)).collect();
        }
        row.settle(envelope);
        rows.put(key, Row::Spec(Box::new(row)));
        return Ok(());
    }
    let Some(Row::Spec(row)) = rows.get_mut(&key) else {
        return Err(FoldError::Unknown {
            event: envelope.event_type.clone(),
            what: format!("spec {id}"),
        });
    };
    row.line.status = status_after(event).unwrap_or(row.line.status);
    row.line.phase = phase_after(event).or(row.line.phase);
    if let Some((_, usage)) = spec_usage(event) {
        row.line.usage = row.line.usage.plus(usage);
    }
    row.take(event);
    row.line.version = envelope.sequence;
    row.settle(envelope);
    Ok(())
}

fn fold_task(rows: &mut Rows<Row>, id: TaskId, (envelope, event): (&Envelope, &task::Event)) {
    let Some(status) = task_status_after(event) else { return };
    let key = task_key(id);
    let (spec, before) = if let task::Event::TaskQueued { work, .. } = event {
        let Some(spec) = work.spec else { return };
        rows.put(key, Row::Task { spec, status: status.to_owned() });
        (spec, None)
    } else {
        // A task without a spec has no row here.
        let Some(Row::Task { spec, status: kept }) = rows.get_mut(&key) else { return };
        (*spec, Some(std::mem::replace(kept, status.to_owned())))
    };
    let Some(Row::Spec(row)) = rows.get_mut(&spec.to_string()) else { return };
    if let Some(before) = before
        && let Some(n) = row.line.tasks.get_mut(&before)
    {
        *n = n.saturating_sub(1);
    }
    *row.line.tasks.entry(status.to_owned()).or_default() += 1;
    row.line.tasks.retain(|_, n| *n > 0);
    row.settle(envelope);
}

impl SpecRow {
    fn new(id: SpecId, brief: &spec::Brief, envelope: &Envelope) -> Self {
        let line = SpecLine {
            id,
            project: brief.project,
            title: brief.title.clone(),
            slug: slug(&brief.title),
            status: Status::Draft,
            phase: None,
            run: 0,
            epoch: Epoch::default(),
            attempt: 0,
            progress: 0,
            score: None,
            work: Work::None,
            tasks: BTreeMap::new(),
            usage: Usage::default(),
            error: None,
            created_at: envelope.recorded_at,
            updated_at: envelope.recorded_at,
            version: envelope.sequence,
            position: envelope.position,
        };
        let (accepted, verdicts) = (BTreeMap::new(), BTreeMap::new());
        Self { line, ordinal: envelope.position, accepted, verdicts, attempts: BTreeMap::new() }
    }

    fn take(&mut self, event: &Event) {
        if let Event::SpecRevised { title: Some(title), .. } = event {
            self.line.title.clone_from(title);
            self.line.slug = slug(title);
        } else if let Event::ExecutionStarted { run, .. } = event {
            self.line.run = *run;
            self.line.error = None;
        } else if let Event::SandboxRequested { epoch, .. } = event {
            self.line.epoch = *epoch;
        } else if let Event::AttemptStarted { phase, attempt, .. }
        | Event::OutputSubmitted { phase, attempt, .. } = event
        {
            let last = self.attempts.entry(*phase).or_default();
            *last = (*last).max(*attempt);
        } else if let Event::VerdictRecorded { phase, score, .. } = event {
            let so_far = self.verdicts.get(phase).copied().filter(|_| joins_the_gate(event));
            self.verdicts.insert(*phase, so_far.map_or(*score, |before| before.min(*score)));
        } else if let Event::CheckpointSaved { phase, .. } = event {
            let score = self.verdicts.get(phase).copied().unwrap_or(0);
            self.accepted.insert(*phase, score);
        } else if let Event::PhaseReopened { phase, .. } = event {
            self.accepted.retain(|done, _| done < phase);
            self.line.error = None;
        } else if let Event::SpecFailed { reason, .. } = event {
            self.line.error = Some(reason.clone());
        }
    }

    /// What follows from the rest.
    fn settle(&mut self, envelope: &Envelope) {
        let line = &mut self.line;
        line.progress = u8::try_from(self.accepted.len()).unwrap_or(u8::MAX);
        line.score = self.accepted.values().min().copied();
        line.attempt = line.phase.and_then(|phase| self.attempts.get(&phase)).copied().unwrap_or(0);
        line.work = Work::of(&line.tasks);
        line.updated_at = envelope.recorded_at;
        line.position = envelope.position;
    }
}
