//! Access keys: made, listed, revoked. The answer that makes a key is the only one that shows it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::access_key::{Grant, Scope};
use specline_aggregates::{AccessKeyId, ProjectId, Timestamp};

use super::Api;
use super::answers::{KeyMade, KeyPage, KeyWritten};
use super::auth::Principal;
use super::body::Body;
use super::error::Refusal;
use super::extract::{Path, Query};
use super::paging::Paging;
use crate::engine::EngineError;

/// What a new key shall be good for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    pub name: String,
    pub scopes: Vec<Scope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeBody {
    #[serde(default)]
    pub reason: Option<String>,
}

pub(super) async fn create(
    State(api): State<Api>,
    principal: Principal,
    body: Body<NewKey>,
) -> Result<(StatusCode, Json<KeyMade>), Refusal> {
    let asked = principal.asks((body.keyed, body.expected));
    let NewKey { name, scopes, project, expires_at } = body.value;
    let grant = Grant { name, scopes: scopes.into_iter().collect(), project, expires_at };
    let minted = api.engine.create_access_key(grant, &asked).await?;
    Ok((StatusCode::CREATED, Json(minted.into())))
}

pub(super) async fn list(
    State(api): State<Api>,
    _: Principal,
    Query(query): Query<Paging>,
) -> Result<Json<KeyPage>, Refusal> {
    // Whoever looks after their keys wants to see what they just did.
    let head = api.engine.head();
    api.at_least(Some(query.at_least.unwrap_or(head))).await?;
    let models = api.engine.models();
    let listing = models.access_keys(query.cursor.as_deref(), query.limit.get()).await;
    let listing = listing.map_err(EngineError::from)?;
    Ok(Json(KeyPage { keys: listing.rows, next_cursor: listing.next }))
}

pub(super) async fn revoke(
    State(api): State<Api>,
    principal: Principal,
    Path(id): Path<AccessKeyId>,
    body: Body<RevokeBody>,
) -> Result<Json<KeyWritten>, Refusal> {
    let asked = principal.asks((body.keyed, body.expected));
    let reason = body.value.reason.unwrap_or_else(|| "asked to revoke".to_owned());
    let done = api.engine.revoke_access_key(id, &reason, &asked).await?;
    Ok(Json(KeyWritten { id, position: done.position.0, version: done.version }))
}
