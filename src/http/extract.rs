//! Paths and queries, with refusals that are problem documents like all others.

use axum::extract::{FromRequestParts, Path as RawPath, Query as RawQuery};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::Refusal;

/// The variables of the path.
pub(super) struct Path<T>(pub T);

/// The query string.
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let found = RawPath::<T>::from_request_parts(parts, state).await;
        let RawPath(value) = found
            .map_err(|e| Refusal::new(StatusCode::BAD_REQUEST, "invalid_path", e.body_text()))?;
        Ok(Self(value))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let found = RawQuery::<T>::from_request_parts(parts, state).await;
        let RawQuery(value) = found
            .map_err(|e| Refusal::new(StatusCode::BAD_REQUEST, "invalid_query", e.body_text()))?;
        Ok(Self(value))
    }
}
