//! Commands on specs, by the operator.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use specline_aggregates::spec::{Spec, Status};
use specline_aggregates::{Budget, Digest, Phase, RawJson, SpecId};

use super::Api;
use super::auth::Principal;
use super::body::Body;
use super::error::Refusal;
use super::extract::Path;
use crate::engine::{Asked, Done, DraftRequest, EngineError, Executed, Keyed};

pub(super) type Answer = Result<(StatusCode, HeaderMap, Json<Value>), Refusal>;

/// What every write on a spec answers with.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Written {
    id: SpecId,
    status: Status,
    /// Give it as `at_least` to a read that has to see this write.
    position: u64,
    /// Give it as `If-Match` to a write that goes by this state.
    version: u64,
}

/// What starting a spec answers with.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Launched {
    #[serde(flatten)]
    written: Written,
    execution: Executed,
}

/// What `execute` answers with: here `status` is that of the call.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Execution {
    id: SpecId,
    status: Executed,
    position: u64,
    version: u64,
}

/// What forking answers with.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Forked {
    #[serde(flatten)]
    written: Written,
    /// The spec that it was made from.
    source: SpecId,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionBody {
    #[serde(default)]
    pub reason: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevisionBody {
    title: Option<String>,
    description: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalBody {
    /// Digest of the output that was looked at.
    pub digest: Digest,
    #[serde(default)]
    pub comment: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectionBody {
    /// Digest of the output that was looked at.
    pub digest: Digest,
    pub feedback: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryBody {
    pub phase: Phase,
    #[serde(default)]
    pub budget: Option<Budget>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForkBody {
    /// Sequence of the event after which the fork begins.
    pub at_version: u64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditBody {
    pub output: RawJson,
}

pub(super) fn asked(operator: Principal, (keyed, expected): (Option<Keyed>, Option<u64>)) -> Asked {
    operator.asks((keyed, expected))
}

impl Written {
    fn of(id: SpecId, done: &Done<Spec>) -> Self {
        let (status, position, version) = (done.state.status(), done.position.0, done.version);
        Self { id, status, position, version }
    }
}

/// An answer, with the version as its ETag, and where a new spec is.
fn answer<T: Serialize>(status: StatusCode, (id, version): (SpecId, u64), body: &T) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, etag(version));
    if status == StatusCode::CREATED
        && let Ok(place) = HeaderValue::from_str(&format!("/api/v1/specs/{id}"))
    {
        headers.insert(header::LOCATION, place);
    }
    let body = serde_json::to_value(body).map_err(|error| EngineError::Internal {
        what: "an answer cannot be written",
        cause: error.to_string(),
    })?;
    Ok((status, headers, Json(body)))
}

/// A version as an ETag; the form that `If-Match` takes too.
pub(super) fn etag(version: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("digits are a legal header")
}

pub(super) fn written(status: StatusCode, id: SpecId, done: &Done<Spec>) -> Answer {
    answer(status, (id, done.version), &Written::of(id, done))
}

pub(super) async fn draft(
    State(api): State<Api>,
    operator: Principal,
    body: Body<DraftRequest>,
) -> Answer {
    api.may_draft(&operator, &body.value).await?;
    let asked = asked(operator, (body.keyed, None));
    let (id, done) = api.engine.draft(body.value, &asked).await?;
    written(StatusCode::CREATED, id, &done)
}

pub(super) async fn launch(
    State(api): State<Api>,
    operator: Principal,
    body: Body<DraftRequest>,
) -> Answer {
    api.may_draft(&operator, &body.value).await?;
    let asked = asked(operator, (body.keyed, None));
    let (id, _) = api.engine.draft(body.value, &asked).await?;
    let (executed, done) = api.engine.execute(id, &asked).await?;
    let launched = Launched { written: Written::of(id, &done), execution: executed };
    answer(StatusCode::ACCEPTED, (id, done.version), &launched)
}

pub(super) async fn execute(
    State(api): State<Api>,
    operator: Principal,
    Path(id): Path<SpecId>,
    body: Body<ActionBody>,
) -> Answer {
    let (executed, done) =
        api.engine.execute(id, &asked(operator, (body.keyed, body.expected))).await?;
    let (position, version) = (done.position.0, done.version);
    let execution = Execution { id, status: executed, position, version };
    answer(StatusCode::ACCEPTED, (id, version), &execution)
}

pub(super) async fn resume(
    State(api): State<Api>,
    operator: Principal,
    Path(id): Path<SpecId>,
    body: Body<ActionBody>,
) -> Answer {
    let done = api.engine.resume(id, &asked(operator, (body.keyed, body.expected))).await?;
    written(StatusCode::ACCEPTED, id, &done)
}

pub(super) async fn pause(
    State(api): State<Api>,
    operator: Principal,
    Path(id): Path<SpecId>,
    body: Body<ActionBody>,
) -> Answer {
    let reason = body.value.reason.unwrap_or_else(|| "asked to pause".to_owned());
    let done = api.engine.pause(id, &reason, &asked(operator, (body.keyed, body.expected))).await?;
    written(StatusCode::OK, id, &done)
}

pub(super) async fn cancel(
    State(api): State<Api>,
    operator: Principal,
    Path(id): Path<SpecId>,
    body: Body<ActionBody>,
) -> Answer {
    let reason = body.value.reason.unwrap_or_else(|| "asked to cancel".to_owned());
    let done =
        api.engine.cancel(id, &reason, &asked(operator, (body.keyed, body.expected))).await?;
    written(StatusCode::OK, id, &done)
}

pub(super) async fn revise(
    State(api): State<Api>,
    operator: Principal,
    Path(id): Path<SpecId>,
    body: Body<RevisionBody>,
) -> Answer {
    let RevisionBody { title, description } = body.value;
    let asked = asked(operator, (body.keyed, body.expected));
    let done = api.engine.revise(id, title, description, &asked).await?;
    written(StatusCode::OK, id, &done)
}

pub(super) async fn retry(
    State(api): State<Api>,
    operator: Principal,
    Path(id): Path<SpecId>,
    body: Body<RetryBody>,
) -> Answer {
    let RetryBody { phase, budget } = body.value;
    let done =
        api.engine.retry(id, phase, budget, &asked(operator, (body.keyed, body.expected))).await?;
    written(StatusCode::ACCEPTED, id, &done)
}

pub(super) async fn fork(
    State(api): State<Api>,
    operator: Principal,
    Path(id): Path<SpecId>,
    body: Body<ForkBody>,
) -> Answer {
    let asked = asked(operator, (body.keyed, body.expected));
    let (fork, done) = api.engine.fork(id, body.value.at_version, &asked).await?;
    let forked = Forked { written: Written::of(fork, &done), source: id };
    answer(StatusCode::CREATED, (fork, done.version), &forked)
}

pub(super) async fn approve(
    State(api): State<Api>,
    operator: Principal,
    Path((id, phase)): Path<(SpecId, Phase)>,
    body: Body<ApprovalBody>,
) -> Answer {
    let ApprovalBody { digest, comment } = body.value;
    let asked = asked(operator, (body.keyed, body.expected));
    let done = api.engine.approve(id, (phase, digest), comment, &asked).await?;
    written(StatusCode::OK, id, &done)
}

pub(super) async fn reject(
    State(api): State<Api>,
    operator: Principal,
    Path((id, phase)): Path<(SpecId, Phase)>,
    body: Body<RejectionBody>,
) -> Answer {
    let RejectionBody { digest, feedback } = body.value;
    let asked = asked(operator, (body.keyed, body.expected));
    let done = api.engine.reject(id, (phase, digest), &feedback, &asked).await?;
    written(StatusCode::OK, id, &done)
}

pub(super) async fn edit(
    State(api): State<Api>,
    operator: Principal,
    Path((id, phase)): Path<(SpecId, Phase)>,
    body: Body<EditBody>,
) -> Answer {
    let asked = asked(operator, (body.keyed, body.expected));
    let done = api.engine.edit(id, phase, body.value.output, &asked).await?;
    written(StatusCode::OK, id, &done)
}
