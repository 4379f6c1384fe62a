//! Lists from the read models, and their rebuilding.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::{ProjectId, RawJson, SpecId, TicketId, ticket};
use specline_projections::spec_detail::SpecDetail;
use specline_projections::{task_queue, tickets};

use super::Api;
use super::auth::Principal;
use super::body::Body;
use super::error::Refusal;
use super::extract::{Path, Query};
use super::paging::{Limit, Paging, RequirementList, TaskPage, TicketPage, TimelinePage};
use super::tasks::{Freshness, NothingMore};
use crate::engine::EngineError;

type Answer<T> = Result<Json<T>, Refusal>;

/// Which tasks to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskQuery {
    /// Such as `queued`.
    status: Option<String>,
    project: Option<ProjectId>,
    spec: Option<SpecId>,
    ticket: Option<TicketId>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
    /// The position of a write that the answer must have seen.
    at_least: Option<u64>,
}

/// Which tickets to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketQuery {
    status: Option<ticket::Status>,
    project: Option<ProjectId>,
    spec: Option<SpecId>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
    /// The position of a write that the answer must have seen.
    at_least: Option<u64>,
}

/// A read model that was built anew.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Rebuilt {
    name: String,
    position: u64,
}

pub(super) async fn tasks(
    State(api): State<Api>,
    principal: Principal,
    Query(query): Query<TaskQuery>,
) -> Answer<TaskPage> {
    api.at_least(query.at_least).await?;
    let filter = task_queue::Filter {
        status: query.status.clone(),
        project: principal.within(query.project)?,
        spec: query.spec,
        ticket: query.ticket,
    };
    let (cursor, limit) = (query.cursor.as_deref(), query.limit.get());
    let page = api.engine.models().tasks(&filter, cursor, limit).await;
    let page = page.map_err(EngineError::from)?;
    Ok(Json(TaskPage { tasks: page.rows, next_cursor: page.next }))
}

pub(super) async fn tickets(
    State(api): State<Api>,
    principal: Principal,
    Query(query): Query<TicketQuery>,
) -> Answer<TicketPage> {
    api.at_least(query.at_least).await?;
    let filter = tickets::Filter {
        project: principal.within(query.project)?,
        spec: query.spec,
        status: query.status,
    };
    let (cursor, limit) = (query.cursor.as_deref(), query.limit.get());
    let page = api.engine.models().tickets(&filter, cursor, limit).await;
    let page = page.map_err(EngineError::from)?;
    Ok(Json(TicketPage { tickets: page.rows, next_cursor: page.next }))
}

/// The requirements with what covers them.
pub(super) async fn requirements(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<SpecId>,
    Query(query): Query<Freshness>,
) -> Answer<RequirementList> {
    api.at_least(query.at_least).await?;
    api.engine.spec(id).await?;
    let rows = api.engine.models().requirements(id).await.map_err(EngineError::from)?;
    Ok(Json(RequirementList { requirements: rows }))
}

pub(super) async fn detail(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<SpecId>,
    Query(query): Query<Freshness>,
) -> Answer<SpecDetail> {
    api.at_least(query.at_least).await?;
    let detail = api.engine.models().spec_detail(id).await.map_err(EngineError::from)?;
    let missing = || EngineError::NotFound { what: "spec", id: id.to_string() };
    Ok(Json(detail.ok_or_else(missing)?))
}

pub(super) async fn timeline(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<SpecId>,
    Query(query): Query<Paging>,
) -> Answer<TimelinePage> {
    api.at_least(query.at_least).await?;
    api.engine.spec(id).await?;
    let (cursor, limit) = (query.cursor.as_deref(), query.limit.get());
    let page = api.engine.models().timeline(id, cursor, limit).await;
    let page = page.map_err(EngineError::from)?;
    Ok(Json(TimelinePage { timeline: page.rows, next_cursor: page.next }))
}

/// Builds a read model anew beside the live one, and swaps it in.
pub(super) async fn rebuild(
    State(api): State<Api>,
    principal: Principal,
    Path(name): Path<String>,
    body: Body<NothingMore>,
) -> Answer<RawJson> {
    let rebuild = async {
        let position = api.engine.rebuild(&name).await?;
        Ok(Rebuilt { name: name.clone(), position })
    };
    let keyed = principal.owns(body.keyed);
    Ok(Json(api.engine.once((&principal.name, keyed.as_ref()), rebuild).await?))
}
