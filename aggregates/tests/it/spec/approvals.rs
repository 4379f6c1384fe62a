//! ApprovePhase, RejectPhase and ExpireApproval.

use std::collections::BTreeSet;

use specline_aggregates::spec::command::ExpireApproval;
use specline_aggregates::spec::{Command, FailureKind, Status};
use specline_aggregates::{Budget, Digest, Phase, Policy};

use super::{NOTHING, cancel, pause, resume, steering};
use crate::kit::{Run, passing, tokens};

pub fn policy() -> Policy {
    Policy {
        approvals: BTreeSet::from([Phase::Explore]),
        approval_deadline_ms: Some(1_000),
        ..Policy::default()
    }
}

pub fn waiting() -> Run {
    let mut run = Run::working(policy());
    run.pass();
    assert_eq!(run.spec.status(), Status::AwaitingApproval);
    run
}

#[test]
fn what_is_approved_is_what_was_looked_at() {
    let mut run = waiting();
    let other = run.approve(Phase::Explore, Digest::of(b"another"));
    assert_eq!(run.refused(&other).code(), "digest_mismatch");
    let digest = run.awaited();
    assert_eq!(run.refused(&run.approve(Phase::Design, digest)).code(), "phase_not_open");
    run.expect(&pause());
    assert_eq!(run.refused(&run.approve(Phase::Explore, digest)).code(), "wrong_status");
    run.expect(&cancel());
    assert_eq!(run.refused(&run.approve(Phase::Explore, digest)).code(), "spec_ended");
}

#[test]
fn a_rejection_uses_up_no_attempt_and_its_feedback_goes_on() {
    let mut run = waiting();
    let digest = run.awaited();
    for _ in 0..5 {
        let events = run.once(&run.reject(Phase::Explore, digest));
        assert_eq!(events, ["PhaseRejected", "AttemptFailed", "SandboxRequested"]);
        assert_eq!(run.spec.current().unwrap().used_attempts, 0);
        let feedback = run.spec.current().unwrap().feedback.clone().unwrap();
        assert_eq!((feedback.kind, feedback.message.as_str()), {
            (FailureKind::Rejected, "Also limit by key")
        });
        assert_eq!(feedback.output.unwrap().digest(), digest);
        run.begin();
        run.pass();
    }
}

#[test]
fn approving_over_budget_keeps_the_output_and_fails_for_the_budget() {
    let budget = Budget { tokens: Some(10), cost_micro_usd: None };
    for reject in [false, true] {
        let mut run = Run::working(Policy { budget, ..policy() });
        run.expect(&run.submit_using(passing(Phase::Explore), tokens(11)));
        let digest = run.awaited();
        let command = if reject {
            run.reject(Phase::Explore, digest)
        } else {
            run.approve(Phase::Explore, digest)
        };
        assert_eq!(run.expect(&command).last(), Some(&"SpecFailed"));
        assert_eq!(run.spec.failure().unwrap().kind, FailureKind::Budget);
        assert_eq!(run.spec.accepted(Phase::Explore).is_none(), reject);
    }
}

#[test]
fn an_approval_that_takes_too_long_pauses_and_a_resume_asks_again() {
    let mut run = waiting();
    let expire = |run: &Run| Command::ExpireApproval(ExpireApproval { now: run.now });
    assert_eq!(run.expect(&expire(&run)), NOTHING);
    run.pass_time(1_000);
    assert_eq!(run.once(&expire(&run)), ["ExecutionPaused"]);
    let digest = run.awaited();
    assert_eq!(run.once(&resume(&run)), ["ExecutionResumed", "ApprovalRequested"]);
    assert_eq!(run.spec.status(), Status::AwaitingApproval);
    assert_eq!(run.expect(&run.approve(Phase::Explore, digest)).last(), Some(&"SandboxRequested"));
}

#[test]
fn nobody_is_asked_while_it_is_paused() {
    let mut run = Run::working(policy());
    run.expect(&pause());
    assert_eq!(run.pass(), ["OutputSubmitted", "VerdictRecorded", "SandboxReleased"]);
    assert_eq!(run.spec.status(), Status::Paused);
    assert_eq!(run.expect(&resume(&run)), ["ExecutionResumed", "ApprovalRequested"]);
}

#[test]
fn a_revision_takes_back_the_question() {
    let mut run = waiting();
    let digest = run.awaited();
    let events = run.expect(&steering::revise(None, Some("Limit each key")));
    let begun = ["SpecRevised", "PhaseReopened", "ExecutionStarted", "SandboxRequested"];
    assert_eq!(events, begun);
    assert_eq!(run.refused(&run.approve(Phase::Explore, digest)).code(), "wrong_status");
    assert_eq!(run.spec.approval_deadline(), None);
}
