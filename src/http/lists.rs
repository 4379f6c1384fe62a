//! Lists from the read models, and their rebuilding.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use specline_aggregates::{ProjectId, SpecId, TicketId, ticket};
use specline_projections::{Listing, task_queue, tickets};

use super::Api;
use super::auth::Operator;
use super::error::Refusal;
use super::extract::{Path, Query};
use crate::engine::EngineError;

/// Most items of a page, and how many there are when nobody says.
const MAX_PAGE: u32 = 1_000;
const PAGE: u32 = 100;

type Answer = Result<Json<Value>, Refusal>;

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    status: Option<String>,
    project: Option<ProjectId>,
    spec: Option<SpecId>,
    ticket: Option<TicketId>,
    cursor: Option<String>,
    limit: Option<u32>,
    at_least: Option<u64>,
}

impl ListQuery {
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE)
    }
}

fn page<T: Serialize>(name: &str, listing: &Listing<T>) -> Json<Value> {
    Json(json!({ name: listing.rows, "next_cursor": listing.next }))
}

pub(super) async fn tasks(
    State(api): State<Api>,
    principal: Operator,
    Query(query): Query<ListQuery>,
) -> Answer {
    api.at_least(query.at_least).await?;
    let filter = task_queue::Filter {
        status: query.status.clone(),
        project: principal.within(query.project)?,
        spec: query.spec,
        ticket: query.ticket,
    };
    let listing = api.engine.models().tasks(&filter, query.cursor.as_deref(), query.limit()).await;
    Ok(page("tasks", &listing.map_err(EngineError::from)?))
}

pub(super) async fn tickets(
    State(api): State<Api>,
    principal: Operator,
    Query(query): Query<ListQuery>,
) -> Answer {
    api.at_least(query.at_least).await?;
    let status = query.status.as_ref().map(|status| {
        serde_json::from_value::<ticket::Status>(Value::String(status.clone()))
            .map_err(|error| Refusal::invalid(format!("status: {error}")))
    });
    let filter = tickets::Filter {
        project: principal.within(query.project)?,
        spec: query.spec,
        status: status.transpose()?,
    };
    let cursor = query.cursor.as_deref();
    let listing = api.engine.models().tickets(&filter, cursor, query.limit()).await;
    Ok(page("tickets", &listing.map_err(EngineError::from)?))
}

/// The requirements with what covers them.
pub(super) async fn requirements(
    State(api): State<Api>,
    _: Operator,
    Path(id): Path<SpecId>,
    Query(query): Query<ListQuery>,
) -> Answer {
    api.at_least(query.at_least).await?;
    api.engine.spec(id).await?;
    let rows = api.engine.models().requirements(id).await.map_err(EngineError::from)?;
    Ok(Json(json!({ "requirements": rows })))
}

pub(super) async fn detail(
    State(api): State<Api>,
    _: Operator,
    Path(id): Path<SpecId>,
    Query(query): Query<ListQuery>,
) -> Answer {
    api.at_least(query.at_least).await?;
    let detail = api.engine.models().spec_detail(id).await.map_err(EngineError::from)?;
    let missing = || EngineError::NotFound { what: "spec", id: id.to_string() };
    Ok(Json(json!(detail.ok_or_else(missing)?)))
}

pub(super) async fn timeline(
    State(api): State<Api>,
    _: Operator,
    Path(id): Path<SpecId>,
    Query(query): Query<ListQuery>,
) -> Answer {
    api.at_least(query.at_least).await?;
    api.engine.spec(id).await?;
    let cursor = query.cursor.as_deref();
    let listing = api.engine.models().timeline(id, cursor, query.limit()).await;
    Ok(page("timeline", &listing.map_err(EngineError::from)?))
}

/// Builds a read model anew beside the live one, and swaps it in.
pub(super) async fn rebuild(
    State(api): State<Api>,
    _: Operator,
    Path(name): Path<String>,
) -> Answer {
    let position = api.engine.rebuild(&name).await?;
    Ok(Json(json!({ "name": name, "position": position })))
}
