//! What a worker and the engine say to each other, as JSON. Both ends use these very types, and a
//! contract test runs the real two ends against each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::spec::{FailureKind, Status};
use specline_aggregates::{Digest, Epoch, Finding, InstanceId, Phase, RawJson, Timestamp, Usage};

/// The worker is up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Attach {
    pub epoch: Epoch,
    pub instance: InstanceId,
    pub worker_version: String,
}

/// What the worker is to do next.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Assignment {
    /// Run the agent, then hand in its output.
    Work(Box<Work>),
    /// Nothing yet: ask again, at `until` where it is known.
    Wait {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        reason: String,
    },
    /// End, and let go of the sandbox: it is not wanted any more.
    Detach { reason: String },
    /// The spec has ended.
    Done { status: Status },
}

/// One attempt of one phase.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Work {
    pub phase: Phase,
    pub attempt: u32,
    /// Digest of the context; the output must name it.
    pub context_digest: Digest,
    #[schemars(with = "specline_aggregates::spec::Context")]
    pub context: serde_json::Value,
    pub system_prompt: String,
    pub prompt: String,
    /// A JSON Schema, which the output has to fit.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub output_schema: serde_json::Value,
    /// What is left of the attempt's time, in milliseconds.
    pub time_limit_ms: u64,
    pub turns: u32,
    pub agent: String,
    /// Names of the variables that the agent may see.
    pub agent_env: Vec<String>,
    /// The agent's session of the last attempt, where it can be continued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// A durable step.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StepReport {
    pub phase: Phase,
    pub attempt: u32,
    pub number: u32,
    pub name: String,
    pub result: RawJson,
    #[serde(default)]
    pub usage: Usage,
}

/// Where a step stands now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StepAnswer {
    pub position: u64,
    pub version: u64,
    /// False when a step of this name was there already.
    pub recorded: bool,
}

/// The output of an attempt.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Submission {
    pub phase: Phase,
    pub attempt: u32,
    pub context_digest: Digest,
    pub output: RawJson,
    #[serde(default)]
    pub usage: Usage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// What the gate said.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct VerdictReport {
    pub output: Digest,
    pub passed: bool,
    pub score: u16,
    pub findings: Vec<Finding>,
}

/// The answer to an output: the verdict, and what to do next.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SubmissionAnswer {
    pub position: u64,
    pub version: u64,
    pub verdict: VerdictReport,
    pub next: Assignment,
}

/// An attempt that brought no output.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FailureReport {
    pub phase: Phase,
    pub attempt: u32,
    pub kind: FailureKind,
    pub message: String,
    #[serde(default)]
    pub usage: Usage,
}

/// The answer to a failure.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FailureAnswer {
    pub position: u64,
    pub version: u64,
    pub next: Assignment,
}

/// The worker lives.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct HeartbeatReport {
    /// Cumulative for this sandbox.
    #[serde(default)]
    pub usage: Usage,
    #[serde(default)]
    pub progressed: bool,
}

/// What the engine wants of a living worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Orders {
    GoOn,
    /// End now: another sandbox has taken over, or the work is over.
    Stop,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HeartbeatAnswer {
    pub orders: Orders,
    pub lease_ms: u64,
}

/// Something worth keeping for the timeline. Any `kind` is welcome.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    pub kind: String,
    #[serde(default)]
    pub body: serde_json::Value,
}

/// Notes in one call, at most.
pub const MAX_NOTES: usize = 1_000;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Notes {
    pub events: Vec<Note>,
}

/// The worker ends.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Detach {
    pub reason: String,
}

/// RFC 9457.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// Stable, for programs.
    pub code: String,
    /// The request, as the engine's log lines name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// Environment variables of the sandbox contract.
pub mod env {
    pub const EXECUTION_MODE: &str = "EXECUTION_MODE";
    pub const REQUIRE_SPEC_SKILL: &str = "REQUIRE_SPEC_SKILL";
    pub const SPEC_ID: &str = "SPEC_ID";
    pub const SPEC_PHASE: &str = "SPEC_PHASE";
    pub const PHASE_CONTEXT_B64: &str = "PHASE_CONTEXT_B64";
    pub const PROJECT_ID: &str = "PROJECT_ID";
    pub const OMOIOS_PROJECT_ID: &str = "OMOIOS_PROJECT_ID";
    pub const OMOIOS_API_URL: &str = "OMOIOS_API_URL";
    pub const SANDBOX_ID: &str = "SPECLINE_SANDBOX_ID";
    pub const EPOCH: &str = "SPECLINE_EPOCH";
    pub const TOKEN: &str = "SPECLINE_TOKEN";
    /// A file that holds the API's address of the moment, for when the engine moved.
    pub const API_FILE: &str = "SPECLINE_API_FILE";
    /// Folder where finished outputs wait for an engine.
    pub const OUTBOX: &str = "SPECLINE_OUTBOX";
    pub const LEASE_MS: &str = "SPECLINE_LEASE_MS";
    pub const TASK_ID: &str = "TASK_ID";
}
