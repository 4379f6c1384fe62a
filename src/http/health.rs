//! Whether the engine lives, and whether it can take work. Open to all, and says only that.

use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use serde_json::{Value, json};
use specline_projections::State;

use super::Api;
use super::auth::Operator;
use super::error::Refusal;

pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

pub(super) async fn ready(Shared(api): Shared<Api>) -> (StatusCode, Json<Value>) {
    let fatal = api.engine.fatal().borrow().is_some();
    let log = api.engine.now().await.is_ok();
    let models = api.engine.models().status();
    let models = models.iter().all(|model| matches!(model.state, State::Running));
    if log && models && !fatal {
        (StatusCode::OK, Json(json!({ "status": "ok" })))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "not ready" })))
    }
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
