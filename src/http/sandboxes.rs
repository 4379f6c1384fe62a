//! The worker's calls. Each needs the sandbox's own token.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::{Digest, RawJson, SandboxId};

use super::Api;
use super::auth::Caller;
use super::body::Body;
use super::error::Refusal;
use super::extract::{Path, Query};
use crate::engine::EngineError;
use crate::protocol::{
    Assignment, Attach, Detach, FailureAnswer, FailureReport, HeartbeatAnswer, HeartbeatReport,
    MAX_NOTES, Notes, StepAnswer, StepReport, Submission, SubmissionAnswer,
};

/// Longest that a long poll may take.
const MAX_WAIT: Duration = Duration::from_secs(30);

type Answer<T> = Result<Json<T>, Refusal>;

pub(super) async fn attach(
    State(api): State<Api>,
    Caller(id): Caller,
    body: Body<Attach>,
) -> Answer<Assignment> {
    Ok(Json(api.engine.attach(id, &body.value, body.keyed.as_ref()).await?))
}

pub(super) async fn heartbeat(
    State(api): State<Api>,
    Caller(id): Caller,
    body: Body<HeartbeatReport>,
) -> Answer<HeartbeatAnswer> {
    Ok(Json(api.engine.heartbeat(id, &body.value).await?))
}

pub(super) async fn step(
    State(api): State<Api>,
    Caller(id): Caller,
    body: Body<StepReport>,
) -> Answer<StepAnswer> {
    Ok(Json(api.engine.record_step(id, &body.value, body.keyed.as_ref()).await?))
}

pub(super) async fn output(
    State(api): State<Api>,
    Caller(id): Caller,
    body: Body<Submission>,
) -> Answer<SubmissionAnswer> {
    Ok(Json(api.engine.submit_output(id, &body.value, body.keyed.as_ref()).await?))
}

pub(super) async fn failure(
    State(api): State<Api>,
    Caller(id): Caller,
    body: Body<FailureReport>,
) -> Answer<FailureAnswer> {
    Ok(Json(api.engine.report_failure(id, &body.value, body.keyed.as_ref()).await?))
}

/// How long to wait.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Poll {
    /// Seconds to wait for something to do; at most 30 count.
    #[serde(default)]
    wait: u64,
}

pub(super) async fn assignment(
    State(api): State<Api>,
    Caller(id): Caller,
    Query(poll): Query<Poll>,
) -> Answer<Assignment> {
    let wait = Duration::from_secs(poll.wait).min(MAX_WAIT);
    Ok(Json(api.long_poll(id, wait).await?))
}

impl Api {
    /// Answers at once with anything but `Wait`; that, it holds until the log moves to something
    /// else, the time it names has come, or `wait` is over.
    async fn long_poll(&self, id: SandboxId, wait: Duration) -> Result<Assignment, EngineError> {
        let end = tokio::time::Instant::now() + wait;
        let mut head = self.engine.appends();
        loop {
            head.borrow_and_update();
            let assignment = self.engine.next_assignment(id).await?;
            let Assignment::Wait { until, .. } = &assignment else { return Ok(assignment) };
            let now = self.engine.now().await?;
            let due = until.map(|at| {
                tokio::time::Instant::now() + Duration::from_millis(at.ms_since(now) + 1)
            });
            let wake = due.map_or(end, |due| due.min(end));
            tokio::select! {
                changed = head.changed() => if changed.is_err() { return Ok(assignment) },
                () = tokio::time::sleep_until(wake) => if wake == end { return Ok(assignment) },
                () = self.engine.stopped() => return Ok(assignment),
            }
        }
    }
}

/// How many notes were kept.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Kept {
    kept: usize,
}

pub(super) async fn events(
    State(api): State<Api>,
    Caller(id): Caller,
    body: Body<Notes>,
) -> Result<(StatusCode, Json<Kept>), Refusal> {
    let notes = &body.value.events;
    if notes.len() > MAX_NOTES {
        let detail = format!("{} events in one call; at most {MAX_NOTES}", notes.len());
        return Err(Refusal::invalid(detail));
    }
    api.engine.add_notes(id, notes).await?;
    Ok((StatusCode::ACCEPTED, Json(Kept { kept: notes.len() })))
}

/// A context that was too large for an environment variable.
pub(super) async fn context(
    State(api): State<Api>,
    Caller(id): Caller,
    Path((_, digest)): Path<(String, Digest)>,
) -> Answer<RawJson> {
    Ok(Json(api.engine.stored_context(id, digest).await?))
}

/// That the worker is let go.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Detached {
    detached: bool,
}

pub(super) async fn detach(
    State(api): State<Api>,
    Caller(id): Caller,
    body: Body<Detach>,
) -> Answer<RawJson> {
    let detach = async {
        api.engine.detach(id, &body.value).await?;
        Ok(Detached { detached: true })
    };
    let who = (&*id.to_string(), body.keyed.as_ref());
    Ok(Json(api.engine.once(who, detach).await?))
}
