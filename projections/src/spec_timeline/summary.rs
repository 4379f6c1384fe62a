//! One sentence an event, for people.

use specline_aggregates::Phase;
use specline_aggregates::spec::{Event, LossCause, ReleaseReason, SandboxReason};

/// Longest text of somebody else's that a sentence quotes, in characters.
const MAX_QUOTE_CHARS: usize = 200;

pub(super) fn of(event: &Event) -> String {
    match event {
        Event::SpecDrafted { brief, .. } => format!("Drafted: {}", quote(&brief.title)),
        Event::SpecForked { source, sequence, .. } => {
            format!("Forked from spec {source} at event {sequence}")
        }
        Event::SpecRevised { stale_from, .. } => match stale_from {
            Some(phase) => format!("Revised; {} and later are stale", name(*phase)),
            None => "Revised".to_owned(),
        },
        Event::ExecutionStarted { run, first_phase, manifest } => {
            let (first, files) = (name(*first_phase), manifest.files);
            format!("Run {run} began at {first} on a snapshot of {files} files")
        }
        Event::ExecutionPaused { by, reason } => format!("Paused by {by}: {}", quote(reason)),
        Event::ExecutionResumed { by, phase, .. } => format!("Resumed at {} by {by}", name(*phase)),
        Event::PhaseReopened { phase, by, reason, .. } => {
            format!("{} was opened again by {by}: {}", name(*phase), quote(reason))
        }
        Event::TicketLinked { ticket } => format!("Linked to ticket {ticket}"),
        Event::CommentAdded { by, text } => format!("{by}: {}", quote(text)),
        Event::SpecCompleted { requirements, tickets, tasks, .. } => {
            format!("Completed: {requirements} requirements, {tickets} tickets, {tasks} tasks")
        }
        Event::SpecFailed { phase, reason, .. } => {
            format!("Failed in {}: {}", name(*phase), quote(reason))
        }
        Event::SpecCancelled { by, reason } => format!("Cancelled by {by}: {}", quote(reason)),
        Event::SandboxRequested { .. }
        | Event::SandboxAttached { .. }
        | Event::SandboxReleased { .. }
        | Event::SandboxLost { .. } => of_sandbox(event),
        Event::AttemptStarted { .. }
        | Event::StepRecorded { .. }
        | Event::OutputSubmitted { .. }
        | Event::VerdictRecorded { .. }
        | Event::EvaluationRequested { .. }
        | Event::AttemptFailed { .. }
        | Event::ApprovalRequested { .. }
        | Event::PhaseApproved { .. }
        | Event::PhaseRejected { .. }
        | Event::CheckpointSaved { .. }
        | Event::PhaseCompleted { .. }
        | Event::SyncPlanned { .. }
        | Event::SpecSynced { .. } => of_phase(event),
    }
}

fn evaluator(event: &Event) -> &str {
    if let Event::VerdictRecorded { evaluator, .. } = event
        && evaluator != "gate"
    {
        return evaluator;
    }
    "Gate"
}

fn of_sandbox(event: &Event) -> String {
    if let Event::SandboxRequested { epoch, phase, reason, not_before, .. } = event {
        let later = not_before.map_or_else(String::new, |at| format!(", not before {at}"));
        let why = requested(*reason);
        format!("Sandbox {epoch} requested for {} ({why}{later})", name(*phase))
    } else if let Event::SandboxAttached { epoch, provider, worker_version, .. } = event {
        format!("Sandbox {epoch} attached ({provider}, worker {worker_version})")
    } else if let Event::SandboxReleased { epoch, reason, .. } = event {
        let why = match reason {
            ReleaseReason::Approval => "a person has to approve",
            ReleaseReason::Paused => "the spec is paused",
            ReleaseReason::Reopened => "its work is out of date",
            ReleaseReason::Ended => "the work has ended",
        };
        format!("Sandbox {epoch} was let go: {why}")
    } else if let Event::SandboxLost { epoch, phase, cause, .. } = event {
        format!("Sandbox {epoch} was lost in {}: {}", name(*phase), lost(cause))
    } else {
        event.name().to_owned()
    }
}

