//! RecordVerdict: evaluators after the gate.

use specline_aggregates::spec::{FailureKind, Status};
use specline_aggregates::{Evaluator, Phase, Policy};

use super::{NOTHING, cancel, pause, resume};
use crate::kit::Run;

pub fn evaluator(name: &str) -> Evaluator {
    Evaluator {
        name: name.to_owned(),
        command: "./judge".to_owned(),
        phases: [Phase::Explore].into(),
        time_ms: 1_000,
    }
}

fn judged() -> Run {
    let evaluators = vec![evaluator("style"), evaluator("licence")];
    let mut run = Run::working(Policy { evaluators, ..Policy::default() });
    assert_eq!(run.pass(), ["OutputSubmitted", "VerdictRecorded", "EvaluationRequested"]);
    run
}

#[test]
fn an_output_counts_when_every_evaluator_has_passed_it() {
    let mut run = judged();
    assert_eq!(run.spec.status(), Status::Executing);
    assert_eq!(run.refused(&run.start_attempt()).code(), "too_early");
    assert_eq!(run.once(&run.judge("style", true)), ["VerdictRecorded"]);
    assert_eq!(run.expect(&run.judge("nobody", false)), NOTHING);
    let last = run.once(&run.judge("licence", true));
    assert_eq!(last, ["VerdictRecorded", "CheckpointSaved", "PhaseCompleted"]);
    assert_eq!(run.spec.accepted(Phase::Explore).unwrap().score, 900, "the lowest score counts");
    run.expect(&run.start_attempt());
    assert_eq!(run.pass().last(), Some(&"PhaseCompleted"), "they judge explore only");
}

#[test]
fn one_that_does_not_pass_it_is_feedback_for_another_attempt() {
    let mut run = judged();
    assert_eq!(run.once(&run.judge("licence", false)), ["VerdictRecorded", "AttemptFailed"]);
    let state = run.spec.current().unwrap().clone();
    let feedback = state.feedback.unwrap();
    assert_eq!((feedback.kind, feedback.findings.len()), (FailureKind::Gate, 1));
    assert!(feedback.message.contains("licence"), "{}", feedback.message);
    assert!(state.evaluating.is_empty() && state.pending.is_none());
    assert_eq!(run.expect(&run.judge("style", true)), NOTHING, "it is no longer in question");
}

#[test]
fn a_verdict_names_what_it_judged() {
    let mut run = judged();
    let mut other = run.clone();
    other.expect(&other.judge("style", false));
    assert_eq!(run.refused(&other.judge("style", true)).code(), "digest_mismatch");
    run.expect(&cancel());
    assert_eq!(run.refused(&run.judge("style", true)).code(), "spec_ended");
}

#[test]
fn a_lost_sandbox_and_a_pause_do_not_lose_the_output() {
    let mut run = judged();
    assert_eq!(run.expect(&run.kill()), ["SandboxLost", "SandboxRequested"]);
    run.expect(&run.judge("style", true));
    assert_eq!(run.expect(&pause()), ["ExecutionPaused", "SandboxReleased"]);
    assert_eq!(run.expect(&resume(&run)), ["ExecutionResumed", "SandboxRequested"]);
    let last = run.expect(&run.judge("licence", true));
    assert_eq!(last, ["VerdictRecorded", "CheckpointSaved", "PhaseCompleted"]);
}

#[test]
fn a_person_is_asked_after_the_evaluators() {
    let policy = Policy {
        evaluators: vec![evaluator("style")],
        approvals: [Phase::Explore].into(),
        ..Policy::default()
    };
    let mut run = Run::working(policy);
    run.pass();
    let asked = ["VerdictRecorded", "ApprovalRequested", "SandboxReleased"];
    assert_eq!(run.expect(&run.judge("style", true)), asked);
    assert_eq!(run.spec.status(), Status::AwaitingApproval);
}

#[test]
fn evaluators_need_names_of_their_own() {
    for names in [["gate", "x"], ["x", "x"], ["", "x"]] {
        let evaluators = names.iter().map(|name| evaluator(name)).collect();
        let mut run = Run::empty();
        let policy = Policy { evaluators, ..Policy::default() };
        assert_eq!(run.refused(&super::steering::draft(crate::kit::brief(), policy)).code(), {
            "invalid_input"
        });
    }
}
