//! Back-testing of gates: reads what was judged, and changes nothing.

use axum::Json;
use axum::extract::State;

use super::Api;
use super::auth::Operator;
use super::body::Body;
use super::error::Refusal;
use crate::engine::backtest::{Change, Report};

/// What a changed gate would have said.
pub(super) async fn backtest(
    State(api): State<Api>,
    _: Operator,
    body: Body<Change>,
) -> Result<Json<Report>, Refusal> {
    body.value.check().map_err(|error| Refusal::invalid(error.to_string()))?;
    Ok(Json(api.engine.backtest(&body.value).await?))
}