const fn requested(reason: SandboxReason) -> &'static str {
    match reason {
        SandboxReason::Start => "start",
        SandboxReason::Crash => "the last one was lost",
        SandboxReason::Timeout => "the last attempt timed out",
        SandboxReason::Resume => "resumed",
        SandboxReason::Approval => "approved",
        SandboxReason::Rejection => "rejected",
        SandboxReason::Retry => "retry",
        SandboxReason::Revision => "revised",
        SandboxReason::Edit => "edited",
        SandboxReason::Shutdown => "the engine was stopped",
    }
}

fn lost(cause: &LossCause) -> String {
    match cause {
        LossCause::Exit { code } => format!("it exited with code {code}"),
        LossCause::Signal { signal } => format!("it was killed by signal {signal}"),
        LossCause::LeaseExpired => "it was no longer heard of".to_owned(),
        LossCause::Spawn { message } => format!("it could not be started: {}", quote(message)),
        LossCause::Provider { message } => format!("the provider says: {}", quote(message)),
        LossCause::Detached { reason } => format!("it left: {}", quote(reason)),
        LossCause::Shutdown => "the engine was stopped".to_owned(),
    }
}

fn of_phase(event: &Event) -> String {
    if let Event::AttemptStarted { phase, attempt, deadline, .. } = event {
        format!("Attempt {attempt} of {} began, until {deadline}", name(*phase))
    } else if let Event::StepRecorded { phase, step, name: what, .. } = event {
        format!("Step {step} of {}: {}", name(*phase), quote(what))
    } else if let Event::OutputSubmitted { phase, by, .. } = event {
        format!("{} output submitted by {by}", name(*phase))
    } else if let Event::EvaluationRequested { phase, evaluators, .. } = event {
        format!("{} goes to {}", name(*phase), evaluators.join(", "))
    } else if let Event::VerdictRecorded { phase, passed, score, threshold, findings, .. } = event {
        let verb = if *passed { "passed" } else { "failed" };
        let bad = findings.iter().filter(|f| !f.passed && !f.skipped).count();
        let rest = if *passed { String::new() } else { format!(", {bad} findings") };
        let who = evaluator(event);
        format!("{who} {verb} {} with {score}/1000 (needs {threshold}){rest}", name(*phase))
    } else if let Event::AttemptFailed { phase, attempt, kind, message, retry_at, .. } = event {
        let next = retry_at.map_or_else(String::new, |at| format!("; again at {at}"));
        let (kind, message) = (kind.as_str(), quote(message));
        format!("Attempt {attempt} of {} failed ({kind}): {message}{next}", name(*phase))
    } else if let Event::ApprovalRequested { phase, .. } = event {
        format!("{} waits for a person's approval", name(*phase))
    } else if let Event::PhaseApproved { phase, by, .. } = event {
        format!("{} approved by {by}", name(*phase))
    } else if let Event::PhaseRejected { phase, by, feedback, .. } = event {
        format!("{} rejected by {by}: {}", name(*phase), quote(feedback))
    } else if let Event::CheckpointSaved { phase, output, .. } = event {
        format!("Checkpoint of {} saved ({})", name(*phase), output.short())
    } else if let Event::PhaseCompleted { phase, next, .. } = event {
        let next = next.map_or_else(String::new, |next| format!("; {} is next", name(next)));
        format!("{} completed{next}", name(*phase))
    } else if let Event::SyncPlanned { ids, files, .. } = event {
        let (tickets, tasks, files) = (ids.tickets.len(), ids.tasks.len(), files.len());
        format!("SYNC planned {tickets} tickets, {tasks} tasks and {files} files")
    } else if let Event::SpecSynced { ids, files, .. } = event {
        let (tickets, tasks, files) = (ids.tickets.len(), ids.tasks.len(), files.len());
        format!("SYNC made {tickets} tickets, {tasks} tasks and {files} files")
    } else {
        event.name().to_owned()
    }
}

fn name(phase: Phase) -> String {
    phase.as_str().to_uppercase()
}

/// The first line of `text`, cut where it is long.
fn quote(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    match line.char_indices().nth(MAX_QUOTE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if text.trim().lines().count() > 1 => format!("{line} …"),
        None => line.to_owned(),
    }
}
