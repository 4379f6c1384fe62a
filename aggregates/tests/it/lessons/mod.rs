//! The faults seen elsewhere that the domain makes impossible, each under its number.

use std::collections::{BTreeMap, BTreeSet};

use specline_aggregates::spec::command::{
    CancelSpec, ResumeExecution, RetryFromPhase, StartExecution,
};
use specline_aggregates::spec::{Command, Event, FailureKind, LossCause, Rejection, Status};
use specline_aggregates::{Budget, Phase, Policy, RequirementId, TaskId, TicketId, Usage};

use crate::kit::{Run, epoch, failing, manifest_ref, passing, spec_id, tokens};

fn retry(phase: Phase, budget: Option<Budget>) -> Command {
    let (by, reason) = ("ada".to_owned(), "again".to_owned());
    Command::Retry(RetryFromPhase { phase, by, reason, budget, manifest: None })
}

#[test]
fn lesson_01_later_phases_get_the_accepted_outputs_of_the_earlier_ones() {
    let run = Run::at(Phase::Tasks, Policy::default());
    let context = run.spec.context(Phase::Tasks, &BTreeMap::new()).unwrap();
    let given: Vec<_> = context.outputs.iter().map(|(p, json)| (*p, json.text())).collect();
    let phases = [Phase::Explore, Phase::Requirements, Phase::Design];
    let outputs = phases.map(|phase| (phase, passing(phase)));
    let accepted: Vec<_> = outputs.iter().map(|(p, json)| (*p, json.text())).collect();
    assert_eq!(given, accepted);
    assert_eq!(context.spec.description, "Add rate limiting to the public API");
}

#[test]
fn lesson_01_a_blob_that_is_missing_is_an_error_and_no_empty_input() {
    let mut run = Run::working(Policy::default());
    let text = passing(Phase::Explore).text().to_owned();
    let padded = format!("{}{}}}", &text[..text.len() - 1], " ".repeat(600 * 1024));
    run.expect(&run.submit(specline_aggregates::RawJson::parse(padded).unwrap()));
    let missing = run.spec.context(Phase::Requirements, &BTreeMap::new());
    assert_eq!(missing.unwrap_err().code(), "corrupt");
    assert_eq!(run.spec.needed_blobs().len(), 1);
}

