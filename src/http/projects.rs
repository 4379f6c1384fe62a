//! Projects: a repository with a name, and what its specs start with.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use specline_aggregates::ProjectId;
use specline_aggregates::project::Project;

use super::Api;
use super::answers::{ProjectPage, ProjectShown, ProjectWritten};
use super::auth::Principal;
use super::body::Body;
use super::error::Refusal;
use super::extract::{Path, Query};
use super::paging::Paging;
use super::tasks::Freshness;
use crate::engine::{Done, EngineError, NewProject, ProjectRevision};

type Answer = Result<(StatusCode, Json<ProjectWritten>), Refusal>;

fn written(status: StatusCode, id: ProjectId, done: &Done<Project>) -> Answer {
    let (position, version) = (done.position.0, done.version);
    Ok((status, Json(ProjectWritten { id, position, version })))
}

pub(super) async fn create(
    State(api): State<Api>,
    principal: Principal,
    body: Body<NewProject>,
) -> Answer {
    let asked = principal.asks((body.keyed, body.expected));
    let (id, done) = api.engine.create_project(body.value, &asked).await?;
    written(StatusCode::CREATED, id, &done)
}

pub(super) async fn list(
    State(api): State<Api>,
    principal: Principal,
    Query(query): Query<Paging>,
) -> Result<Json<ProjectPage>, Refusal> {
    api.at_least(query.at_least).await?;
    let (only, cursor) = (principal.project(), query.cursor.as_deref());
    let listing = api.engine.models().projects(only, cursor, query.limit.get()).await;
    let listing = listing.map_err(EngineError::from)?;
    Ok(Json(ProjectPage { projects: listing.rows, next_cursor: listing.next }))
}

pub(super) async fn show(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<ProjectId>,
    Query(query): Query<Freshness>,
) -> Result<Json<ProjectShown>, Refusal> {
    api.logged(query.at_least).await?;
    let project = api.engine.project(id).await?;
    let missing = || EngineError::NotFound { what: "project", id: id.to_string() };
    let settings = project.settings().ok_or_else(missing)?;
    Ok(Json(ProjectShown::of(id, settings, project.version())))
}

pub(super) async fn revise(
    State(api): State<Api>,
    principal: Principal,
    Path(id): Path<ProjectId>,
    body: Body<ProjectRevision>,
) -> Answer {
    let asked = principal.asks((body.keyed, body.expected));
    let done = api.engine.revise_project(id, body.value, &asked).await?;
    written(StatusCode::OK, id, &done)
}
