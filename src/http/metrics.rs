//! `/metrics`, for Prometheus.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::Api;
use super::auth::Principal;
use super::error::Refusal;
use crate::metrics::CONTENT_TYPE;

pub(super) async fn metrics(
    State(api): State<Api>,
    _: Principal,
) -> Result<impl IntoResponse, Refusal> {
    let text = api.engine.measure().await?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text))
}
