//! The document of a spec.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::output::ExportedFile;
use specline_aggregates::spec::{Failure, LossCause, ManifestRef, Repository, Status};
use specline_aggregates::{
    Digest, Epoch, Finding, Phase, ProjectId, SandboxId, SpecId, TicketId, Timestamp, Usage,
};

/// Everything about a spec but its outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpecDetail {
    pub id: SpecId,
    pub project: ProjectId,
    pub title: String,
    pub description: String,
    pub slug: String,
    pub repository: Repository,
    pub policy_digest: Digest,
    pub agent: String,
    pub status: Status,
    pub phase: Option<Phase>,
    pub run: u32,
    pub epoch: Epoch,
    /// The snapshot that the run works on.
    pub manifest: Option<ManifestRef>,
    /// All five, in their order.
    pub phases: Vec<PhaseDetail>,
    pub checkpoints: Vec<Checkpoint>,
    /// Every attempt, oldest first.
    pub attempts: Vec<AttemptRecord>,
    pub sandboxes_lost: Vec<LostSandbox>,
    pub usage: Usage,
    pub failure: Option<Failure>,
    /// Who paused or cancelled it, and why.
    pub note: Option<String>,
    pub approval_deadline: Option<Timestamp>,
    pub tickets: Vec<TicketId>,
    pub forked_from: Option<(SpecId, u64)>,
    /// Folder of its files in the repository.
    pub folder: Option<String>,
    /// Files that the last finished SYNC wrote.
    pub exported: Vec<ExportedFile>,
    pub totals: Option<Totals>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub completed_at: Option<Timestamp>,
    /// Sequence of the last event.
    pub version: u64,
    /// Position of the last event.
    pub position: u64,
}

/// Where a phase stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PhaseDetailStatus")]
#[serde(rename_all = "snake_case")]
pub enum PhaseStatus {
    /// No attempt of it runs now, and it is not done.
    #[default]
    Pending,
    Running,
    AwaitingApproval,
    Completed,
    Failed,
    /// It was done, and was opened again.
    Stale,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseDetail {
    pub phase: Phase,
    pub status: PhaseStatus,
    /// Number of attempts so far.
    pub attempts: u32,
    /// Digest of the last output.
    pub digest: Option<Digest>,
    pub score: Option<u16>,
    pub threshold: Option<u16>,
    /// Of the last verdict.
    pub findings: Vec<Finding>,
    /// No attempt starts before this.
    pub retry_at: Option<Timestamp>,
    pub usage: Usage,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checkpoint {
    pub phase: Phase,
    pub digest: Digest,
    pub run: u32,
    /// Sequence of the event that carries the output.
    pub sequence: u64,
    pub at: Timestamp,
    /// A later reopening made it invalid.
    pub stale: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AttemptOutcome")]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Running,
    AwaitingApproval,
    Accepted,
    AgentError,
    Timeout,
    InvalidOutput,
    Gate,
    Budget,
    Rejected,
    Configuration,
    Sync,
    SandboxLost,
    /// It was given up before it had an output: its sandbox was let go, or the spec cancelled.
    Released,
    /// Its phase was opened again.
    Superseded,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptRecord {
    pub phase: Phase,
    pub attempt: u32,
    pub epoch: Epoch,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub outcome: Outcome,
    pub message: Option<String>,
    pub score: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LostSandbox {
    pub epoch: Epoch,
    pub sandbox: SandboxId,
    pub phase: Phase,
    pub cause: LossCause,
    pub at: Timestamp,
}

/// What SYNC made, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    pub requirements: u32,
    pub tickets: u32,
    pub tasks: u32,
}
