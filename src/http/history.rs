//! A spec's past: checkpoints, phases, attempts, and the difference between two versions.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::{Phase, SpecId};

use super::Api;
use super::auth::Principal;
use super::error::Refusal;
use super::extract::{Path, Query};
use super::tasks::Freshness;
use crate::engine::{Attempt, Diff, EngineError};
use crate::view::{CheckpointView, PhaseView, SpecView};

/// The accepted outputs of a spec.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Checkpoints {
    checkpoints: Vec<CheckpointView>,
    version: u64,
}

/// The phases of a spec, in their order.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Phases {
    phases: Vec<PhaseView>,
    version: u64,
}

/// Two versions to hold against each other.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffQuery {
    /// The earlier version.
    from: u64,
    /// The later version; the current one when it is left out.
    to: Option<u64>,
    /// The position of a write that the answer must have seen.
    at_least: Option<u64>,
}

impl Api {
    async fn view(&self, id: SpecId) -> Result<SpecView, Refusal> {
        let spec = self.engine.spec(id).await?;
        let missing = || EngineError::NotFound { what: "spec", id: id.to_string() };
        Ok(SpecView::of(&spec).ok_or_else(missing)?)
    }
}

pub(super) async fn checkpoints(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<SpecId>,
    Query(query): Query<Freshness>,
) -> Result<Json<Checkpoints>, Refusal> {
    api.logged(query.at_least).await?;
    let SpecView { checkpoints, version, .. } = api.view(id).await?;
    Ok(Json(Checkpoints { checkpoints, version }))
}

pub(super) async fn phases(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<SpecId>,
    Query(query): Query<Freshness>,
) -> Result<Json<Phases>, Refusal> {
    api.logged(query.at_least).await?;
    let SpecView { phases, version, .. } = api.view(id).await?;
    Ok(Json(Phases { phases, version }))
}

pub(super) async fn attempt(
    State(api): State<Api>,
    _: Principal,
    Path((id, phase, number)): Path<(SpecId, Phase, u32)>,
    Query(query): Query<Freshness>,
) -> Result<Json<Attempt>, Refusal> {
    api.logged(query.at_least).await?;
    Ok(Json(api.engine.attempt_of(id, phase, number).await?))
}

pub(super) async fn diff(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<SpecId>,
    Query(query): Query<DiffQuery>,
) -> Result<Json<Diff>, Refusal> {
    api.logged(query.at_least).await?;
    Ok(Json(api.engine.diff(id, query.from, query.to).await?))
}
