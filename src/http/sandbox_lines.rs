//! Sandboxes as people see them: a list, one of them, and its end on order.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use specline_aggregates::{SandboxId, SpecId};
use specline_projections::sandboxes::{self, Filter, Owner, SandboxLine};

use super::Api;
use super::auth::Principal;
use super::body::Body;
use super::error::Refusal;
use super::extract::{Path, Query};
use super::paging::{Limit, SandboxPage};
use super::specs::{Answer, asked, written};
use super::tasks::{Freshness, NothingMore};
use crate::engine::{EngineError, Owned};

/// Which sandboxes to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SandboxQuery {
    /// Only those of this spec.
    spec: Option<SpecId>,
    state: Option<sandboxes::State>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
    /// The position of a write that the answer must have seen.
    at_least: Option<u64>,
}

pub(super) async fn list(
    State(api): State<Api>,
    principal: Principal,
    Query(query): Query<SandboxQuery>,
) -> Result<Json<SandboxPage>, Refusal> {
    if principal.project().is_some() && query.spec.is_none() {
        let detail = "a key of one project lists the sandboxes of a spec: say which with ?spec=";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "project_bound", detail));
    }
    if let Some(spec) = query.spec {
        let (spec, own) = (Owned::Spec(spec), principal.project());
        // Another project's is as if it were not there.
        match api.engine.project_of(spec).await? {
            Some(project) if own.is_none_or(|own| own == project) => {}
            Some(_) | None => return Err(spec.not_found().into()),
        }
    }
    api.at_least(query.at_least).await?;
    let filter = Filter { owner: query.spec.map(Owner::Spec), state: query.state };
    let (cursor, limit) = (query.cursor.as_deref(), query.limit.get());
    let page = api.engine.models().sandboxes(filter, cursor, limit).await;
    let page = page.map_err(EngineError::from)?;
    Ok(Json(SandboxPage { sandboxes: page.rows, next_cursor: page.next }))
}

pub(super) async fn show(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<SandboxId>,
    Query(query): Query<Freshness>,
) -> Result<Json<SandboxLine>, Refusal> {
    api.at_least(query.at_least).await?;
    let line = api.engine.models().sandbox(id).await.map_err(EngineError::from)?;
    let missing = || EngineError::NotFound { what: "sandbox", id: id.to_string() };
    Ok(Json(line.ok_or_else(missing)?))
}

pub(super) async fn terminate(
    State(api): State<Api>,
    operator: Principal,
    Path(id): Path<SandboxId>,
    body: Body<NothingMore>,
) -> Answer {
    let asked = asked(operator, (body.keyed, body.expected));
    let done = api.engine.end_sandbox_of(id, &asked).await?;
    let spec = done
        .state
        .id()
        .ok_or_else(|| EngineError::NotFound { what: "sandbox", id: id.to_string() })?;
    written(StatusCode::ACCEPTED, spec, &done)
}
