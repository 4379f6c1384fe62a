//! The events of a spec. Names and fields are for ever: a change of shape gets an upcast, which
//! raises the version; a golden file of each version stands in `tests/golden`.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::{Coverage, ExportedFile, IdMap};
use crate::{
    Budget, Digest, Epoch, Finding, InstanceId, Phase, Policy, ProjectId, RawJson, SandboxId,
    SpecId, TicketId, Timestamp, Upcast, Usage,
};

/// Where the code is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Repository {
    /// A folder's absolute path, or a URL.
    pub location: String,
    /// A branch, tag or commit; none = the working tree as it is.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl Repository {
    /// The last part of the location: what it is called, without where it is.
    #[must_use]
    pub fn name(&self) -> &str {
        let location = self.location.trim_end_matches('/');
        location.rsplit('/').next().unwrap_or(location)
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Brief {
    pub project: ProjectId,
    pub title: String,
    pub description: String,
    pub repository: Repository,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ticket: Option<TicketId>,
}

/// The snapshot that a run works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestRef {
    /// Digest of the manifest; its bytes are a blob.
    pub digest: Digest,
    pub commit: String,
    pub files: u64,
}

/// An output as an event carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    Inline(Arc<RawJson>),
    /// Over 512 KiB: kept as a blob under its digest.
    Blob {
        digest: Digest,
        bytes: u64,
    },
}

/// Largest output or step result that stands inside its event, in bytes.
pub const MAX_INLINE_BYTES: usize = 512 * 1024;

/// Largest output or step result, in bytes.
pub const MAX_OUTPUT_BYTES: usize = 16 * 1024 * 1024;

impl Payload {
    /// Inline when it fits, else a reference to a blob that the caller stores with the event.
    #[must_use]
    pub fn of(json: RawJson) -> Self {
        if json.text().len() <= MAX_INLINE_BYTES {
            Self::Inline(Arc::new(json))
        } else {
            Self::Blob { digest: json.digest(), bytes: json.text().len() as u64 }
        }
    }

    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Self::Inline(json) => json.digest(),
            Self::Blob { digest, .. } => *digest,
        }
    }
}

/// Why a sandbox is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SandboxReason {
    Start,
    Crash,
    Timeout,
    Resume,
    Approval,
    Rejection,
    Retry,
    Revision,
    Edit,
    Shutdown,
}

/// Why a sandbox is no longer wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseReason {
    Approval,
    Paused,
    Reopened,
    Ended,
}

/// How a sandbox was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    Exit {
        code: i32,
    },
    Signal {
        signal: i32,
    },
    LeaseExpired,
    /// It could not be started.
    Spawn {
        message: String,
    },
    Provider {
        message: String,
    },
    /// The worker said that it ends.
    Detached {
        reason: String,
    },
    /// The engine was stopped on purpose and took its sandboxes along.
    Shutdown,
}

/// How an attempt failed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    AgentError,
    Timeout,
    /// No JSON, or not the phase's shape.
    InvalidOutput,
    Gate,
    Budget,
    /// A person said no; it does not use up an attempt.
    Rejected,
    /// The agent, its key or its program is missing: trying again would not help.
    Configuration,
    /// SYNC could not be carried out.
    Sync,
    /// Too many sandboxes were lost.
    SandboxLost,
}

impl FailureKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentError => "agent_error",
            Self::Timeout => "timeout",
            Self::InvalidOutput => "invalid_output",
            Self::Gate => "gate",
            Self::Budget => "budget",
            Self::Rejected => "rejected",
            Self::Configuration => "configuration",
            Self::Sync => "sync",
            Self::SandboxLost => "sandbox_lost",
        }
    }
}

/// A phase that a fork takes over as done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inherited {
    pub output: Payload,
    pub digest: Digest,
    pub score: u16,
}

