//! Tasks and tickets one by one, and what of a spec leads to which of them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::{SpecId, TaskId, TicketId};
use specline_projections::requirements::Coverage;
use specline_projections::task_queue::{Filter, TaskLine};
use specline_projections::tickets::TicketLine;

use super::Api;
use super::auth::Principal;
use super::body::Body;
use super::error::Refusal;
use super::extract::{Path, Query};
use super::paging::{Paging, TaskPage};
use super::specs::{Answer, asked, written};
use crate::engine::{EngineError, Why};

/// Something to note on a spec.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CommentBody {
    text: String,
}

/// An order that says nothing more.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NothingMore {}

/// What a reader must have seen.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Freshness {
    /// The position of a write that the answer must have seen.
    pub at_least: Option<u64>,
}

/// Which requirement leads to which components and tasks.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Traceability {
    requirements: Vec<Trace>,
    /// Local ids of requirements that no task addresses.
    uncovered: Vec<String>,
}

/// One requirement and what comes of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RequirementTrace")]
pub(super) struct Trace {
    requirement: String,
    title: String,
    coverage: Coverage,
    components: Vec<String>,
    /// Local ids.
    tasks: Vec<String>,
}

pub(super) async fn task(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<TaskId>,
    Query(query): Query<Freshness>,
) -> Result<Json<TaskLine>, Refusal> {
    api.at_least(query.at_least).await?;
    let line = api.engine.models().task(id).await.map_err(EngineError::from)?;
    let missing = || EngineError::NotFound { what: "task", id: id.to_string() };
    Ok(Json(line.ok_or_else(missing)?))
}

pub(super) async fn why(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<TaskId>,
    Query(query): Query<Freshness>,
) -> Result<Json<Why>, Refusal> {
    api.logged(query.at_least).await?;
    Ok(Json(api.engine.why(id).await?))
}

pub(super) async fn ticket(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<TicketId>,
    Query(query): Query<Freshness>,
) -> Result<Json<TicketLine>, Refusal> {
    api.at_least(query.at_least).await?;
    let line = api.engine.models().ticket(id).await.map_err(EngineError::from)?;
    let missing = || EngineError::NotFound { what: "ticket", id: id.to_string() };
    Ok(Json(line.ok_or_else(missing)?))
}

pub(super) async fn of_spec(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<SpecId>,
    Query(query): Query<Paging>,
) -> Result<Json<TaskPage>, Refusal> {
    api.at_least(query.at_least).await?;
    api.engine.spec(id).await?;
    let filter = Filter { spec: Some(id), ..Filter::default() };
    let (cursor, limit) = (query.cursor.as_deref(), query.limit.get());
    let page = api.engine.models().tasks(&filter, cursor, limit).await;
    let page = page.map_err(EngineError::from)?;
    Ok(Json(TaskPage { tasks: page.rows, next_cursor: page.next }))
}

pub(super) async fn traceability(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<SpecId>,
    Query(query): Query<Freshness>,
) -> Result<Json<Traceability>, Refusal> {
    api.at_least(query.at_least).await?;
    api.engine.spec(id).await?;
    let lines = api.engine.models().requirements(id).await.map_err(EngineError::from)?;
    let uncovered = lines.iter().filter(|line| line.tasks.is_empty());
    let uncovered = uncovered.map(|line| line.local_id.clone()).collect();
    let trace = |line: specline_projections::requirements::RequirementLine| Trace {
        requirement: line.local_id,
        title: line.title,
        coverage: line.coverage,
        components: line.components,
        tasks: line.tasks.into_iter().map(|task| task.local_id).collect(),
    };
    Ok(Json(Traceability { requirements: lines.into_iter().map(trace).collect(), uncovered }))
}

pub(super) async fn comment(
    State(api): State<Api>,
    operator: Principal,
    Path(id): Path<SpecId>,
    body: Body<CommentBody>,
) -> Answer {
    let asked = asked(operator, (body.keyed, body.expected));
    let done = api.engine.comment(id, &body.value.text, &asked).await?;
    written(StatusCode::OK, id, &done)
}

pub(super) async fn link(
    State(api): State<Api>,
    operator: Principal,
    Path((id, ticket)): Path<(SpecId, TicketId)>,
    body: Body<NothingMore>,
) -> Answer {
    let asked = asked(operator, (body.keyed, body.expected));
    let done = api.engine.link_ticket(id, ticket, &asked).await?;
    written(StatusCode::OK, id, &done)
}
