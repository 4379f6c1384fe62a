//! EditOutput in every status.

use specline_aggregates::spec::{Event, Status};
use specline_aggregates::{Phase, Policy, RawJson};

use super::approvals::{policy, waiting};
use super::{NOTHING, cancel, pause, resume};
use crate::kit::{Run, failing, passing};

/// Passes, and is not the example's own text.
fn edited(phase: Phase) -> RawJson {
    RawJson::parse(format!("{} ", passing(phase).text()).replacen('{', "{ ", 1)).unwrap()
}

#[test]
fn is_refused_before_the_start_after_a_cancel_for_sync_and_out_of_order() {
    let mut run = Run::drafted(Policy::default());
    let edit = run.edit(Phase::Explore, edited(Phase::Explore));
    assert_eq!(run.refused(&edit).code(), "wrong_status");
    let mut run = Run::working(Policy::default());
    assert_eq!(run.refused(&run.edit(Phase::Sync, edited(Phase::Tasks))).code(), "invalid_input");
    let later = run.edit(Phase::Design, edited(Phase::Design));
    assert_eq!(run.refused(&later).code(), "phase_not_reachable");
    let bad = run.edit(Phase::Explore, failing(Phase::Explore));
    assert_eq!(run.refused(&bad).code(), "gate_failed");
    run.expect(&cancel());
    assert_eq!(run.refused(&edit).code(), "spec_ended");
}

#[test]
fn an_accepted_output_is_replaced_and_only_the_later_phases_begin_again() {
    let mut run = Run::at(Phase::Tasks, Policy::default());
    let explored = run.spec.accepted(Phase::Explore).cloned();
    let edit = run.edit(Phase::Requirements, edited(Phase::Requirements));
    let events = run.once(&edit);
    let expected = [
        "SandboxReleased",
        "OutputSubmitted",
        "VerdictRecorded",
        "CheckpointSaved",
        "PhaseCompleted",
        "PhaseReopened",
        "ExecutionStarted",
        "SandboxRequested",
    ];
    assert_eq!(events, expected);
    assert_eq!((run.spec.status(), run.phase()), (Status::Executing, Phase::Design));
    assert_eq!(run.spec.accepted(Phase::Explore).cloned(), explored);
    assert_eq!(run.spec.accepted(Phase::Design), None);
    let accepted = run.spec.accepted(Phase::Requirements).unwrap();
    let at = usize::try_from(accepted.sequence).unwrap() - 1;
    let Event::OutputSubmitted { by, digest, .. } = &run.events[at] else {
        panic!("{:?}", run.events[at])
    };
    assert_eq!((by.as_str(), *digest), ("ada", accepted.digest));
}

#[test]
fn an_open_phase_can_be_done_by_hand() {
    let mut run = Run::working(Policy::default());
    run.expect(&run.edit(Phase::Explore, edited(Phase::Explore)));
    assert_eq!(run.phase(), Phase::Requirements);
    run.begin();
}

#[test]
fn a_paused_failed_or_completed_spec_waits_for_a_resume() {
    let mut paused = Run::at(Phase::Design, Policy::default());
    paused.expect(&pause());
    let mut failed = Run::at(Phase::Design, Policy::default());
    failed.expect(&failed.report(
        specline_aggregates::spec::FailureKind::Configuration,
        specline_aggregates::Usage::default(),
    ));
    for mut run in [paused, failed, Run::completed(Policy::default())] {
        let edit = run.edit(Phase::Requirements, edited(Phase::Requirements));
        assert_eq!(run.once(&edit).last(), Some(&"ExecutionPaused"));
        assert_eq!(run.spec.status(), Status::Paused);
        assert_eq!(run.expect(&resume(&run)), ["ExecutionResumed", "SandboxRequested"]);
        assert_eq!(run.phase(), Phase::Design);
    }
}

#[test]
fn lesson_37_an_edit_is_no_way_around_an_approval() {
    let mut run = Run::working(policy());
    let edit = run.edit(Phase::Explore, edited(Phase::Explore));
    assert_eq!(run.once(&edit).last(), Some(&"ApprovalRequested"));
    assert_eq!(run.spec.accepted(Phase::Explore), None);
    let digest = run.awaited();
    run.expect(&run.approve(Phase::Explore, digest));
    assert_eq!(run.phase(), Phase::Requirements);

    let mut run = waiting();
    run.expect(&pause());
    run.expect(&run.edit(Phase::Explore, edited(Phase::Explore)));
    assert_eq!(run.spec.status(), Status::Paused);
    assert_eq!(run.expect(&resume(&run)), ["ExecutionResumed", "ApprovalRequested"]);
}

#[test]
fn an_edit_of_what_waits_for_approval_is_asked_about_in_its_place() {
    let mut run = waiting();
    let old = run.awaited();
    let same = run.edit(Phase::Explore, passing(Phase::Explore));
    assert_eq!(run.expect(&same), NOTHING);
    let edit = run.edit(Phase::Explore, edited(Phase::Explore));
    let events = run.once(&edit);
    assert_eq!(events, ["OutputSubmitted", "VerdictRecorded", "ApprovalRequested"]);
    assert_eq!(run.refused(&run.approve(Phase::Explore, old)).code(), "digest_mismatch");
    let digest = run.awaited();
    run.expect(&run.reject(Phase::Explore, digest));
    assert_eq!(run.spec.current().unwrap().used_attempts, 0);
}
