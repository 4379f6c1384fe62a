//! What policies may choose by name: agents and evaluators that the host knows. What they stand for
//! is not told.

use axum::Json;
use axum::extract::State;

use super::Api;
use super::auth::Principal;
use super::error::Refusal;
use super::extract::Query;
use super::tasks::Freshness;
use crate::engine::ProgramsShown;

pub(super) async fn list(
    State(api): State<Api>,
    _: Principal,
    Query(query): Query<Freshness>,
) -> Result<Json<ProgramsShown>, Refusal> {
    api.logged(query.at_least).await?;
    Ok(Json(api.engine.programs().await?))
}
