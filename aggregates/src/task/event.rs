//! The events of a task. Names and fields are for ever, as those of a spec.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::Priority;
use crate::spec::{FailureKind, LossCause, Payload};
use crate::{
    Digest, Epoch, Finding, InstanceId, Mode, ProjectId, SandboxId, SpecId, TaskId, TicketId,
    Timestamp, Upcast, Usage,
};

/// What kind of work a task is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[schemars(rename = "KindOfTask")]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Explore,
    Analyze,
    Requirements,
    Design,
    Plan,
    Implement,
    Refactor,
    Test,
    Document,
    Configure,
}

impl Kind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Explore => "explore",
            Self::Analyze => "analyze",
            Self::Requirements => "requirements",
            Self::Design => "design",
            Self::Plan => "plan",
            Self::Implement => "implement",
            Self::Refactor => "refactor",
            Self::Test => "test",
            Self::Document => "document",
            Self::Configure => "configure",
        }
    }

    /// Whether a sandbox for it may only look.
    #[must_use]
    pub const fn mode(self) -> Mode {
        match self {
            Self::Explore | Self::Analyze | Self::Requirements | Self::Design | Self::Plan => {
                Mode::Exploration
            }
            Self::Implement | Self::Refactor | Self::Test | Self::Document | Self::Configure => {
                Mode::Implementation
            }
        }
    }
}

impl From<crate::output::TaskKind> for Kind {
    fn from(kind: crate::output::TaskKind) -> Self {
        use crate::output::TaskKind;
        match kind {
            TaskKind::Implement => Self::Implement,
            TaskKind::Refactor => Self::Refactor,
            TaskKind::Test => Self::Test,
            TaskKind::Document => Self::Document,
            TaskKind::Configure => Self::Configure,
        }
    }
}

/// How a task is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExecutionConfig {
    /// Adds the spec-driven skill to the agent's system prompt.
    pub require_spec_skill: bool,
    pub selected_skill: Option<String>,
    pub agent: String,
    pub sandbox: String,
    pub timeout_ms: u64,
    pub max_attempts: u32,
    /// A command that must succeed before the task counts as done.
    pub verify: Option<String>,
}

impl Default for ExecutionConfig {
    fn default() -> Self {
        Self {
            require_spec_skill: false,
            selected_skill: None,
            agent: "builtin".to_owned(),
            sandbox: "process".to_owned(),
            timeout_ms: 1_800_000,
            max_attempts: 3,
            verify: None,
        }
    }
}

/// What a task is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Work {
    pub project: ProjectId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<TicketId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<SpecId>,
    /// The id that the phase output gave it, such as `TSK-001`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_id: Option<String>,
    pub kind: Kind,
    pub title: String,
    pub description: String,
    pub priority: Priority,
    pub depends_on: BTreeSet<TaskId>,
    pub files_create: Vec<String>,
    pub files_modify: Vec<String>,
    pub criteria: Vec<String>,
    /// Local ids of the spec's requirements.
    pub requirements: Vec<String>,
    #[serde(default)]
    pub components: Vec<String>,
    pub estimated_minutes: u32,
    pub execution: ExecutionConfig,
    /// The task that this one takes over from, where its plan changed after it had begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<TaskId>,
}

/// How a task that others wait for ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Completed,
    Failed,
    Cancelled,
}

impl Outcome {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What happened to a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    TaskQueued {
        task: TaskId,
        work: Box<Work>,
        /// Digest of `work`: what SYNC compares.
        digest: Digest,
        /// A spec's task waits until its spec has been synced.
        held_by_spec: bool,
    },
    TaskRevised {
        work: Box<Work>,
        digest: Digest,
    },
    /// Its spec was synced.
    TaskReleased {
        run: u32,
    },
    DependencyNoted {
        task: TaskId,
        outcome: Outcome,
    },
    TaskUnblocked {},
    TaskClaimed {
        epoch: Epoch,
        sandbox: SandboxId,
        lease_ms: u64,
        at: Timestamp,
    },
    TaskStarted {
        epoch: Epoch,
        attempt: u32,
        instance: InstanceId,
        deadline: Timestamp,
    },
    TaskStepRecorded {
        attempt: u32,
        step: u32,
        name: String,
        result: Payload,
        #[serde(default, skip_serializing_if = "Usage::is_zero")]
        usage: Usage,
    },
    TaskResultSubmitted {
        attempt: u32,
        summary: String,
        /// A commit, or the digest of a diff.
        result: String,
        digest: Digest,
        #[serde(default, skip_serializing_if = "Usage::is_zero")]
        usage: Usage,
    },
    TaskVerdictRecorded {
        attempt: u32,
        result: Digest,
        evaluator: String,
        passed: bool,
        score: u16,
        findings: Vec<Finding>,
    },
    TaskCompleted {
        result: Digest,
    },
    TaskAttemptFailed {
        attempt: u32,
        kind: FailureKind,
        message: String,
        #[serde(default, skip_serializing_if = "Usage::is_zero")]
        usage: Usage,
    },
    TaskSandboxLost {
        epoch: Epoch,
        cause: LossCause,
        #[serde(default, skip_serializing_if = "Usage::is_zero")]
        usage: Usage,
    },
    TaskRequeued {
        not_before: Option<Timestamp>,
        reason: String,
    },
    TaskReprioritised {
        priority: Priority,
        by: String,
    },
    TaskCancelled {
        by: String,
        reason: String,
    },
    TaskFailed {
        kind: FailureKind,
        reason: String,
    },
}

impl Event {
    /// Stable name, as stored.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TaskQueued { .. } => "TaskQueued",
            Self::TaskRevised { .. } => "TaskRevised",
            Self::TaskReleased { .. } => "TaskReleased",
            Self::DependencyNoted { .. } => "DependencyNoted",
            Self::TaskUnblocked {} => "TaskUnblocked",
            Self::TaskClaimed { .. } => "TaskClaimed",
            Self::TaskStarted { .. } => "TaskStarted",
            Self::TaskStepRecorded { .. } => "TaskStepRecorded",
            Self::TaskResultSubmitted { .. } => "TaskResultSubmitted",
            Self::TaskVerdictRecorded { .. } => "TaskVerdictRecorded",
            Self::TaskCompleted { .. } => "TaskCompleted",
            Self::TaskAttemptFailed { .. } => "TaskAttemptFailed",
            Self::TaskSandboxLost { .. } => "TaskSandboxLost",
            Self::TaskRequeued { .. } => "TaskRequeued",
            Self::TaskReprioritised { .. } => "TaskReprioritised",
            Self::TaskCancelled { .. } => "TaskCancelled",
            Self::TaskFailed { .. } => "TaskFailed",
        }
    }

    /// How stored events of earlier versions are read. A change of an event's shape adds a line,
    /// and a golden file of the new version; the old ones stay.
    pub const UPCASTS: [Upcast; 0] = [];

    /// Every name that `name` can give.
    pub const NAMES: [&'static str; 17] = [
        "TaskQueued",
        "TaskRevised",
        "TaskReleased",
        "DependencyNoted",
        "TaskUnblocked",
        "TaskClaimed",
        "TaskStarted",
        "TaskStepRecorded",
        "TaskResultSubmitted",
        "TaskVerdictRecorded",
        "TaskCompleted",
        "TaskAttemptFailed",
        "TaskSandboxLost",
        "TaskRequeued",
        "TaskReprioritised",
        "TaskCancelled",
        "TaskFailed",
    ];
}
