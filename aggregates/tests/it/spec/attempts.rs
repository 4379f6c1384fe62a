//! AttachSandbox, StartAttempt, RecordStep, SubmitOutput, ReportAttemptFailed, TimeOutAttempt and
//! ReportSandboxLost.

use std::collections::BTreeMap;

use specline_aggregates::spec::command::{Judging, RecordStep};
use specline_aggregates::spec::{Command, Event, FailureKind, LossCause, Payload, Status};
use specline_aggregates::{Budget, Digest, Limits, Phase, Policy, RawJson, Timestamp, Usage};

use super::{NOTHING, cancel, pause, resume};
use crate::kit::{Run, epoch, failing, malformed, passing, tokens};

fn step(run: &Run, name: &str) -> Command {
    let result = Payload::Inline(RawJson::parse("[1]".to_owned()).unwrap().into());
    Command::RecordStep(RecordStep {
        epoch: run.spec.epoch(),
        phase: run.phase(),
        attempt: run.attempt(),
        number: 1,
        name: name.to_owned(),
        result,
        usage: tokens(3),
    })
}

#[test]
fn the_first_instance_of_an_epoch_wins() {
    let mut run = Run::started(Policy::default());
    assert_eq!(run.once(&run.attach(1)), ["SandboxAttached"]);
    assert_eq!(run.refused(&run.attach(2)).code(), "stale_epoch");
    let old = run.attach(1);
    run.expect(&run.kill());
    assert_eq!(run.refused(&old).code(), "stale_epoch");
    run.expect(&cancel());
    assert_eq!(run.refused(&run.attach(1)).code(), "spec_ended");
}

#[test]
fn an_attempt_needs_an_attached_sandbox_and_the_time_to_have_come() {
    let mut run = Run::started(Policy::default());
    assert_eq!(run.refused(&run.start_attempt()).code(), "stale_epoch");
    run.expect(&run.attach(1));
    assert_eq!(run.once(&run.start_attempt()), ["AttemptStarted"]);
    run.expect(&run.report(FailureKind::AgentError, Usage::default()));
    assert_eq!(run.refused(&run.start_attempt()).code(), "too_early");
    run.pass_time(2_000);
    assert_eq!(run.once(&run.start_attempt()), ["AttemptStarted"]);
    let mut run = Run::at(Phase::Sync, Policy::default());
    assert_eq!(run.refused(&run.start_attempt()).code(), "phase_not_open");
}

#[test]
fn steps_are_recorded_once_and_outlive_a_lost_sandbox() {
    let mut run = Run::working(Policy::default());
    assert_eq!(run.once(&step(&run, "read")), ["StepRecorded"]);
    assert_eq!(run.refused(&step(&run, " ")).code(), "invalid_input");
    run.expect(&run.kill());
    assert_eq!(run.refused(&step(&run, "other")).code(), "stale_epoch");
    run.begin();
    assert_eq!(run.expect(&step(&run, "read")), NOTHING);
    let context = run.spec.context(Phase::Explore, &BTreeMap::new()).unwrap();
    assert_eq!(context.steps.len(), 1);
}

#[test]
fn steps_do_not_outlive_a_failed_attempt_nor_an_accepted_output() {
    let mut run = Run::working(Policy::default());
    run.expect(&step(&run, "read"));
    run.expect(&run.submit(failing(Phase::Explore)));
    run.pass_time(60_000);
    run.expect(&run.start_attempt());
    assert_eq!(run.expect(&step(&run, "read")), ["StepRecorded"]);
    run.pass();
    run.expect(&super::retry(Phase::Explore, None));
    run.begin();
    assert_eq!(run.expect(&step(&run, "read")), ["StepRecorded"]);
}

#[test]
fn a_new_title_keeps_the_steps_of_the_running_attempt() {
    let mut run = Run::working(Policy::default());
    run.expect(&step(&run, "read"));
    run.expect(&super::steering::revise(Some("Limit"), None));
    let context = run.spec.context(Phase::Explore, &BTreeMap::new()).unwrap();
    assert_eq!(context.steps.len(), 1);
    run.pass();
    assert_eq!(run.phase(), Phase::Requirements);
}

