//! Whether the engine lives, and whether it can take work. Open to all, who hear only that; why
//! not, hears who may read.

use axum::Json;
use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use serde_json::{Value, json};
use specline_aggregates::access_key::Scope;
use specline_projections::State;

use super::Api;
use super::auth::Operator;
use super::error::Refusal;
use crate::engine::MAX_LAG_EVENTS;

pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

pub(super) async fn ready(Shared(api): Shared<Api>, request: Request) -> (StatusCode, Json<Value>) {
    let checks = api.engine.checks(MAX_LAG_EVENTS).await;
    let well = checks.iter().all(|check| check.ok);
    let mut answer = json!({ "status": if well { "ok" } else { "not ready" } });
    let principal = api.principal(request.headers(), request.extensions()).await;
    if principal.is_ok_and(|principal| principal.allows(Scope::Reader) && sees_all(&principal)) {
        answer["checks"] = json!(checks);
    }
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(answer))
}

fn sees_all(principal: &Operator) -> bool {
    principal.project().is_none()
}

/// The read models: position, lag, state, last error.
pub(super) async fn projections(
    Shared(api): Shared<Api>,
    _: Operator,
) -> Result<Json<Value>, Refusal> {
    let head = api.engine.head();
    let states: Vec<_> = api
        .engine
        .models()
        .status()
        .iter()
        .map(|model| {
            let error = match &model.state {
                State::Running => None,
                State::Failed(failure) => Some(failure),
            };
            json!({
                "name": model.model,
                "position": model.position,
                "lag": head.saturating_sub(model.position),
                "rebuilding": model.rebuilding,
                "error": error,
            })
        })
        .collect();
    Ok(Json(json!({ "head": head, "projections": states })))
}
