//! The events of a ticket. Names and fields are for ever, as those of a spec.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::Priority;
use crate::task::Outcome;
use crate::{Digest, ProjectId, SpecId, TaskId, TicketId, Upcast};

/// How a ticket is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowMode {
    Quick,
    SpecDriven,
}

/// Where a ticket stands. `blocked` is an overlay, not a stage.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[schemars(rename = "TicketStatus")]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    Backlog,
    Analyzing,
    Building,
    Testing,
    Done,
    Cancelled,
}

impl Status {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Analyzing => "analyzing",
            Self::Building => "building",
            Self::Testing => "testing",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    pub project: ProjectId,
    pub title: String,
    pub description: String,
    pub priority: Priority,
    pub workflow_mode: WorkflowMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<SpecId>,
    /// The id that the phase output gave it, such as `TKT-001`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_id: Option<String>,
    /// Local ids of the spec's requirements that it serves.
    #[serde(default)]
    pub requirements: Vec<String>,
}

/// What happened to a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    TicketOpened { ticket: TicketId, request: Box<Request>, digest: Digest },
    TicketRevised { request: Box<Request>, digest: Digest },
    TicketMoved { to: Status, by: String },
    SpecLinked { spec: SpecId },
    TaskLinked { task: TaskId },
    TaskOutcomeNoted { task: TaskId, outcome: Option<Outcome> },
    TicketBlocked { reason: String },
    TicketUnblocked {},
    TicketCommented { by: String, text: String },
    TicketDone {},
    TicketCancelled { by: String, reason: String },
}

impl Event {
    /// Stable name, as stored.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TicketOpened { .. } => "TicketOpened",
            Self::TicketRevised { .. } => "TicketRevised",
            Self::TicketMoved { .. } => "TicketMoved",
            Self::SpecLinked { .. } => "SpecLinked",
            Self::TaskLinked { .. } => "TaskLinked",
            Self::TaskOutcomeNoted { .. } => "TaskOutcomeNoted",
            Self::TicketBlocked { .. } => "TicketBlocked",
            Self::TicketUnblocked {} => "TicketUnblocked",
            Self::TicketCommented { .. } => "TicketCommented",
            Self::TicketDone {} => "TicketDone",
            Self::TicketCancelled { .. } => "TicketCancelled",
        }
    }

    /// How stored events of earlier versions are read. A change of an event's shape adds a line,
    /// and a golden file of the new version; the old ones stay.
    pub const UPCASTS: [Upcast; 0] = [];

    /// Every name that `name` can give.
    pub const NAMES: [&'static str; 11] = [
        "TicketOpened",
        "TicketRevised",
        "TicketMoved",
        "SpecLinked",
        "TaskLinked",
        "TaskOutcomeNoted",
        "TicketBlocked",
        "TicketUnblocked",
        "TicketCommented",
        "TicketDone",
        "TicketCancelled",
    ];
}
