//! The invariants of a spec and of its events.

use std::collections::BTreeMap;

use specline_aggregates::spec::{Event, Sandbox, Spec, Status};
use specline_aggregates::{Digest, Epoch, Phase};

use crate::kit::Run;

/// What may follow a state in one append.
pub(super) fn check_append(before: &Spec, events: &[Event]) {
    let Some(first) = events.first().map(Event::name) else { return };
    if before.status().is_ended() {
        let mut allowed = vec!["TicketLinked", "CommentAdded", "PhaseReopened"];
        if before.status() != Status::Cancelled {
            // A person's edit.
            allowed.push("OutputSubmitted");
        }
        assert!(allowed.contains(&first), "{first} after {}", before.status());
    }
}

/// What holds in every state.
pub(super) fn check_state(spec: &Spec, events: &[Event]) {
    let sandbox = spec.sandbox();
    if spec.status() == Status::Executing && spec.phase() != Some(Phase::Sync) {
        assert_ne!(sandbox, Sandbox::None, "executing, and nothing runs");
    }
    if matches!(spec.status(), Status::AwaitingApproval | Status::Draft) || spec.status().is_ended()
    {
        assert_eq!(sandbox, Sandbox::None, "{} with a sandbox", spec.status());
        assert!(Phase::ALL.iter().all(|p| running(spec, *p).is_none()), "{}", spec.status());
    }
    for phase in Phase::ALL {
        let Some(state) = spec.phase_state(phase) else { continue };
        let limit = spec.policy().limits(phase).attempts;
        assert!(state.used_attempts <= limit, "{phase}: {} attempts", state.used_attempts);
        assert!(state.losses <= spec.policy().max_sandbox_losses + 1, "{phase}: {state:?}");
        if let Some(attempt) = state.running {
            assert_eq!(spec.phase(), Some(phase));
            assert!(!phase.needs_agent() || attempt.epoch == spec.epoch());
        }
        if state.accepted.is_none() {
            let later = Phase::ALL.into_iter().filter(|later| *later > phase);
            assert!(later.into_iter().all(|later| spec.accepted(later).is_none()), "{phase}");
        }
    }
    assert_eq!(spec.version(), events.len() as u64);
    if spec.status() == Status::Failed {
        assert!(spec.failure().is_some());
    }
    if spec.status() == Status::Completed {
        assert_eq!(spec.first_open_phase(), None);
    }
}

fn running(spec: &Spec, phase: Phase) -> Option<u32> {
    spec.phase_state(phase).and_then(|state| state.running).map(|attempt| attempt.number)
}

/// What holds over the whole history.
pub(super) fn check_whole(run: &Run) {
    assert_eq!(run.spec.usage(), run.spent());
    let mut epoch = Epoch(0);
    let mut attempts: BTreeMap<Phase, u32> = BTreeMap::new();
    let mut judged: BTreeMap<Phase, Judged> = BTreeMap::new();
    for event in &run.events {
        if let Event::SandboxRequested { epoch: next, .. } = event {
            assert_eq!(*next, epoch.next());
            epoch = *next;
        } else if let Event::AttemptStarted { phase, attempt, .. } = event {
            let last = attempts.insert(*phase, *attempt);
            assert!(last.is_none_or(|last| last < *attempt), "{phase} {attempt} after {last:?}");
        } else if let Event::OutputSubmitted { phase, digest, attempt, .. } = event {
            let output = (*attempt, *digest);
            judged.insert(*phase, Judged { output, passed: false, approved: false });
        } else if let Event::VerdictRecorded { phase, attempt, output, passed, .. } = event {
            let last = judged.get_mut(phase).unwrap();
            assert_eq!(last.output, (*attempt, *output));
            last.passed = *passed;
        } else if let Event::PhaseApproved { phase, output, .. } = event {
            let last = judged.get_mut(phase).unwrap();
            assert_eq!(last.output.1, *output);
            last.approved = true;
        } else if let Event::PhaseCompleted { phase, output, .. } = event {
            let last = &judged[phase];
            assert!(last.passed && last.output.1 == *output, "{phase} completed unjudged");
            let asked = run.spec.policy().approvals.contains(phase);
            assert!(last.approved || !asked, "{phase} completed without its approval");
        }
    }
    assert_eq!(run.spec.epoch(), epoch);
}

struct Judged {
    output: (u32, Digest),
    passed: bool,
    approved: bool,
}
