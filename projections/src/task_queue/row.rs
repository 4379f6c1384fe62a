//! A line of the task queue.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::output::Priority;
use specline_aggregates::task::Kind;
use specline_aggregates::{Epoch, ProjectId, SpecId, TaskId, TicketId, Timestamp, Usage};

/// A task, with what a person needs to see of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskLine {
    pub id: TaskId,
    pub spec: Option<SpecId>,
    pub ticket: Option<TicketId>,
    pub project: ProjectId,
    /// The id that the phase output gave it, such as `TSK-001`.
    pub local_id: Option<String>,
    pub kind: Kind,
    pub title: String,
    pub description: String,
    pub status: String,
    pub priority: Priority,
    pub depends_on: Vec<TaskId>,
    /// One sentence: why it was or was not chosen, or how it ended.
    pub reason: String,
    pub attempts: u32,
    pub epoch: Epoch,
    /// Its age as a claim is measured from here.
    pub claimed_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub files_create: Vec<String>,
    pub files_modify: Vec<String>,
    pub estimated_minutes: u32,
    pub criteria: Vec<String>,
    pub requirements: Vec<String>,
    pub components: Vec<String>,
    pub usage: Usage,
    /// What went wrong last; none after a success.
    pub error: Option<String>,
    pub version: u64,
    pub position: u64,
}
