//! A spec and an event as people and scripts see them: the objects of `specline show --json`, of
//! `specline events --json` and of the API.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::output::ExportedFile;
use specline_aggregates::spec::{self, Spec, slug};
use specline_aggregates::{Digest, Epoch, Finding, Phase, RawJson, SpecId, Timestamp, Usage};
use uuid::Uuid;

use crate::store::Recorded;

/// Where a phase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseStatus {
    Pending,
    Running,
    /// The next attempt waits for its time, or for a sandbox.
    Waiting,
    AwaitingApproval,
    Completed,
    Failed,
}

impl PhaseStatus {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PhaseView {
    pub phase: Phase,
    pub status: PhaseStatus,
    pub attempts: u32,
    /// Digest of the accepted output, else of the one that waits for a person.
    pub digest: Option<Digest>,
    /// Score of the last verdict, in parts per thousand.
    pub score: Option<u16>,
    /// Findings of the last verdict.
    pub findings: Vec<Finding>,
    /// What the last failed attempt said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    pub usage: Usage,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointView {
    pub phase: Phase,
    pub digest: Digest,
    pub score: u16,
    pub run: u32,
    /// Sequence of the event that carries the output.
    pub sequence: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ErrorView {
    pub kind: String,
    pub reason: String,
    pub phase: Phase,
}

/// A spec, without its outputs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SpecView {
    pub id: SpecId,
    pub title: String,
    pub slug: String,
    pub repository: String,
    pub agent: String,
    pub status: spec::Status,
    pub phase: Option<Phase>,
    pub run: u32,
    pub epoch: Epoch,
    pub version: u64,
    /// Attempts made, by phase.
    pub attempts: BTreeMap<Phase, u32>,
    pub phases: Vec<PhaseView>,
    pub checkpoints: Vec<CheckpointView>,
    pub usage: Usage,
    pub error: Option<ErrorView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// Files that SYNC wrote.
    pub files: Vec<ExportedFile>,
    pub requirements: usize,
    pub tickets: usize,
    pub tasks: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<(SpecId, u64)>,
}

impl SpecView {
    /// The view of a spec that exists; none for one without events.
    #[must_use]
    pub fn of(spec: &Spec) -> Option<Self> {
        let (id, brief) = (spec.id()?, spec.brief()?);
        let phases: Vec<_> = Phase::ALL.into_iter().map(|phase| phase_view(spec, phase)).collect();
        let ids = spec.synced().cloned().unwrap_or_default();
        Some(Self {
            id,
            title: brief.title.clone(),
            slug: slug(&brief.title),
            repository: brief.repository.location.clone(),
            agent: spec.policy().agent.clone(),
            status: spec.status(),
            phase: spec.phase(),
            run: spec.run(),
            epoch: spec.epoch(),
            version: spec.version(),
            attempts: phases.iter().map(|view| (view.phase, view.attempts)).collect(),
            checkpoints: checkpoints(spec),
            phases,
            usage: spec.usage(),
            error: spec.failure().map(|failure| ErrorView {
                kind: failure.kind.as_str().to_owned(),
                reason: failure.reason.clone(),
                phase: failure.phase,
            }),
            retry_at: spec.current().and_then(|state| state.retry_at),
            files: spec.exported().to_vec(),
            requirements: ids.requirements.len(),
            tickets: ids.tickets.len(),
            tasks: ids.tasks.len(),
            forked_from: spec.forked_from(),
        })
    }
}

fn checkpoints(spec: &Spec) -> Vec<CheckpointView> {
    let checkpoint = |phase: Phase| {
        let accepted = spec.accepted(phase)?;
        Some(CheckpointView {
            phase,
            digest: accepted.digest,
            score: accepted.score,
            run: accepted.run,
            sequence: accepted.sequence,
        })
    };
    Phase::ALL.into_iter().filter_map(checkpoint).collect()
}

fn phase_view(spec: &Spec, phase: Phase) -> PhaseView {
    let state = spec.phase_state(phase).cloned().unwrap_or_default();
    let waiting = state.pending.as_ref().map(|pending| pending.digest);
    let accepted = state.accepted.as_ref();
    PhaseView {
        phase,
        status: phase_status(spec, phase),
        attempts: state.last_attempt,
        digest: accepted.map(|accepted| accepted.digest).or(waiting),
        score: state
            .verdict
            .as_ref()
            .map(|verdict| verdict.score)
            .or(accepted.map(|accepted| accepted.score)),
        findings: state.verdict.map(|verdict| verdict.findings).unwrap_or_default(),
        last_failure: state
            .feedback
            .map(|feedback| format!("{}: {}", feedback.kind.as_str(), feedback.message)),
        usage: state.usage,
    }
}

fn phase_status(spec: &Spec, phase: Phase) -> PhaseStatus {
    let state = spec.phase_state(phase);
    if state.is_some_and(|state| state.accepted.is_some()) {
        return PhaseStatus::Completed;
    }
    if spec.phase() != Some(phase) {
        return PhaseStatus::Pending;
    }
    match spec.status() {
        spec::Status::Failed => PhaseStatus::Failed,
        spec::Status::AwaitingApproval => PhaseStatus::AwaitingApproval,
        spec::Status::Executing if state.is_some_and(|state| state.running.is_some()) => {
            PhaseStatus::Running
        }
        spec::Status::Executing => PhaseStatus::Waiting,
        spec::Status::Unknown
        | spec::Status::Draft
        | spec::Status::Paused
        | spec::Status::Completed
        | spec::Status::Cancelled => {
            if state.is_some_and(|state| state.running.is_some()) {
                PhaseStatus::Running
            } else {
                PhaseStatus::Pending
            }
        }
    }
}

/// An event as every reader gets it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    pub position: u64,
    pub aggregate_type: String,
    #[schemars(with = "SpecId")]
    pub aggregate_id: Uuid,
    pub sequence: u64,
    pub event_type: String,
    pub event_version: String,
    /// The event, in the form of its type and version.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub payload: RawJson,
    /// `actor`, `correlation_id`, and where they are known `causation_id`, `project_id`,
    /// `request_id`, `key_id`, `traceparent`, `sandbox_id` and `epoch`.
    #[schemars(with = "BTreeMap<String, String>")]
    pub metadata: RawJson,
    pub recorded_at: Timestamp,
    pub hash: Digest,
}

impl TryFrom<Recorded> for EventView {
    type Error = serde_json::Error;

    fn try_from(row: Recorded) -> Result<Self, serde_json::Error> {
        Ok(Self {
            position: row.position.0,
            aggregate_type: row.stream.aggregate_type,
            aggregate_id: row.stream.aggregate_id,
            sequence: row.sequence,
            event_type: row.event_type,
            event_version: row.event_version,
            payload: RawJson::parse(row.payload)?,
            metadata: RawJson::parse(row.metadata)?,
            recorded_at: row.recorded_at,
            hash: row.hash,
        })
    }
}
