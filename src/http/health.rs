//! Whether the engine lives, and whether it can take work. Open to all, who hear only that; why
//! not, hears who may read.

use axum::Json;
use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use specline_aggregates::access_key::Scope;

use super::Api;
use super::answers::{Health, Projection, ProjectionList, Word};
use super::auth::Principal;
use super::error::Refusal;
use super::extract::Query;
use super::tasks::Freshness;

pub(super) async fn live() -> Json<Health> {
    Json(Health { status: Word::Ok, checks: None })
}

pub(super) async fn ready(
    Shared(api): Shared<Api>,
    request: Request,
) -> (StatusCode, Json<Health>) {
    let checks = api.engine.checks(&api.ready).await;
    let well = checks.iter().all(|check| check.ok);
    let principal = api.principal(request.headers(), request.extensions()).await;
    let reads = |principal: Principal| principal.allows(Scope::Reader) && sees_all(&principal);
    let checks = principal.is_ok_and(reads).then_some(checks);
    let (code, status) = if well {
        (StatusCode::OK, Word::Ok)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Word::NotReady)
    };
    (code, Json(Health { status, checks }))
}

fn sees_all(principal: &Principal) -> bool {
    principal.project().is_none()
}

/// The read models: position, lag, state, last error.
pub(super) async fn projections(
    Shared(api): Shared<Api>,
    _: Principal,
    Query(query): Query<Freshness>,
) -> Result<Json<ProjectionList>, Refusal> {
    api.at_least(query.at_least).await?;
    let head = api.engine.head();
    let models = api.engine.models().status();
    let projections = models.iter().map(|model| Projection::of(model, head)).collect();
    Ok(Json(ProjectionList { head, projections }))
}
