//! The events of a project. Names and fields are for ever, as those of a spec.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Policy, ProjectId, Upcast};

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

    /// How stored events of earlier versions are read. A change of an event's shape adds a line,
    /// and a golden file of the new version; the old ones stay.
    pub const UPCASTS: [Upcast; 0] = [];

    /// Every name that `name` can give.
    pub const NAMES: [&'static str; 2] = ["ProjectCreated", "ProjectRevised"];
}
