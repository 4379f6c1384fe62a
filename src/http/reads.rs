//! Reads of specs: the list from its read model, one spec and its log from the log itself.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use specline_aggregates::{Phase, ProjectId, SpecId};
use specline_projections::spec_board;

use super::Api;
use super::auth::Operator;
use super::error::Refusal;
use super::extract::{Path, Query};
use crate::engine::EngineError;
use crate::view::{EventView, SpecView};

/// Longest that a reader of events is kept waiting.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Most items of a page.
const MAX_PAGE: u32 = 1_000;

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    project: Option<ProjectId>,
    status: Option<specline_aggregates::spec::Status>,
    phase: Option<Phase>,
    q: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
    at_least: Option<u64>,
}

/// A page of specs.
#[derive(Debug, Serialize, Deserialize)]
pub struct SpecList {
    pub specs: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl Api {
    pub(super) async fn at_least(&self, position: Option<u64>) -> Result<(), Refusal> {
        let Some(position) = position else { return Ok(()) };
        if self.engine.wait_for(position).await {
            return Ok(());
        }
        let cause = format!("the read models have not passed position {position} yet");
        Err(EngineError::Transient(cause).into())
    }
}

pub(super) async fn list(
    State(api): State<Api>,
    principal: Operator,
    Query(query): Query<ListQuery>,
) -> Result<Json<SpecList>, Refusal> {
    api.at_least(query.at_least).await?;
    let filter = spec_board::Filter {
        project: principal.within(query.project)?,
        status: query.status,
        phase: query.phase,
        text: query.q,
    };
    let limit = query.limit.unwrap_or(100).clamp(1, MAX_PAGE);
    let cursor = query.cursor.as_deref();
    let page = api.engine.models().specs(&filter, cursor, limit).await;
    let page = page.map_err(EngineError::from)?;
    let specs = page.rows.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
    let specs = specs.map_err(|error| EngineError::Internal {
        what: "a row cannot be written",
        cause: error.to_string(),
    })?;
    Ok(Json(SpecList { specs, next_cursor: page.next }))
}

pub(super) async fn show(
    State(api): State<Api>,
    _: Operator,
    Path(id): Path<SpecId>,
    Query(query): Query<AsOf>,
) -> Result<Json<SpecView>, Refusal> {
    let spec = match query.as_of_version {
        Some(version) => api.engine.spec_at(id, version).await?.state,
        None => api.engine.spec(id).await?,
    };
    let missing = || EngineError::NotFound { what: "spec", id: id.to_string() };
    Ok(Json(SpecView::of(&spec).ok_or_else(missing)?))
}

#[derive(Debug, Deserialize)]
pub(super) struct AsOf {
    as_of_version: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct EventsQuery {
    /// Sequence to read after.
    #[serde(default)]
    after: u64,
    limit: Option<u32>,
    /// Seconds to wait for the first event.
    #[serde(default)]
    wait: u64,
}

pub(super) async fn events(
    State(api): State<Api>,
    _: Operator,
    Path(id): Path<SpecId>,
    Query(query): Query<EventsQuery>,
) -> Result<Json<Vec<EventView>>, Refusal> {
    api.engine.spec(id).await?;
    let limit = query.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE) as usize;
    let wait = Duration::from_secs(query.wait).min(MAX_WAIT);
    Ok(Json(api.engine.spec_events(id, (query.after, limit), wait).await?))
}

#[derive(Debug, Deserialize)]
pub(super) struct ContextQuery {
    phase: Phase,
}

/// Exactly what the agent gets.
pub(super) async fn context(
    State(api): State<Api>,
    _: Operator,
    Path(id): Path<SpecId>,
    Query(query): Query<ContextQuery>,
) -> Result<Json<Value>, Refusal> {
    Ok(Json(api.engine.context_of(id, query.phase).await?))
}

/// One phase with its accepted or waiting output.
pub(super) async fn phase(
    State(api): State<Api>,
    _: Operator,
    Path((id, phase)): Path<(SpecId, Phase)>,
) -> Result<Json<Value>, Refusal> {
    Ok(Json(api.engine.phase_of(id, phase).await?))
}
