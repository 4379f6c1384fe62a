//! A spec in the folder shapes of other tools: a map from path to text.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::SpecId;

use super::Api;
use super::auth::Principal;
use super::error::Refusal;
use super::extract::{Path, Query};
use crate::export::{Files, Format, files};

/// What to export, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportQuery {
    format: Format,
    /// The spec as it was after this event.
    as_of_version: Option<u64>,
    /// Number of the feature, for Spec Kit's folder.
    #[serde(default = "first")]
    number: u16,
    /// The position of a write that the answer must have seen.
    at_least: Option<u64>,
}

const fn first() -> u16 {
    1
}

/// An exported spec.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Export {
    pub format: Format,
    pub version: u64,
    /// Text by path, from the root of a repository.
    pub files: Files,
}

pub(super) async fn export(
    State(api): State<Api>,
    _: Principal,
    Path(id): Path<SpecId>,
    Query(query): Query<ExportQuery>,
) -> Result<Json<Export>, Refusal> {
    api.logged(query.at_least).await?;
    let number = u32::from(query.number);
    let material = api.engine.material(id, query.as_of_version, number).await?;
    let (format, version) = (query.format, material.view.version);
    Ok(Json(Export { format, version, files: files(format, &material) }))
}