#[test]
fn lesson_03_resume_starts_at_the_first_phase_without_a_checkpoint() {
    let mut run = Run::at(Phase::Design, Policy::default());
    run.expect(&pause());
    run.expect(&run.kill());
    let events = run.ask(&resume(&run)).unwrap();
    let Event::ExecutionResumed { phase, .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!(*phase, Phase::Design);
    let Event::SandboxRequested { phase, .. } = &events[1] else { panic!("{events:?}") };
    assert_eq!(*phase, Phase::Design);
}

#[test]
fn lesson_03_a_crash_runs_no_finished_phase_again() {
    let mut run = Run::at(Phase::Design, Policy::default());
    assert_eq!(run.once(&run.kill()), ["SandboxLost", "SandboxRequested"]);
    run.begin();
    assert_eq!(run.phase(), Phase::Design);
    let started = |phase| {
        let of = |e: &&Event| matches!(e, Event::AttemptStarted { phase: p, .. } if *p == phase);
        run.events.iter().filter(of).count()
    };
    assert_eq!([Phase::Explore, Phase::Requirements, Phase::Design].map(started), [1, 1, 2]);
}

#[test]
fn lesson_05_a_first_phase_that_fails_ends_failed_and_can_be_retried() {
    let mut run = Run::working(Policy::default());
    for _ in 0..2 {
        run.expect(&run.report(FailureKind::AgentError, Usage::default()));
        run.pass_time(60_000);
        run.expect(&run.start_attempt());
    }
    let last = run.expect(&run.report(FailureKind::AgentError, Usage::default()));
    assert_eq!(last, ["AttemptFailed", "SandboxReleased", "SpecFailed"]);
    assert_eq!(run.spec.status(), Status::Failed);
    let again = Command::Start(StartExecution { manifest: manifest_ref() });
    assert_eq!(run.refused(&again), Rejection::Ended { status: Status::Failed });
    let events = run.expect(&retry(Phase::Explore, None));
    assert_eq!(events, ["PhaseReopened", "ExecutionStarted", "SandboxRequested"]);
    run.begin();
    run.pass();
    assert_eq!(run.phase(), Phase::Requirements);
}

#[test]
fn lesson_09_a_late_recoverer_changes_nothing() {
    let mut run = Run::working(Policy::default());
    let late_loss = run.kill();
    let late_output = run.submit(passing(Phase::Explore));
    run.expect(&run.kill());
    run.begin();
    assert_eq!(run.expect(&late_loss), Vec::<&str>::new());
    let stale = Rejection::StaleEpoch { given: epoch(1), current: epoch(2) };
    assert_eq!(run.refused(&late_output), stale);
    assert_eq!(run.spec.accepted(Phase::Explore), None);
}

#[test]
fn lesson_15_losses_are_bounded() {
    let mut run = Run::started(Policy::default());
    for _ in 0..5 {
        assert_eq!(run.once(&run.kill()), ["SandboxLost", "SandboxRequested"]);
    }
    assert_eq!(run.expect(&run.kill()), ["SandboxLost", "SpecFailed"]);
    assert_eq!(run.spec.failure().unwrap().kind, FailureKind::SandboxLost);
}

#[test]
fn lesson_15_a_stop_of_the_engine_is_no_loss() {
    let mut run = Run::started(Policy::default());
    for _ in 0..20 {
        let events = run.expect(&run.lose(LossCause::Shutdown, Usage::default()));
        assert_eq!(events, ["SandboxLost", "SandboxRequested"]);
    }
}

#[test]
fn lesson_15_a_worker_cannot_name_a_failure_that_uses_up_no_attempt() {
    let mut run = Run::working(Policy::default());
    let refused = run.refused(&run.report(FailureKind::Rejected, Usage::default()));
    assert_eq!(refused.code(), "invalid_input");
}

#[test]
fn lesson_19_two_executes_start_one_run() {
    let mut run = Run::drafted(Policy::default());
    let execute = Command::Start(StartExecution { manifest: manifest_ref() });
    assert_eq!(run.once(&execute), ["ExecutionStarted", "SandboxRequested"]);
    assert_eq!((run.spec.run(), run.spec.epoch()), (1, epoch(1)));
}

#[test]
fn lesson_21_generated_ids_are_real_and_the_same_each_time() {
    let run = Run::at(Phase::Sync, Policy::default());
    let earlier = run.spec.earlier(Phase::Sync, &BTreeMap::new()).unwrap();
    let (requirements, tasks) = (earlier.requirements.unwrap(), earlier.tasks.unwrap());
    let ids = run.spec.sync_ids(&requirements, &tasks).unwrap();
    assert_eq!(run.spec.sync_ids(&requirements, &tasks), Some(ids.clone()));
    let real = |kind: &str, local: &str| spec_id().derive(kind, local);
    let first: RequirementId = real("requirement", &requirements.requirements[0].id).into();
    assert_eq!(ids.requirements[&requirements.requirements[0].id], first);
    assert_eq!(ids.tickets[&tasks.tickets[0].id], TicketId::new(real("ticket", "TKT-001")));
    for task in &tasks.tasks {
        for needed in &task.depends_on {
            assert_eq!(ids.tasks[needed], TaskId::new(real("task", needed)));
        }
    }
    let distinct: BTreeSet<_> = ids.tasks.values().collect();
    assert_eq!(distinct.len(), tasks.tasks.len());
}

#[test]
fn lesson_23_nothing_late_revives_a_cancelled_spec() {
    for phase in [Phase::Explore, Phase::Sync] {
        let mut run = Run::at(phase, Policy::default());
        if phase == Phase::Sync {
            run.expect(&run.plan_sync());
        }
        let late = [run.start_attempt(), run.attach(1), run.submit(passing(phase))];
        let cancel = CancelSpec { by: "ada".to_owned(), reason: "no need".to_owned() };
        run.once(&Command::Cancel(cancel));
        run.pass_time(86_400_000);
        for command in late.into_iter().chain([run.plan_sync(), run.complete_sync()]) {
            assert_eq!(run.refused(&command).code(), "spec_ended", "{command:?}");
        }
        for command in [run.time_out(tokens(5)), run.kill()] {
            assert_eq!(run.expect(&command), Vec::<&str>::new(), "{command:?}");
        }
        assert_eq!(run.spec.status(), Status::Cancelled);
    }
}

#[test]
fn lesson_35_an_approval_is_read_and_approving_goes_on() {
    let approvals = BTreeSet::from([Phase::Explore]);
    let mut run = Run::working(Policy { approvals, ..Policy::default() });
    let submitted = run.pass();
    let asked = ["OutputSubmitted", "VerdictRecorded", "ApprovalRequested", "SandboxReleased"];
    assert_eq!(submitted, asked);
    assert_eq!(run.spec.status(), Status::AwaitingApproval);
    assert_eq!(run.spec.accepted(Phase::Explore), None);
    let digest = run.awaited();
    let events = run.once(&run.approve(Phase::Explore, digest));
    let done = ["PhaseApproved", "CheckpointSaved", "PhaseCompleted", "SandboxRequested"];
    assert_eq!(events, done);
    assert_eq!((run.spec.status(), run.phase()), (Status::Executing, Phase::Requirements));
    let execute = Command::Start(StartExecution { manifest: manifest_ref() });
    assert_eq!(run.expect(&execute), Vec::<&str>::new());
}

#[test]
fn lesson_36_usage_is_summed_over_all_attempts_and_the_budget_is_the_specs() {
    let budget = Budget { tokens: Some(100), cost_micro_usd: None };
    let mut run = Run::working(Policy { budget, ..Policy::default() });
    run.expect(&run.report(FailureKind::AgentError, tokens(20)));
    run.pass_time(60_000);
    run.expect(&run.start_attempt());
    run.expect(&run.submit_using(failing(Phase::Explore), tokens(30)));
    run.pass_time(60_000);
    run.expect(&run.start_attempt());
    // The sandbox has used 60 in all, of which 50 stand in events.
    run.expect(&run.lose(LossCause::LeaseExpired, tokens(60)));
    assert_eq!(run.spec.usage(), tokens(60));
    run.begin();
    run.expect(&run.submit_using(passing(Phase::Explore), tokens(41)));
    assert_eq!(run.spec.usage(), tokens(101));
    assert_eq!(run.spec.usage(), run.spent());
    assert_eq!(run.spec.failure().unwrap().kind, FailureKind::Budget);
    assert!(run.spec.accepted(Phase::Explore).is_some(), "what was paid for is kept");
    assert_eq!(run.refused(&retry(Phase::Requirements, None)).code(), "budget_exceeded");
    let more = Budget { tokens: Some(1_000), cost_micro_usd: None };
    run.expect(&retry(Phase::Requirements, Some(more)));
    assert_eq!(run.spec.status(), Status::Executing);
    assert_eq!(run.spec.usage(), tokens(101), "a retry forgets no cost");
}

fn pause() -> Command {
    crate::spec::pause()
}

fn resume(run: &Run) -> Command {
    Command::Resume(ResumeExecution { by: "ada".to_owned(), wait: run.wait() })
}
