//! The plain columns of a spec's document, and the tables of its phases, attempts and findings.

use super::document::{AttemptRecord, PhaseDetail, SpecDetail};
use crate::framework::{Column, Entries, List, Value};

const PHASES: usize = 0;
const ATTEMPTS: usize = 1;
const FINDINGS: usize = 2;

pub(super) const COLUMNS: &[Column] = &[
    Column::text("project"),
    Column::text("status"),
    Column::text("agent"),
    Column::text("folder"),
    Column::text("failure"),
    Column::int("n_tickets"),
    Column::time("created_at"),
    Column::time("updated_at"),
    Column::time("completed_at"),
];

pub(super) const LISTS: &[List] = &[
    List {
        name: "spec_phases",
        columns: &[
            Column::text("spec"),
            Column::text("phase"),
            Column::text("status"),
            Column::int("attempts"),
            Column::int("score"),
            Column::int("threshold"),
            Column::int("input_tokens"),
            Column::int("output_tokens"),
            Column::int("cost_micro_usd"),
            Column::int("duration_ms"),
            Column::time("retry_at"),
            Column::time("started_at"),
            Column::time("completed_at"),
        ],
        indices: &[],
    },
    List {
        name: "spec_attempts",
        columns: &[
            Column::text("spec"),
            Column::int("n"),
            Column::text("phase"),
            Column::int("attempt"),
            Column::int("epoch"),
            Column::text("outcome"),
            Column::text("message"),
            Column::int("score"),
            Column::time("started_at"),
            Column::time("ended_at"),
        ],
        indices: &[],
    },
    List {
        name: "spec_findings",
        columns: &[
            Column::text("spec"),
            Column::text("phase"),
            Column::int("n"),
            Column::text("rule"),
            Column::text("severity"),
            Column::int("skipped"),
            Column::text("message"),
            Column::text("place"),
            Column::text("mend"),
        ],
        indices: &[],
    },
];

pub(super) fn columns(detail: &SpecDetail) -> Vec<Value> {
    vec![
        Value::text(detail.project),
        Value::text(detail.status),
        Value::text(&detail.agent),
        Value::text_or_null(detail.folder.as_ref()),
        Value::text_or_null(detail.failure.as_ref().map(|failure| &failure.reason)),
        Value::int(detail.tickets.len()),
        Value::time(detail.created_at),
        Value::time(detail.updated_at),
        Value::time_or_null(detail.completed_at),
    ]
}

pub(super) fn entries(detail: &SpecDetail) -> Entries {
    let (mut entries, spec) = (Entries::default(), detail.id.to_string());
    for (number, phase) in (1..).zip(&detail.phases) {
        entries.put(PHASES, format!("{spec}/{number}"), phase_columns(&spec, phase));
        // What passed is in the document; here it would be most of the rows that are written.
        for (n, finding) in (1..).zip(&phase.findings).filter(|(_, finding)| !finding.passed) {
            let columns = vec![
                Value::text(&spec),
                Value::text(phase.phase),
                Value::Int(n),
                Value::text(&finding.rule),
                Value::word(finding.severity),
                Value::int(finding.skipped),
                Value::text(&finding.message),
                Value::text(&finding.place),
                Value::text(&finding.mend),
            ];
            entries.put(FINDINGS, format!("{spec}/{number}/{n:06}"), columns);
        }
    }
    for (n, record) in (1..).zip(&detail.attempts) {
        entries.put(ATTEMPTS, format!("{spec}/{n:06}"), attempt_columns(&spec, n, record));
    }
    entries
}

fn phase_columns(spec: &str, phase: &PhaseDetail) -> Vec<Value> {
    let mut values = vec![
        Value::text(spec),
        Value::text(phase.phase),
        Value::word(phase.status),
        Value::int(phase.attempts),
        Value::int_or_null(phase.score),
        Value::int_or_null(phase.threshold),
    ];
    values.extend(Value::usage(phase.usage));
    let times = [phase.retry_at, phase.started_at, phase.completed_at];
    values.extend(times.map(Value::time_or_null));
    values
}

fn attempt_columns(spec: &str, n: i64, record: &AttemptRecord) -> Vec<Value> {
    vec![
        Value::text(spec),
        Value::Int(n),
        Value::text(record.phase),
        Value::int(record.attempt),
        Value::int(record.epoch.0),
        Value::word(record.outcome),
        Value::text_or_null(record.message.as_ref()),
        Value::int_or_null(record.score),
        Value::time(record.started_at),
        Value::time_or_null(record.ended_at),
    ]
}
