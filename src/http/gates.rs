//! Back-testing of gates: reads what was judged, and changes nothing.

use axum::Json;
use axum::extract::State;
use specline_aggregates::RawJson;

use super::Api;
use super::auth::Principal;
use super::body::Body;
use super::error::Refusal;
use crate::engine::backtest::Change;

/// What a changed gate would have said.
pub(super) async fn backtest(
    State(api): State<Api>,
    principal: Principal,
    body: Body<Change>,
) -> Result<Json<RawJson>, Refusal> {
    body.value.check().map_err(|error| Refusal::invalid(error.to_string()))?;
    let keyed = principal.owns(body.keyed);
    let who = (&*principal.name, keyed.as_ref());
    Ok(Json(api.engine.once(who, api.engine.backtest(&body.value)).await?))
}
