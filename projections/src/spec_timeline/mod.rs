//! The timeline of a spec: one row an event, with a sentence for people. Rows are only added.

mod summary;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::spec::Event;
use specline_aggregates::{Phase, SpecId, Timestamp};

use crate::Envelope;
use crate::framework::{
    Column, Error, FoldError, Listing, Model, Of, Projection, Query, ReadModels, Rows, Table,
    Value, cursor_of, position_of,
};

/// Most entries that one call gives.
const MAX_ENTRIES: u32 = 5_000;

/// One event of a spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TimelineEntry")]
pub struct Entry {
    pub spec: SpecId,
    pub sequence: u64,
    pub position: u64,
    pub at: Timestamp,
    #[serde(rename = "type")]
    pub event_type: String,
    pub phase: Option<Phase>,
    pub attempt: Option<u32>,
    pub actor: String,
    /// One sentence.
    pub summary: String,
}

impl ReadModels {
    /// The events of a spec, oldest first. `after` is the `next` of the listing before.
    pub async fn timeline(
        &self,
        spec: SpecId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Listing<Entry>, Error> {
        let of_list = format!("{} {spec}", Timeline::TABLE.name);
        let after = after.map_or(Ok(0), |after| position_of(after, &of_list))?;
        let after = u64::try_from(after).unwrap_or_default();
        let limit = limit.clamp(1, MAX_ENTRIES);
        let query = Query::of::<Timeline>()
            .when("key > $", Value::Text(key(spec, after)))
            // `0` is the character after `/`: the keys of this spec end before it.
            .when("key < $", Value::Text(format!("{spec}0")));
        let mut rows: Vec<Entry> =
            query.fetch(self, &format!("ORDER BY key LIMIT {}", limit + 1)).await?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let last = rows.last().filter(|_| more).and_then(|row| i64::try_from(row.sequence).ok());
        let next = last.map(|sequence| cursor_of(sequence, &of_list));
        Ok(Listing { rows, next })
    }
}

pub(crate) fn model() -> Box<dyn Projection> {
    Of::<Timeline>::boxed()
}

pub(crate) struct Timeline;

impl Model for Timeline {
    type Row = Entry;

    const READS: &'static [&'static str] = &["Spec"];

    const TABLE: Table = Table {
        name: "spec_timeline",
        version: 2,
        columns: &[
            Column::text("spec"),
            Column::int("sequence"),
            Column::time("at"),
            Column::text("type"),
            Column::text("phase"),
            Column::int("attempt"),
            Column::text("actor"),
            Column::text("summary"),
        ],
        indices: &[],
        lists: &[],
    };

    const APPEND_ONLY: bool = true;

    fn keys(_: &Envelope) -> Vec<String> {
        Vec::new()
    }

    fn fold(rows: &mut Rows<Entry>, envelope: &Envelope) -> Result<(), FoldError> {
        let Some((spec, event)) = envelope.spec() else { return Ok(()) };
        let (phase, attempt) = place(event);
        let entry = Entry {
            spec,
            sequence: envelope.sequence,
            position: envelope.position,
            at: envelope.recorded_at,
            event_type: envelope.event_type.clone(),
            phase,
            attempt,
            actor: envelope.actor.clone(),
            summary: summary::of(event),
        };
        rows.put(key(spec, envelope.sequence), entry);
        Ok(())
    }

    fn columns(entry: &Entry) -> Vec<Value> {
        vec![
            Value::text(entry.spec),
            Value::position(entry.sequence),
            Value::time(entry.at),
            Value::text(&entry.event_type),
            Value::text_or_null(entry.phase),
            Value::int_or_null(entry.attempt),
            Value::text(&entry.actor),
            Value::text(&entry.summary),
        ]
    }
}

/// Keys sort as the sequences do.
fn key(spec: SpecId, sequence: u64) -> String {
    format!("{spec}/{sequence:012}")
}

/// The phase and the attempt that an event is about.
fn place(event: &Event) -> (Option<Phase>, Option<u32>) {
    if let Event::SandboxRequested { phase, attempt, .. }
    | Event::AttemptStarted { phase, attempt, .. }
    | Event::StepRecorded { phase, attempt, .. }
    | Event::OutputSubmitted { phase, attempt, .. }
    | Event::VerdictRecorded { phase, attempt, .. }
    | Event::EvaluationRequested { phase, attempt, .. }
    | Event::AttemptFailed { phase, attempt, .. }
    | Event::ApprovalRequested { phase, attempt, .. }
    | Event::ExecutionResumed { phase, attempt, .. } = event
    {
        (Some(*phase), Some(*attempt))
    } else if let Event::ExecutionStarted { first_phase: phase, .. }
    | Event::PhaseApproved { phase, .. }
    | Event::PhaseRejected { phase, .. }
    | Event::CheckpointSaved { phase, .. }
    | Event::PhaseCompleted { phase, .. }
    | Event::PhaseReopened { phase, .. }
    | Event::SandboxLost { phase, .. }
    | Event::SpecFailed { phase, .. } = event
    {
        (Some(*phase), None)
    } else if let Event::SyncPlanned { attempt, .. } = event {
        (Some(Phase::Sync), Some(*attempt))
    } else {
        (None, None)
    }
}