#[test]
fn an_output_that_passes_completes_its_phase_in_one_append() {
    let mut run = Run::working(Policy::default());
    let output = run.submit(passing(Phase::Explore));
    let events = run.once(&output);
    let whole = ["OutputSubmitted", "VerdictRecorded", "CheckpointSaved", "PhaseCompleted"];
    assert_eq!(events, whole);
    let accepted = run.spec.accepted(Phase::Explore).unwrap();
    let at = usize::try_from(accepted.sequence).unwrap() - 1;
    let Event::OutputSubmitted { digest, .. } = &run.events[at] else {
        panic!("{:?}", run.events[at])
    };
    assert_eq!(*digest, accepted.digest);
}

#[test]
fn an_output_that_fails_is_told_to_the_next_attempt() {
    let mut run = Run::working(Policy::default());
    let events = run.once(&run.submit(failing(Phase::Explore)));
    assert_eq!(events, ["OutputSubmitted", "VerdictRecorded", "AttemptFailed"]);
    let context = run.spec.context(Phase::Explore, &BTreeMap::new()).unwrap();
    let feedback = context.feedback.unwrap();
    assert_eq!(feedback.kind, "gate");
    assert_eq!(feedback.previous_output.unwrap().text(), failing(Phase::Explore).text());
    assert!(feedback.findings.iter().all(|f| !f.passed && !f.mend.is_empty()));
    assert!(!feedback.findings.is_empty());
    run.pass_time(2_000);
    run.expect(&run.start_attempt());
    run.expect(&run.submit(malformed()));
    let context = run.spec.context(Phase::Explore, &BTreeMap::new()).unwrap();
    assert_eq!(context.feedback.unwrap().kind, "invalid_output");
}

#[test]
fn an_output_is_refused_for_another_attempt_context_phase_or_manifest() {
    let mut run = Run::working(Policy::default());
    let Command::SubmitOutput(given) = run.submit(passing(Phase::Explore)) else {
        unreachable!("submit builds it")
    };
    let mut other = given.clone();
    other.attempt = 2;
    assert_eq!(run.refused(&Command::SubmitOutput(other)).code(), "stale_attempt");
    let mut other = given.clone();
    other.context = Digest::of(b"old");
    assert_eq!(run.refused(&Command::SubmitOutput(other)).code(), "stale_context");
    let mut other = given.clone();
    other.phase = Phase::Design;
    assert_eq!(run.refused(&Command::SubmitOutput(other)).code(), "phase_not_open");
    let mut other = given.clone();
    other.judging = Judging::default();
    assert_eq!(run.refused(&Command::SubmitOutput(other)).code(), "wrong_manifest");
    let mut other = given.clone();
    other.epoch = epoch(7);
    assert_eq!(run.refused(&Command::SubmitOutput(other)).code(), "stale_epoch");
    let mut other = given;
    let huge = format!("\"{}\"", "x".repeat(16 * 1024 * 1024));
    other.output = RawJson::parse(huge).unwrap();
    assert_eq!(run.refused(&Command::SubmitOutput(other)).code(), "invalid_input");
}

#[test]
fn a_failure_is_recorded_once_and_only_for_the_running_attempt() {
    let mut run = Run::working(Policy::default());
    let failure = run.report(FailureKind::AgentError, tokens(7));
    assert_eq!(run.once(&failure), ["AttemptFailed"]);
    assert_eq!(run.spec.usage(), tokens(7));
    let other = run.report(FailureKind::Timeout, Usage::default());
    assert_eq!(run.refused(&other).code(), "stale_attempt");
}

#[test]
fn a_missing_agent_is_not_tried_again() {
    let mut run = Run::working(Policy::default());
    let events = run.expect(&run.report(FailureKind::Configuration, Usage::default()));
    assert_eq!(events, ["AttemptFailed", "SandboxReleased", "SpecFailed"]);
}

#[test]
fn a_time_out_acts_after_its_deadline_and_an_output_that_was_first_wins() {
    let mut run = Run::working(Policy::default());
    assert_eq!(run.refused(&run.time_out(Usage::default())).code(), "too_early");
    run.pass_time(180_000);
    let late = run.time_out(tokens(9));
    let mut second = run.clone();
    let events = run.once(&late);
    assert_eq!(events, ["AttemptFailed", "SandboxReleased", "SandboxRequested"]);
    assert_eq!(run.spec.usage(), tokens(9));
    second.pass();
    assert_eq!(second.expect(&late), NOTHING);
}