/// What happened to a spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    SpecDrafted {
        spec: SpecId,
        brief: Brief,
        policy: Box<Policy>,
    },
    SpecRevised {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// The first phase that the change makes stale.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stale_from: Option<Phase>,
    },
    ExecutionStarted {
        run: u32,
        first_phase: Phase,
        manifest: ManifestRef,
    },
    SandboxRequested {
        epoch: Epoch,
        sandbox: SandboxId,
        phase: Phase,
        attempt: u32,
        reason: SandboxReason,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
    },
    SandboxAttached {
        epoch: Epoch,
        sandbox: SandboxId,
        instance: InstanceId,
        provider: String,
        /// What keeps it apart from its machine: `bubblewrap`, `landlock`, or `weak`. None: from
        /// before it was written down.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        isolation: Option<String>,
        worker_version: String,
        manifest: Digest,
        commit: String,
    },
    AttemptStarted {
        phase: Phase,
        attempt: u32,
        epoch: Epoch,
        context: Digest,
        prompt: Digest,
        deadline: Timestamp,
    },
    StepRecorded {
        phase: Phase,
        attempt: u32,
        step: u32,
        name: String,
        context: Digest,
        result: Payload,
        #[serde(default, skip_serializing_if = "Usage::is_zero")]
        usage: Usage,
    },
    OutputSubmitted {
        phase: Phase,
        attempt: u32,
        output: Payload,
        digest: Digest,
        #[serde(default, skip_serializing_if = "Usage::is_zero")]
        usage: Usage,
        /// The agent's own session, where it has one that a later attempt can continue.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<String>,
        /// `agent`, or the person who edited.
        by: String,
    },
    VerdictRecorded {
        phase: Phase,
        attempt: u32,
        output: Digest,
        evaluator: String,
        rules_version: u32,
        threshold: u16,
        manifest: Digest,
        passed: bool,
        score: u16,
        findings: Vec<Finding>,
    },
    /// The gate passed it; these evaluators judge it too before it counts.
    EvaluationRequested {
        phase: Phase,
        attempt: u32,
        output: Digest,
        evaluators: Vec<String>,
    },
    AttemptFailed {
        phase: Phase,
        attempt: u32,
        kind: FailureKind,
        message: String,
        #[serde(default, skip_serializing_if = "Usage::is_zero")]
        usage: Usage,
        /// None: no further attempt is made by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    ApprovalRequested {
        phase: Phase,
        attempt: u32,
        output: Digest,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    PhaseApproved {
        phase: Phase,
        output: Digest,
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    PhaseRejected {
        phase: Phase,
        output: Digest,
        by: String,
        feedback: String,
    },
    CheckpointSaved {
        phase: Phase,
        output: Digest,
        run: u32,
        /// Sequence of the event whose output it stands for.
        sequence: u64,
    },
    PhaseCompleted {
        phase: Phase,
        output: Digest,
        next: Option<Phase>,
    },
    SandboxReleased {
        epoch: Epoch,
        sandbox: SandboxId,
        reason: ReleaseReason,
        /// The phase that it was at work on, where it leaves usage behind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phase: Option<Phase>,
        /// What it had used since its last event.
        #[serde(default, skip_serializing_if = "Usage::is_zero")]
        usage: Usage,
    },
    SandboxLost {
        epoch: Epoch,
        sandbox: SandboxId,
        phase: Phase,
        cause: LossCause,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_heard: Option<Timestamp>,
        /// What it had used since its last event.
        #[serde(default, skip_serializing_if = "Usage::is_zero")]
        usage: Usage,
    },
    ExecutionPaused {
        by: String,
        reason: String,
    },
    ExecutionResumed {
        by: String,
        run: u32,
        phase: Phase,
        attempt: u32,
    },
    PhaseReopened {
        phase: Phase,
        by: String,
        reason: String,
        /// A new budget for the whole spec, where a person lifted it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        budget: Option<Budget>,
    },
    TicketLinked {
        ticket: TicketId,
    },
    CommentAdded {
        by: String,
        text: String,
    },
    /// First event of a fork.
    SpecForked {
        spec: SpecId,
        source: SpecId,
        sequence: u64,
        source_hash: Digest,
        state: Digest,
        brief: Brief,
        policy: Box<Policy>,
        accepted: BTreeMap<Phase, Inherited>,
    },
    SyncPlanned {
        run: u32,
        attempt: u32,
        /// Folder of the spec's files, relative to the repository root.
        folder: String,
        ids: IdMap,
        coverage: Vec<Coverage>,
        files: Vec<ExportedFile>,
        plan: Digest,
    },
    SpecSynced {
        run: u32,
        ids: IdMap,
        coverage: Vec<Coverage>,
        /// What was really written, and where.
        files: Vec<ExportedFile>,
    },
    SpecCompleted {
        usage: Usage,
        requirements: u32,
        tickets: u32,
        tasks: u32,
    },
    SpecFailed {
        kind: FailureKind,
        reason: String,
        phase: Phase,
    },
    SpecCancelled {
        by: String,
        reason: String,
    },
}

impl Event {
    /// Stable name, as stored.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SpecDrafted { .. } => "SpecDrafted",
            Self::SpecRevised { .. } => "SpecRevised",
            Self::ExecutionStarted { .. } => "ExecutionStarted",
            Self::SandboxRequested { .. } => "SandboxRequested",
            Self::SandboxAttached { .. } => "SandboxAttached",
            Self::AttemptStarted { .. } => "AttemptStarted",
            Self::StepRecorded { .. } => "StepRecorded",
            Self::OutputSubmitted { .. } => "OutputSubmitted",
            Self::VerdictRecorded { .. } => "VerdictRecorded",
            Self::EvaluationRequested { .. } => "EvaluationRequested",
            Self::AttemptFailed { .. } => "AttemptFailed",
            Self::ApprovalRequested { .. } => "ApprovalRequested",
            Self::PhaseApproved { .. } => "PhaseApproved",
            Self::PhaseRejected { .. } => "PhaseRejected",
            Self::CheckpointSaved { .. } => "CheckpointSaved",
            Self::PhaseCompleted { .. } => "PhaseCompleted",
            Self::SandboxReleased { .. } => "SandboxReleased",
            Self::SandboxLost { .. } => "SandboxLost",
            Self::ExecutionPaused { .. } => "ExecutionPaused",
            Self::ExecutionResumed { .. } => "ExecutionResumed",
            Self::PhaseReopened { .. } => "PhaseReopened",
            Self::TicketLinked { .. } => "TicketLinked",
            Self::CommentAdded { .. } => "CommentAdded",
            Self::SpecForked { .. } => "SpecForked",
            Self::SyncPlanned { .. } => "SyncPlanned",
            Self::SpecSynced { .. } => "SpecSynced",
            Self::SpecCompleted { .. } => "SpecCompleted",
            Self::SpecFailed { .. } => "SpecFailed",
            Self::SpecCancelled { .. } => "SpecCancelled",
        }
    }

    /// How stored events of earlier versions are read. A change of an event's shape adds a line,
    /// and a golden file of the new version; the old ones stay.
    pub const UPCASTS: [Upcast; 0] = [];

    /// Every name that `name` can give: what a reader of this version knows.
    pub const NAMES: [&'static str; 29] = [
        "SpecDrafted",
        "SpecRevised",
        "ExecutionStarted",
        "SandboxRequested",
        "SandboxAttached",
        "AttemptStarted",
        "StepRecorded",
        "OutputSubmitted",
        "VerdictRecorded",
        "EvaluationRequested",
        "AttemptFailed",
        "ApprovalRequested",
        "PhaseApproved",
        "PhaseRejected",
        "CheckpointSaved",
        "PhaseCompleted",
        "SandboxReleased",
        "SandboxLost",
        "ExecutionPaused",
        "ExecutionResumed",
        "PhaseReopened",
        "TicketLinked",
        "CommentAdded",
        "SpecForked",
        "SyncPlanned",
        "SpecSynced",
        "SpecCompleted",
        "SpecFailed",
        "SpecCancelled",
    ];
}
