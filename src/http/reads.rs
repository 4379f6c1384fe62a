//! Reads of specs: the list from its read model, one spec and its log from the log itself.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Deserialize;
use specline_aggregates::{Phase, ProjectId, SpecId, Timestamp};
use specline_projections::spec_board;

use super::Api;
use super::auth::Principal;
use super::error::Refusal;
use super::extract::{Path, Query};
use super::paging::{Limit, SpecPage};
use super::specs::etag;
use super::tasks::Freshness;
use crate::engine::{ContextShown, EngineError, PhaseShown};
use crate::view::{EventView, SpecView};

/// Longest that a reader of events is kept waiting.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// A position that is this far ahead of the log was not answered to a write a moment ago.
const MAX_LAG: u64 = 100_000;

/// How long an event that another node has appended may take to get here.
const MAX_NEWS: Duration = Duration::from_secs(2);

/// Which specs to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    project: Option<ProjectId>,
    status: Option<specline_aggregates::spec::Status>,
    phase: Option<Phase>,
    /// Part of the title.
    q: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
    /// The position of a write that the answer must have seen.
    at_least: Option<u64>,
}

impl Api {
    /// Waits until the read models have seen `position`.
    pub(super) async fn at_least(&self, position: Option<u64>) -> Result<(), Refusal> {
        self.logged(position).await?;
        let Some(position) = position else { return Ok(()) };
        if self.engine.wait_for(position).await {
            return Ok(());
        }
        let cause = format!("the read models have not passed position {position} yet");
        Err(EngineError::Transient(cause).into())
    }

    /// The same for what is read from the log itself: it waits for no read model.
    pub(super) async fn logged(&self, position: Option<u64>) -> Result<(), Refusal> {
        let Some(position) = position else { return Ok(()) };
        if self.reaches(position).await {
            return Ok(());
        }
        let detail = format!("the log has no position {position}; `at_least` is one of a write");
        Err(Refusal::new(StatusCode::BAD_REQUEST, "position_ahead", detail))
    }

    /// Whether the log has `position`, or gets it in a moment from another node.
    async fn reaches(&self, position: u64) -> bool {
        let mut head = self.engine.appends();
        let now = head.borrow_and_update().0;
        if position <= now || position - now > MAX_LAG {
            return position <= now;
        }
        let arrived = head.wait_for(|head| head.0 >= position);
        tokio::time::timeout(MAX_NEWS, arrived).await.is_ok_and(|arrived| arrived.is_ok())
    }
}

pub(super) async fn list(
    State(api): State<Api>,
    principal: Principal,
    Query(query): Query<ListQuery>,
) -> Result<Json<SpecPage>, Refusal> {
    api.at_least(query.at_least).await?;
    let filter = spec_board::Filter {
        project: principal.within(query.project)?,
        status: query.status,
        phase: query.phase,
        text: query.q,
    };
    let (cursor, limit) = (query.cursor.as_deref(), query.limit.get());
    let page = api.engine.models().specs(&filter, cursor, limit).await;
    let page = page.map_err(EngineError::from)?;
    Ok(Json(SpecPage { specs: page.rows, next_cursor: page.next }))
}

pub(super) async fn show(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<SpecId>,
    Query(query): Query<Past>,
) -> Result<([(HeaderName, HeaderValue); 1], Json<SpecView>), Refusal> {
    api.logged(query.at_least).await?;
    let version = match (query.as_of_version, query.as_of) {
        (Some(_), Some(_)) => {
            let detail = "as_of_version or as_of, not both";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "invalid_query", detail));
        }
        (version, None) => version,
        (None, Some(time)) => Some(api.engine.version_at(id, time).await?),
    };
    let spec = match version {
        Some(version) => api.engine.spec_as_of(id, version).await?,
        None => api.engine.spec(id).await?,
    };
    let missing = || EngineError::NotFound { what: "spec", id: id.to_string() };
    let view = SpecView::of(&spec).ok_or_else(missing)?;
    Ok(([(header::ETAG, etag(view.version))], Json(view)))
}

/// Which past to show.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Past {
    /// The spec as it was after this event.
    as_of_version: Option<u64>,
    /// The spec as it was at this time.
    as_of: Option<Timestamp>,
    /// The position of a write that the answer must have seen.
    at_least: Option<u64>,
}

/// Which events to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Sequence to read after.
    #[serde(default)]
    after: u64,
    #[serde(default = "most")]
    limit: Limit,
    /// Seconds to wait for the first event; at most 30 count.
    #[serde(default)]
    wait: u64,
    /// The position of a write that the answer must have seen.
    at_least: Option<u64>,
}

fn most() -> Limit {
    Limit::MOST
}

pub(super) async fn events(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<SpecId>,
    Query(query): Query<EventsQuery>,
) -> Result<Json<Vec<EventView>>, Refusal> {
    api.logged(query.at_least).await?;
    api.engine.spec(id).await?;
    let limit = query.limit.get() as usize;
    let wait = Duration::from_secs(query.wait).min(MAX_WAIT);
    Ok(Json(api.engine.spec_events(id, (query.after, limit), wait).await?))
}

/// Whose context to show.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ContextQuery {
    phase: Phase,
    /// The position of a write that the answer must have seen.
    at_least: Option<u64>,
}

/// Exactly what the agent gets.
pub(super) async fn context(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<SpecId>,
    Query(query): Query<ContextQuery>,
) -> Result<Json<ContextShown>, Refusal> {
    api.logged(query.at_least).await?;
    Ok(Json(api.engine.context_of(id, query.phase).await?))
}

/// One phase with its accepted or waiting output.
pub(super) async fn phase(
    State(api): State<Api>,
    _: Principal,
    Path((id, phase)): Path<(SpecId, Phase)>,
    Query(query): Query<Freshness>,
) -> Result<Json<PhaseShown>, Refusal> {
    api.logged(query.at_least).await?;
    Ok(Json(api.engine.phase_of(id, phase).await?))
}
