//! Why a command was refused. Nothing was written.

use super::state::Status;
use crate::{Digest, Epoch, Finding, Phase};

/// A refused command. Each variant has a stable code for the API, and says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such spec; `specline list` shows those that are")]
    NotFound,
    #[error("this spec exists already")]
    AlreadyExists,
    #[error("epoch {given} is over: epoch {current} is the one that may write; stop")]
    StaleEpoch { given: Epoch, current: Epoch },
    #[error("the output was made for another context than the attempt's; take a new assignment")]
    StaleContext,
    #[error("attempt {given} of {phase} is not the one that runs (last: {last})")]
    StaleAttempt { phase: Phase, given: u32, last: u32 },
    #[error("the {phase} phase is not open; the spec stands at {}", at(*current))]
    PhaseNotOpen { phase: Phase, current: Option<Phase> },
    #[error("the spec is {status} and takes no more work; `retry` or `fork` it to go on")]
    Ended { status: Status },
    #[error("the spec is paused; `resume` it first")]
    Paused,
    #[error("the spec is {status}, and {command} needs it to be {needs}")]
    WrongStatus { status: Status, command: &'static str, needs: &'static str },
    #[error("the output that waits has digest {current}, not {given}: look at it again")]
    DigestMismatch { given: Digest, current: Digest },
    #[error("{field}: {problem}")]
    InvalidInput { field: &'static str, problem: String },
    #[error("{phase} cannot be first: {missing} has no accepted output; start there")]
    NotReachable { phase: Phase, missing: Phase },
    #[error("the edited {phase} output does not pass its gate: {}", first(findings))]
    GateFailed { phase: Phase, findings: Vec<Finding> },
    #[error("the budget is used up: {used}; retry with a larger one")]
    BudgetExceeded { used: String },
    #[error("not yet: the next attempt may start later")]
    TooEarly,
    #[error("the manifest given is not the one this run works on")]
    WrongManifest,
    #[error("the replayed state is broken: {0}")]
    Broken(String),
}

fn at(phase: Option<Phase>) -> &'static str {
    phase.map_or("no phase", Phase::as_str)
}

fn first(findings: &[Finding]) -> String {
    let mut failed = findings.iter().filter(|f| !f.passed && !f.skipped);
    failed.next().map_or_else(
        || "its soft score is below the threshold".to_owned(),
        |finding| format!("{} ({}) {}", finding.message, finding.rule, finding.mend),
    )
}

impl Rejection {
    /// Stable code, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::StaleEpoch { .. } => "stale_epoch",
            Self::StaleContext => "stale_context",
            Self::StaleAttempt { .. } => "stale_attempt",
            Self::PhaseNotOpen { .. } => "phase_not_open",
            Self::Ended { .. } => "spec_ended",
            Self::Paused => "spec_paused",
            Self::WrongStatus { .. } => "wrong_status",
            Self::DigestMismatch { .. } => "digest_mismatch",
            Self::InvalidInput { .. } => "invalid_input",
            Self::NotReachable { .. } => "phase_not_reachable",
            Self::GateFailed { .. } => "gate_failed",
            Self::BudgetExceeded { .. } => "budget_exceeded",
            Self::TooEarly => "too_early",
            Self::WrongManifest => "wrong_manifest",
            Self::Broken(_) => "corrupt",
        }
    }
}
