//! The state of a spec, as a replay of its events says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{Brief, FailureKind, ManifestRef, Payload};
use crate::output::{Coverage, ExportedFile, IdMap};
use crate::{
    Digest, Epoch, Finding, InstanceId, Phase, Policy, SandboxId, SpecId, TicketId, Timestamp,
    Usage,
};

/// Where a spec stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SpecStatus")]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// No event yet: there is no such spec.
    #[default]
    Unknown,
    Draft,
    Executing,
    AwaitingApproval,
    Paused,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Draft => "draft",
            Self::Executing => "executing",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The one sandbox that may write for the spec now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sandbox {
    #[default]
    None,
    Requested {
        id: SandboxId,
    },
    Attached {
        id: SandboxId,
        instance: InstanceId,
    },
}

impl Sandbox {
    #[must_use]
    pub const fn id(self) -> Option<SandboxId> {
        match self {
            Self::None => None,
            Self::Requested { id } | Self::Attached { id, .. } => Some(id),
        }
    }
}

/// An attempt that runs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    pub number: u32,
    pub epoch: Epoch,
    pub context: Digest,
    pub deadline: Timestamp,
}

/// The last judgement on an output of a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    pub attempt: u32,
    pub output: Digest,
    pub evaluator: String,
    pub passed: bool,
    pub score: u16,
    pub findings: Vec<Finding>,
}

/// What the next attempt is told of the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Feedback {
    pub attempt: u32,
    pub kind: FailureKind,
    pub message: String,
    /// The output that failed, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Payload>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// An output that passed, with its checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    pub output: Payload,
    pub digest: Digest,
    pub score: u16,
    pub run: u32,
    /// Sequence of the event that carries the output.
    pub sequence: u64,
}

/// An output that was submitted and is not yet accepted or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pending {
    pub attempt: u32,
    pub output: Payload,
    pub digest: Digest,
    pub sequence: u64,
}

/// A step that was recorded and is not run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    pub number: u32,
    pub result: Payload,
}

/// The steps of a phase that were recorded in one context.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Steps {
    pub context: Option<Digest>,
    pub by_name: BTreeMap<String, Step>,
}

/// One phase of a spec.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseState {
    /// Number of the last attempt; rises for the life of the spec.
    pub last_attempt: u32,
    /// Attempts that count against the limit, since the phase was last opened.
    pub used_attempts: u32,
    /// Sandboxes lost since the phase was last opened.
    pub losses: u32,
    pub running: Option<Attempt>,
    /// No attempt may start before this.
    pub retry_at: Option<Timestamp>,
    pub steps: Steps,
    pub feedback: Option<Feedback>,
    pub pending: Option<Pending>,
    pub verdict: Option<Verdict>,
    /// Evaluators that have not said yet what they think of the pending output.
    #[serde(default)]
    pub evaluating: BTreeSet<String>,
    pub accepted: Option<Accepted>,
    pub usage: Usage,
    /// The agent's session of the last attempt.
    pub session: Option<String>,
}

/// What SYNC is about to do, or has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncPlan {
    pub run: u32,
    pub attempt: u32,
    pub folder: String,
    pub ids: IdMap,
    pub coverage: Vec<Coverage>,
    pub files: Vec<ExportedFile>,
    pub digest: Digest,
}

/// Why a spec failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    pub kind: FailureKind,
    pub reason: String,
    pub phase: Phase,
}

/// A spec. Made only by replay: `Default` and `evolve`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spec {
    pub(super) id: Option<SpecId>,
    pub(super) version: u64,
    pub(super) brief: Option<Brief>,
    pub(super) policy: Policy,
    pub(super) status: Status,
    pub(super) phase: Option<Phase>,
    pub(super) run: u32,
    pub(super) manifest: Option<ManifestRef>,
    pub(super) epoch: Epoch,
    pub(super) sandbox: Sandbox,
    /// What the current sandbox's events have accounted for.
    pub(super) epoch_usage: Usage,
    pub(super) phases: BTreeMap<Phase, PhaseState>,
    pub(super) usage: Usage,
    pub(super) approval_deadline: Option<Timestamp>,
    pub(super) failure: Option<Failure>,
    pub(super) tickets: BTreeSet<TicketId>,
    pub(super) plan: Option<SyncPlan>,
    /// Files that the last finished SYNC wrote.
    pub(super) exported: Vec<ExportedFile>,
    pub(super) synced: Option<IdMap>,
    pub(super) forked_from: Option<(SpecId, u64)>,
    /// An event that could not follow was applied: nothing more is decided on this state.
    #[serde(default)]
    pub(super) broken: Option<String>,
}

impl Spec {
    #[must_use]
    pub const fn id(&self) -> Option<SpecId> {
        self.id
    }

    /// Number of events so far; the sequence of the last one.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    #[must_use]
    pub const fn brief(&self) -> Option<&Brief> {
        self.brief.as_ref()
    }

    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The phase that is open now, or was when the spec ended.
    #[must_use]
    pub const fn phase(&self) -> Option<Phase> {
        self.phase
    }

    #[must_use]
    pub const fn run(&self) -> u32 {
        self.run
    }

    #[must_use]
    pub const fn manifest(&self) -> Option<&ManifestRef> {
        self.manifest.as_ref()
    }

    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    #[must_use]
    pub const fn sandbox(&self) -> Sandbox {
        self.sandbox
    }

    #[must_use]
    pub fn phase_state(&self, phase: Phase) -> Option<&PhaseState> {
        self.phases.get(&phase)
    }

    /// The open phase's state.
    #[must_use]
    pub fn current(&self) -> Option<&PhaseState> {
        self.phase.and_then(|phase| self.phases.get(&phase))
    }

    #[must_use]
    pub fn accepted(&self, phase: Phase) -> Option<&Accepted> {
        self.phases.get(&phase).and_then(|state| state.accepted.as_ref())
    }

    /// The first phase without an accepted output; none when all have one.
    #[must_use]
    pub fn first_open_phase(&self) -> Option<Phase> {
        Phase::ALL.into_iter().find(|phase| self.accepted(*phase).is_none())
    }

    #[must_use]
    pub const fn usage(&self) -> Usage {
        self.usage
    }

    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    #[must_use]
    pub const fn plan(&self) -> Option<&SyncPlan> {
        self.plan.as_ref()
    }

    #[must_use]
    pub fn exported(&self) -> &[ExportedFile] {
        &self.exported
    }

    /// Ids that the last finished SYNC made.
    #[must_use]
    pub const fn synced(&self) -> Option<&IdMap> {
        self.synced.as_ref()
    }

    #[must_use]
    pub const fn tickets(&self) -> &BTreeSet<TicketId> {
        &self.tickets
    }

    #[must_use]
    pub const fn approval_deadline(&self) -> Option<Timestamp> {
        self.approval_deadline
    }

    #[must_use]
    pub const fn forked_from(&self) -> Option<(SpecId, u64)> {
        self.forked_from
    }

    pub(super) fn limits(&self, phase: Phase) -> crate::Limits {
        self.policy.limits(phase)
    }

    /// Whether what was used is more than the budget allows, and which bound that is.
    #[must_use]
    pub fn over_budget(&self, more: Usage) -> Option<String> {
        self.policy.budget.exceeded_by(self.usage.plus(more))
    }
}
