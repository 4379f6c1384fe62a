//! What an event says of where a spec or a task stands, and of what was used. It mirrors the
//! aggregates' own transition for the few facts that read models show; tests hold the two together.

use specline_aggregates::spec::{self, Status};
use specline_aggregates::{Phase, Usage, task};

/// The status of a spec after `event`; none when it stays.
pub(crate) fn status_after(event: &spec::Event) -> Option<Status> {
    use spec::Event as E;
    match event {
        E::SpecDrafted { .. } | E::SpecForked { .. } => Some(Status::Draft),
        E::ExecutionStarted { .. }
        | E::ExecutionResumed { .. }
        | E::PhaseReopened { .. }
        | E::PhaseApproved { .. }
        | E::PhaseRejected { .. } => Some(Status::Executing),
        E::ApprovalRequested { .. } => Some(Status::AwaitingApproval),
        E::ExecutionPaused { .. } => Some(Status::Paused),
        E::SpecCompleted { .. } => Some(Status::Completed),
        E::SpecFailed { .. } => Some(Status::Failed),
        E::SpecCancelled { .. } => Some(Status::Cancelled),
        E::SpecRevised { .. }
        | E::SandboxRequested { .. }
        | E::SandboxAttached { .. }
        | E::AttemptStarted { .. }
        | E::StepRecorded { .. }
        | E::OutputSubmitted { .. }
        | E::VerdictRecorded { .. }
        | E::EvaluationRequested { .. }
        | E::AttemptFailed { .. }
        | E::CheckpointSaved { .. }
        | E::PhaseCompleted { .. }
        | E::SandboxReleased { .. }
        | E::SandboxLost { .. }
        | E::TicketLinked { .. }
        | E::CommentAdded { .. }
        | E::SyncPlanned { .. }
        | E::SpecSynced { .. } => None,
    }
}

/// Whether a verdict is that of an evaluator which passes the output: it joins the gate's, and the
/// lowest score counts. Any other verdict takes the place of the one before.
pub(crate) fn joins_the_gate(event: &spec::Event) -> bool {
    matches!(event, spec::Event::VerdictRecorded { evaluator, passed: true, .. } if evaluator != "gate")
}

/// The open phase of a spec after `event`; none when it stays.
pub(crate) fn phase_after(event: &spec::Event) -> Option<Phase> {
    if let spec::Event::PhaseCompleted { phase, next, .. } = event {
        Some(next.unwrap_or(*phase))
    } else if let spec::Event::ExecutionStarted { first_phase: phase, .. }
    | spec::Event::ExecutionResumed { phase, .. }
    | spec::Event::PhaseReopened { phase, .. } = event
    {
        Some(*phase)
    } else {
        None
    }
}

/// What `event` says was used, and in which phase.
pub(crate) fn spec_usage(event: &spec::Event) -> Option<(Phase, Usage)> {
    if let spec::Event::StepRecorded { phase, usage, .. }
    | spec::Event::OutputSubmitted { phase, usage, .. }
    | spec::Event::AttemptFailed { phase, usage, .. }
    | spec::Event::SandboxReleased { phase: Some(phase), usage, .. }
    | spec::Event::SandboxLost { phase, usage, .. } = event
    {
        Some((*phase, *usage))
    } else {
        None
    }
}

/// The name of a task's status after `event`; none when it stays.
pub(crate) fn task_status_after(event: &task::Event) -> Option<&'static str> {
    use task::Event as E;
    match event {
        E::TaskQueued { .. } => Some("blocked"),
        E::TaskUnblocked {} | E::TaskRequeued { .. } => Some("queued"),
        E::TaskClaimed { .. } => Some("claimed"),
        E::TaskStarted { .. } => Some("running"),
        E::TaskResultSubmitted { .. } => Some("verifying"),
        E::TaskCompleted { .. } => Some("completed"),
        E::TaskFailed { .. } => Some("failed"),
        E::TaskCancelled { .. } => Some("cancelled"),
        E::TaskRevised { .. }
        | E::TaskReleased { .. }
        | E::DependencyNoted { .. }
        | E::TaskStepRecorded { .. }
        | E::TaskVerdictRecorded { .. }
        | E::TaskAttemptFailed { .. }
        | E::TaskSandboxLost { .. }
        | E::TaskReprioritised { .. } => None,
    }
}
