//! What TASKS breaks the work into.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Priority;

/// Output of the tasks phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tasks {
    pub tickets: Vec<PlannedTicket>,
    pub tasks: Vec<PlannedTask>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedTicket {
    /// `TKT-` and letters, digits or dashes.
    pub id: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Ids of the requirements that it serves.
    pub requirements: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedTask {
    /// `TSK-` and letters, digits or dashes.
    pub id: String,
    pub title: String,
    pub description: String,
    /// Id of the ticket that it belongs to.
    pub ticket: String,
    pub kind: TaskKind,
    pub priority: Priority,
    /// More than 0, at most 4.
    pub estimated_hours: f64,
    /// Files that the task makes.
    pub files_create: Vec<String>,
    /// Files that the task changes.
    pub files_modify: Vec<String>,
    /// How to tell that it is done.
    pub criteria: Vec<String>,
    /// Ids of tasks that come first. A list, and nothing else.
    pub depends_on: Vec<String>,
    /// Ids of the requirements that it addresses.
    pub requirements: Vec<String>,
    /// Names of the design's components that it touches.
    pub components: Vec<String>,
}

/// The kinds of implementation work that a plan may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    Implement,
    Refactor,
    Test,
    Document,
    Configure,
}

impl TaskKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Implement => "implement",
            Self::Refactor => "refactor",
            Self::Test => "test",
            Self::Document => "document",
            Self::Configure => "configure",
        }
    }
}
