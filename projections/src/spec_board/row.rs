//! A line of the spec board.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::{Epoch, Phase, ProjectId, SpecId, Timestamp, Usage, spec};

/// What the tasks of a spec are doing, taken together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WorkState")]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// There are none, or all were cancelled.
    #[default]
    None,
    Queued,
    Running,
    /// Some are left, and none of them can run.
    Blocked,
    Done,
}

impl Work {
    /// What `tasks` (how many by status) come to.
    #[must_use]
    pub fn of(tasks: &BTreeMap<String, u32>) -> Self {
        let n = |status: &str| tasks.get(status).copied().unwrap_or(0);
        if n("claimed") + n("running") + n("verifying") > 0 {
            Self::Running
        } else if n("queued") > 0 {
            Self::Queued
        } else if n("blocked") + n("failed") > 0 {
            Self::Blocked
        } else if n("completed") > 0 {
            Self::Done
        } else {
            Self::None
        }
    }
}

/// A spec at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpecLine {
    pub id: SpecId,
    pub project: ProjectId,
    pub title: String,
    pub slug: String,
    pub status: spec::Status,
    /// The open phase, or the one where it ended; none before the first run.
    pub phase: Option<Phase>,
    pub run: u32,
    pub epoch: Epoch,
    /// Number of the last attempt of the open phase.
    pub attempt: u32,
    /// Phases done, of 5.
    pub progress: u8,
    /// The lowest score of an accepted output, in parts per thousand.
    pub score: Option<u16>,
    pub work: Work,
    /// Number of its tasks by status.
    pub tasks: BTreeMap<String, u32>,
    pub usage: Usage,
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Sequence of the last event of the spec itself.
    pub version: u64,
    /// Position of the last event that changed this line.
    pub position: u64,
}
