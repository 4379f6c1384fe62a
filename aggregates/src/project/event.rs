//! The events of a project. Names and fields are for ever, as those of a spec.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Policy, ProjectId};

/// What a person says of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProjectSettings")]
pub struct Settings {
    pub name: String,
    /// The repository's folder. The project's id is derived from it, so it never changes.
    pub repository: String,
    /// What a spec gets that brings no policy of its own; its limits and its budget are in it.
    #[serde(default)]
    pub policy: Policy,
}

/// What happened to a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    ProjectCreated { project: ProjectId, settings: Box<Settings>, by: String },
    ProjectRevised { settings: Box<Settings>, by: String },
}

impl Event {
    /// Stable name, as stored.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ProjectCreated { .. } => "ProjectCreated",
            Self::ProjectRevised { .. } => "ProjectRevised",
        }
    }

    /// Every name that `name` can give.
    pub const NAMES: [&'static str; 2] = ["ProjectCreated", "ProjectRevised"];
}
