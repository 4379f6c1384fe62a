//! Commands on specs, by the operator.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use specline_aggregates::spec::Spec;
use specline_aggregates::{Budget, Digest, Phase, RawJson, SpecId};

use super::Api;
use super::auth::Operator;
use super::body::Body;
use super::error::Refusal;
use super::extract::Path;
use crate::engine::{Asked, Done, DraftRequest, Keyed};

type Answer = Result<(StatusCode, Json<Value>), Refusal>;

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ActionBody {
    #[serde(default)]
    pub reason: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RevisionBody {
    title: Option<String>,
    description: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ApprovalBody {
    /// Digest of the output that was looked at.
    pub digest: Digest,
    #[serde(default)]
    pub comment: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct RejectionBody {
    /// Digest of the output that was looked at.
    pub digest: Digest,
    pub feedback: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct RetryBody {
    pub phase: Phase,
    #[serde(default)]
    pub budget: Option<Budget>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ForkBody {
    /// Sequence of the event after which the fork begins.
    pub at_version: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct EditBody {
    pub output: RawJson,
}

fn asked(operator: Operator, keyed: Option<Keyed>) -> Asked {
    Asked { by: operator.name, keyed }
}

/// What every write answers with.
fn written(status: StatusCode, id: SpecId, done: &Done<Spec>, more: &Value) -> Answer {
    let mut body = json!({
        "id": id,
        "status": done.state.status(),
        "position": done.position.0,
        "version": done.version,
    });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    Ok((status, Json(body)))
}

pub(super) async fn draft(
    State(api): State<Api>,
    operator: Operator,
    body: Body<DraftRequest>,
) -> Answer {
    let asked = asked(operator, body.keyed);
    let (id, done) = api.engine.draft(body.value, &asked).await?;
    written(StatusCode::CREATED, id, &done, &json!({}))
}

pub(super) async fn launch(
    State(api): State<Api>,
    operator: Operator,
    body: Body<DraftRequest>,
) -> Answer {
    let asked = asked(operator, body.keyed);
    let (id, _) = api.engine.draft(body.value, &asked).await?;
    let (executed, done) = api.engine.execute(id, &asked).await?;
    written(StatusCode::ACCEPTED, id, &done, &json!({ "execution": executed }))
}

pub(super) async fn execute(
    State(api): State<Api>,
    operator: Operator,
    Path(id): Path<SpecId>,
    body: Body<ActionBody>,
) -> Answer {
    let (executed, done) = api.engine.execute(id, &asked(operator, body.keyed)).await?;
    written(StatusCode::ACCEPTED, id, &done, &json!({ "status": executed }))
}

pub(super) async fn resume(
    State(api): State<Api>,
    operator: Operator,
    Path(id): Path<SpecId>,
    body: Body<ActionBody>,
) -> Answer {
    let done = api.engine.resume(id, &asked(operator, body.keyed)).await?;
    written(StatusCode::ACCEPTED, id, &done, &json!({}))
}

pub(super) async fn pause(
    State(api): State<Api>,
    operator: Operator,
    Path(id): Path<SpecId>,
    body: Body<ActionBody>,
) -> Answer {
    let reason = body.value.reason.unwrap_or_else(|| "asked to pause".to_owned());
    let done = api.engine.pause(id, &reason, &asked(operator, body.keyed)).await?;
    written(StatusCode::OK, id, &done, &json!({}))
}

pub(super) async fn cancel(
    State(api): State<Api>,
    operator: Operator,
    Path(id): Path<SpecId>,
    body: Body<ActionBody>,
) -> Answer {
    let reason = body.value.reason.unwrap_or_else(|| "asked to cancel".to_owned());
    let done = api.engine.cancel(id, &reason, &asked(operator, body.keyed)).await?;
    written(StatusCode::OK, id, &done, &json!({}))
}

pub(super) async fn revise(
    State(api): State<Api>,
    operator: Operator,
    Path(id): Path<SpecId>,
    body: Body<RevisionBody>,
) -> Answer {
    let RevisionBody { title, description } = body.value;
    let asked = asked(operator, body.keyed);
    let done = api.engine.revise(id, title, description, &asked).await?;
    written(StatusCode::OK, id, &done, &json!({}))
}

pub(super) async fn retry(
    State(api): State<Api>,
    operator: Operator,
    Path(id): Path<SpecId>,
    body: Body<RetryBody>,
) -> Answer {
    let RetryBody { phase, budget } = body.value;
    let done = api.engine.retry(id, phase, budget, &asked(operator, body.keyed)).await?;
    written(StatusCode::ACCEPTED, id, &done, &json!({}))
}

pub(super) async fn fork(
    State(api): State<Api>,
    operator: Operator,
    Path(id): Path<SpecId>,
    body: Body<ForkBody>,
) -> Answer {
    let asked = asked(operator, body.keyed);
    let (fork, done) = api.engine.fork(id, body.value.at_version, &asked).await?;
    written(StatusCode::CREATED, fork, &done, &json!({ "source": id }))
}

pub(super) async fn approve(
    State(api): State<Api>,
    operator: Operator,
    Path((id, phase)): Path<(SpecId, Phase)>,
    body: Body<ApprovalBody>,
) -> Answer {
    let ApprovalBody { digest, comment } = body.value;
    let asked = asked(operator, body.keyed);
    let done = api.engine.approve(id, (phase, digest), comment, &asked).await?;
    written(StatusCode::OK, id, &done, &json!({}))
}

pub(super) async fn reject(
    State(api): State<Api>,
    operator: Operator,
    Path((id, phase)): Path<(SpecId, Phase)>,
    body: Body<RejectionBody>,
) -> Answer {
    let RejectionBody { digest, feedback } = body.value;
    let asked = asked(operator, body.keyed);
    let done = api.engine.reject(id, (phase, digest), &feedback, &asked).await?;
    written(StatusCode::OK, id, &done, &json!({}))
}

pub(super) async fn edit(
    State(api): State<Api>,
    operator: Operator,
    Path((id, phase)): Path<(SpecId, Phase)>,
    body: Body<EditBody>,
) -> Answer {
    let asked = asked(operator, body.keyed);
    let done = api.engine.edit(id, phase, body.value.output, &asked).await?;
    written(StatusCode::OK, id, &done, &json!({}))
}
