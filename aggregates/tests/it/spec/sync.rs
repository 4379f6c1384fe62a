//! PlanSync, CompleteSync and ReportSyncFailed.

use specline_aggregates::spec::command::ReportSyncFailed;
use specline_aggregates::spec::{Command, FailureKind, Rejection, Status};
use specline_aggregates::{Digest, Phase, Policy, Usage};

use super::{NOTHING, cancel, pause};
use crate::kit::{Run, planned_files};

fn in_sync() -> Run {
    let mut run = Run::at(Phase::Sync, Policy::default());
    assert_eq!(run.once(&run.plan_sync()), ["AttemptStarted", "SyncPlanned"]);
    run
}

fn failed(run: &Run) -> Command {
    let message = "the disk is full".to_owned();
    Command::ReportSyncFailed(ReportSyncFailed { message, wait: run.wait() })
}

#[test]
fn is_planned_and_completed_once() {
    let mut run = in_sync();
    let expected = [
        "OutputSubmitted",
        "VerdictRecorded",
        "SpecSynced",
        "CheckpointSaved",
        "PhaseCompleted",
        "SandboxReleased",
        "SpecCompleted",
    ];
    assert_eq!(run.once(&run.complete_sync()), expected);
    assert_eq!(run.spec.status(), Status::Completed);
    assert_eq!(run.spec.exported(), planned_files());
    assert_eq!(run.refused(&run.plan_sync()), Rejection::Ended { status: Status::Completed });
}

#[test]
fn needs_its_phase_and_a_plan() {
    let mut run = Run::at(Phase::Tasks, Policy::default());
    for command in [run.plan_sync(), run.complete_sync(), failed(&run)] {
        assert_eq!(run.refused(&command).code(), "phase_not_open");
    }
    let mut run = Run::at(Phase::Sync, Policy::default());
    assert_eq!(run.refused(&run.complete_sync()).code(), "phase_not_open");
    let mut paused = run.clone();
    paused.expect(&pause());
    assert_eq!(paused.expect(&failed(&paused)), NOTHING);
    assert_eq!(run.once(&failed(&run)), ["AttemptStarted", "AttemptFailed"]);
    run.expect(&pause());
    assert_eq!(run.refused(&run.plan_sync()), Rejection::Paused);
    run.expect(&cancel());
    assert_eq!(run.refused(&failed(&run)).code(), "spec_ended");
}

#[test]
fn a_planned_file_that_was_not_written_fails_it() {
    let read = |file: specline_aggregates::output::ExportedFile| (file.clone(), Some(file.digest));
    let all: Vec<_> = planned_files().into_iter().map(read).collect();
    let mut wrong = all.clone();
    wrong[0].1 = Some(Digest::of(b"other"));
    for written in [Vec::new(), all[1..].to_vec(), wrong] {
        let mut run = in_sync();
        let events = run.expect(&run.complete_sync_with(written));
        assert_eq!(events, ["OutputSubmitted", "VerdictRecorded", "AttemptFailed"]);
        assert_eq!(run.spec.status(), Status::Executing);
    }
    let mut beside = all;
    beside[0].0.path = "specs/add-rate-limiting/requirements.new.md".to_owned();
    let mut run = in_sync();
    assert_eq!(run.expect(&run.complete_sync_with(beside)).last(), Some(&"SpecCompleted"));
}

#[test]
fn failures_are_tried_again_and_bounded() {
    let mut run = in_sync();
    for _ in 0..2 {
        assert_eq!(run.once(&failed(&run)), ["AttemptFailed"]);
        assert_eq!(run.refused(&run.plan_sync()), Rejection::TooEarly);
        run.pass_time(60_000);
        assert_eq!(run.once(&run.plan_sync()), ["AttemptStarted", "SyncPlanned"]);
    }
    let events = run.expect(&failed(&run));
    assert_eq!(events, ["AttemptFailed", "SandboxReleased", "SpecFailed"]);
    assert_eq!(run.spec.failure().unwrap().kind, FailureKind::Sync);
    assert!(run.spec.accepted(Phase::Tasks).is_some());
}

#[test]
fn goes_on_without_its_sandbox() {
    let mut run = in_sync();
    assert_eq!(run.once(&run.kill()), ["SandboxLost"]);
    assert_eq!(run.expect(&run.complete_sync()).last(), Some(&"SpecCompleted"));
}

#[test]
fn a_time_out_of_a_sync_is_tried_again() {
    let mut run = in_sync();
    run.pass_time(120_000);
    let events = run.once(&run.time_out(Usage::default()));
    assert_eq!(events, ["AttemptFailed", "SandboxReleased"]);
    run.pass_time(60_000);
    run.expect(&run.plan_sync());
    assert_eq!(run.expect(&run.complete_sync()).last(), Some(&"SpecCompleted"));
}