#[test]
fn usage_that_stands_in_events_is_not_counted_again() {
    let mut run = Run::working(Policy::default());
    run.expect(&step(&run, "read"));
    run.pass_time(180_000);
    run.expect(&run.time_out(tokens(9)));
    assert_eq!(run.spec.usage(), tokens(9));
    run.pass_time(60_000);
    run.begin();
    // A new sandbox counts from nothing.
    run.expect(&run.lose(LossCause::LeaseExpired, tokens(4)));
    assert_eq!(run.spec.usage(), tokens(13));
    assert_eq!(run.spec.usage(), run.spent());
}

#[test]
fn a_lost_sandbox_uses_up_no_attempt() {
    let mut run = Run::working(Policy::default());
    run.once(&run.kill());
    run.begin();
    let state = run.spec.current().unwrap();
    assert_eq!((state.last_attempt, state.used_attempts, state.losses), (2, 1, 1));
}

#[test]
fn a_backoff_holds_when_the_sandbox_is_lost_in_it() {
    let mut run = Run::working(Policy::default());
    run.expect(&run.submit(failing(Phase::Explore)));
    let retry_at = run.spec.current().unwrap().retry_at;
    assert!(retry_at.is_some());
    run.expect(&run.kill());
    assert_eq!(run.spec.current().unwrap().retry_at, retry_at);
}

#[test]
fn an_unknown_epoch_cannot_be_lost() {
    let mut run = Run::started(Policy::default());
    let Command::ReportLost(mut lost) = run.kill() else { unreachable!("kill builds it") };
    lost.epoch = epoch(9);
    assert_eq!(run.refused(&Command::ReportLost(lost)).code(), "stale_epoch");
}

#[test]
fn the_running_attempt_finishes_under_a_pause_and_no_next_one_starts() {
    let mut run = Run::working(Policy::default());
    assert_eq!(run.once(&pause()), ["ExecutionPaused"]);
    let events = run.pass();
    assert_eq!(events[2..], ["CheckpointSaved", "PhaseCompleted", "SandboxReleased"]);
    assert_eq!(run.spec.status(), Status::Paused);
    assert_eq!(run.refused(&run.start_attempt()).code(), "stale_epoch");
    let mut run = Run::working(Policy::default());
    run.expect(&pause());
    let events = run.expect(&run.submit(failing(Phase::Explore)));
    assert_eq!(events[2..], ["AttemptFailed", "SandboxReleased"]);
    assert_eq!(run.expect(&resume(&run)), ["ExecutionResumed", "SandboxRequested"]);
}

#[test]
fn a_budget_that_is_used_up_ends_the_spec_once() {
    let budget = Budget { tokens: Some(10), cost_micro_usd: None };
    let mut run = Run::working(Policy { budget, ..Policy::default() });
    run.expect(&pause());
    let events = run.expect(&run.submit_using(failing(Phase::Explore), tokens(11)));
    assert_eq!(events[2..], ["AttemptFailed", "SandboxReleased", "SpecFailed"]);
    let budget = Budget { tokens: None, cost_micro_usd: Some(100) };
    let mut run = Run::working(Policy { budget, ..Policy::default() });
    run.expect(&step(&run, "read"));
    let events = run.expect(&run.lose(LossCause::LeaseExpired, tokens(11)));
    assert_eq!(events, ["SandboxLost", "SpecFailed"]);
}

#[test]
fn times_without_end_are_cut_to_what_can_be_written() {
    let forever = Limits { time_ms: u64::MAX, turns: 1, attempts: 1 };
    let limits = BTreeMap::from([(Phase::Explore, forever)]);
    let run = Run::working(Policy { limits, ..Policy::default() });
    let deadline = run.spec.current().unwrap().running.unwrap().deadline;
    assert!(deadline > run.now);
    assert_eq!(deadline.to_string().parse::<Timestamp>().unwrap(), deadline);
}

/// A worker that asks for its work again after a pause gets the work that it has.
#[test]
fn asking_again_is_answered_alike_when_paused() {
    let mut run = Run::working(Policy::default());
    run.begin();
    run.expect(&pause());
    assert_eq!(run.spec.status(), Status::Paused);
    assert_eq!(run.expect(&run.start_attempt()), Vec::<&str>::new());
}
