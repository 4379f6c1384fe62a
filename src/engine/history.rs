//! A spec's past, by replay: the version at a moment, and what one attempt did.

use schemars::JsonSchema;
use serde::Serialize;
use specline_aggregates::spec::{Event, FailureKind, Payload, Spec};
use specline_aggregates::{
    Digest, Epoch, EventSourced, Finding, Phase, RawJson, SpecId, Timestamp, Usage,
};

use super::{Engine, EngineError};
use crate::store::{Recorded, StreamId};

/// Events read at a time.
const PAGE: usize = 1_000;

/// One attempt of one phase.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Attempt {
    pub phase: Phase,
    pub attempt: u32,
    /// None: a person brought the output.
    pub epoch: Option<Epoch>,
    pub started_at: Timestamp,
    pub deadline: Option<Timestamp>,
    pub context_digest: Option<Digest>,
    pub prompt_digest: Option<Digest>,
    /// Names of the steps that were recorded.
    pub steps: Vec<String>,
    /// `agent`, or the person who edited.
    pub by: Option<String>,
    pub output_digest: Option<Digest>,
    pub output: Option<RawJson>,
    pub verdicts: Vec<Verdict>,
    pub failure: Option<AttemptFailure>,
    pub usage: Usage,
}

/// What one judge said.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "AttemptVerdict")]
pub struct Verdict {
    pub evaluator: String,
    pub output: Digest,
    pub passed: bool,
    pub score: u16,
    pub threshold: u16,
    pub rules_version: u32,
    pub manifest: Digest,
    pub findings: Vec<Finding>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AttemptFailure {
    pub kind: FailureKind,
    pub message: String,
    pub retry_at: Option<Timestamp>,
}

/// An attempt that is being put together.
struct Found {
    attempt: Attempt,
    payload: Option<Payload>,
}

impl Engine {
    /// The version that the spec had at `time`. Not known: the spec was not there yet.
    pub async fn version_at(&self, id: SpecId, time: Timestamp) -> Result<u64, EngineError> {
        let (mut before, mut after) = (0, self.loaded(id).await?.version());
        // Times rise with the sequence: the event `before` is not later than `time`.
        while before < after {
            let middle = before + (after - before).div_ceil(2);
            let event = self.inner.log.read_stream(&stream(id), middle - 1, 1).await?;
            if event.first().is_some_and(|event| event.recorded_at <= time) {
                before = middle;
            } else {
                after = middle - 1;
            }
        }
        if before == 0 {
            return Err(EngineError::NotFound { what: "spec", id: format!("{id} at {time}") });
        }
        Ok(before)
    }

    /// When the spec began.
    pub(super) async fn began(&self, id: SpecId) -> Result<Timestamp, EngineError> {
        let first = self.inner.log.read_stream(&stream(id), 0, 1).await?;
        let missing = || EngineError::NotFound { what: "spec", id: id.to_string() };
        Ok(first.first().ok_or_else(missing)?.recorded_at)
    }

    /// What attempt `number` of `phase` did.
    pub async fn attempt_of(
        &self,
        id: SpecId,
        phase: Phase,
        number: u32,
    ) -> Result<Attempt, EngineError> {
        self.spec(id).await?;
        let mut found: Option<Found> = None;
        let mut after = 0;
        loop {
            let rows = self.inner.log.read_stream(&stream(id), after, PAGE).await?;
            for row in &rows {
                fold(&mut found, (phase, number), (row, &decode(row)?));
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE => after = last.sequence,
                _ => break,
            }
        }
        let missing = || EngineError::NotFound {
            what: "attempt",
            id: format!("{number} of {phase} of spec {id}"),
        };
        let Found { mut attempt, payload } = found.ok_or_else(missing)?;
        attempt.output = match payload {
            None => None,
            Some(Payload::Inline(text)) => Some(RawJson::clone(&text)),
            Some(Payload::Blob { digest, .. }) => Some(self.json_blob(digest).await?),
        };
        Ok(attempt)
    }
}

fn stream(id: SpecId) -> StreamId {
    use cqrs_es::Aggregate;
    StreamId { aggregate_type: Spec::TYPE.to_owned(), aggregate_id: id.uuid() }
}

fn decode(row: &Recorded) -> Result<Event, EngineError> {
    Spec::decode(&row.event_type, &row.event_version, &row.payload)
        .map_err(|error| EngineError::Corrupt(format!("event {}: {error}", row.position)))
}

fn fold(found: &mut Option<Found>, wanted: (Phase, u32), (row, event): (&Recorded, &Event)) {
    if let Event::AttemptStarted { phase, attempt, epoch, context, prompt, deadline } = event
        && (*phase, *attempt) == wanted
    {
        let attempt = Attempt {
            epoch: Some(*epoch),
            deadline: Some(*deadline),
            context_digest: Some(*context),
            prompt_digest: Some(*prompt),
            ..begun(wanted, row.recorded_at)
        };
        *found = Some(Found { attempt, payload: None });
    } else if let Event::OutputSubmitted { phase, attempt, output, digest, usage, by, .. } = event
        && (*phase, *attempt) == wanted
    {
        let begin = || Found { attempt: begun(wanted, row.recorded_at), payload: None };
        let found = found.get_or_insert_with(begin);
        found.attempt.usage = found.attempt.usage.plus(*usage);
        found.attempt.by = Some(by.clone());
        found.attempt.output_digest = Some(*digest);
        found.payload = Some(output.clone());
    } else if let Some(found) = found {
        note(&mut found.attempt, wanted, event);
    }
}

fn begun((phase, attempt): (Phase, u32), started_at: Timestamp) -> Attempt {
    Attempt {
        phase,
        attempt,
        epoch: None,
        started_at,
        deadline: None,
        context_digest: None,
        prompt_digest: None,
        steps: Vec::new(),
        by: None,
        output_digest: None,
        output: None,
        verdicts: Vec::new(),
        failure: None,
        usage: Usage::default(),
    }
}

/// What follows in an attempt.
fn note(found: &mut Attempt, wanted: (Phase, u32), event: &Event) {
    if let Event::StepRecorded { phase, attempt, name, usage, .. } = event
        && (*phase, *attempt) == wanted
    {
        found.steps.push(name.clone());
        found.usage = found.usage.plus(*usage);
    } else if let Event::AttemptFailed { phase, attempt, kind, message, usage, retry_at } = event
        && (*phase, *attempt) == wanted
    {
        found.usage = found.usage.plus(*usage);
        let (kind, message, retry_at) = (*kind, message.clone(), *retry_at);
        found.failure = Some(AttemptFailure { kind, message, retry_at });
    } else if let Event::VerdictRecorded {
        phase,
        attempt,
        output,
        evaluator,
        rules_version,
        threshold,
        manifest,
        passed,
        score,
        findings,
    } = event
        && (*phase, *attempt) == wanted
    {
        found.verdicts.push(Verdict {
            evaluator: evaluator.clone(),
            output: *output,
            passed: *passed,
            score: *score,
            threshold: *threshold,
            rules_version: *rules_version,
            manifest: *manifest,
            findings: findings.clone(),
        });
    }
}
