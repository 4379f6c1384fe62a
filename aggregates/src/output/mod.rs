//! The outputs of the phases, as types. Each type is the single source of its JSON Schema, of what
//! the prompt shows, of what the gate checks and of what the API documents. Unknown fields are kept
//! in the stored text and ignored here.

mod design;
mod explore;
mod requirements;
mod schema;
mod sync;
mod tasks;

pub use design::{Component, DataModel, Decision, Design, Endpoint, Field};
pub use explore::{Conventions, ExistingModel, Explore, KeyFile, Question, Related, Tests};
pub use requirements::{Category, Criterion, Pattern, Requirement, Requirements};
pub use schema::schema;
pub use sync::{Coverage, ExportedFile, IdMap};
pub use tasks::{PlannedTask, PlannedTicket, TaskKind, Tasks};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How urgent something is; the order of the variants is from most to least.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    Critical,
    High,
    Medium,
    Low,
}

impl Priority {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}
