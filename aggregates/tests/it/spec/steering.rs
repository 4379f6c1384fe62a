//! DraftSpec, ReviseSpec, StartExecution, PauseExecution, ResumeExecution, RetryFromPhase,
//! CancelSpec, ForkSpec, LinkTicket and Comment.

use std::collections::{BTreeMap, BTreeSet};

use specline_aggregates::spec::command::{
    Comment, DraftSpec, ForkSpec, ReviseSpec, StartExecution,
};
use specline_aggregates::spec::{Brief, Command, Rejection, Status};
use specline_aggregates::{Digest, GatePolicy, Limits, Phase, Policy, Usage, derive_id};

use super::{NOTHING, cancel, comment, link, pause, resume, retry};
use crate::kit::{Run, brief, manifest_ref, spec_id, tokens};

pub fn revise(title: Option<&str>, description: Option<&str>) -> Command {
    Command::Revise(ReviseSpec {
        title: title.map(str::to_owned),
        description: description.map(str::to_owned),
        by: "ada".to_owned(),
    })
}

pub fn start() -> Command {
    Command::Start(StartExecution { manifest: manifest_ref() })
}

pub fn draft(brief: Brief, policy: Policy) -> Command {
    Command::Draft(Box::new(DraftSpec { spec: spec_id(), brief, policy }))
}

fn fork(source: &Run) -> Command {
    Command::Fork(Box::new(ForkSpec {
        spec: derive_id(&["fork"]).into(),
        source: source.spec.clone(),
        source_hash: Digest::of(b"hash"),
    }))
}

#[test]
fn a_draft_is_made_once() {
    let mut run = Run::drafted(Policy::default());
    assert_eq!(run.spec.status(), Status::Draft);
    assert_eq!(run.refused(&draft(brief(), Policy::default())), Rejection::AlreadyExists);
    let run_of = |run: &Run| fork(run);
    assert_eq!(run.refused(&run_of(&run)), Rejection::AlreadyExists);
}

#[test]
fn a_draft_that_could_never_work_is_refused() {
    let limits = |time_ms, attempts| Policy {
        limits: BTreeMap::from([(Phase::Explore, Limits { time_ms, turns: 1, attempts })]),
        ..Policy::default()
    };
    let agent = |agent: &str| Policy { agent: agent.to_owned(), ..Policy::default() };
    let threshold = GatePolicy { threshold: 1_001, ..GatePolicy::default() };
    let policies = [
        limits(0, 1),
        limits(1, 0),
        agent("a model"),
        agent(""),
        agent("../gpt"),
        agent(&"x".repeat(65)),
        agent("command: "),
        Policy { gate: threshold, ..Policy::default() },
        Policy { lease_ms: 1, ..Policy::default() },
        Policy { sandbox: "cloud".to_owned(), ..Policy::default() },
        Policy { approvals: BTreeSet::from([Phase::Sync]), ..Policy::default() },
    ];
    for policy in policies {
        let refused = Run::empty().refused(&draft(brief(), policy));
        assert_eq!(refused.code(), "invalid_input", "{refused}");
    }
    for (title, description) in [(" ", "x"), ("x", ""), (&*"x".repeat(501), "x")] {
        let (title, description) = (title.to_owned(), description.to_owned());
        let brief = Brief { title, description, ..brief() };
        let refused = Run::empty().refused(&draft(brief, Policy::default()));
        assert_eq!(refused.code(), "invalid_input", "{refused}");
    }
}

#[test]
fn a_new_title_makes_nothing_stale_and_a_new_description_everything() {
    let mut run = Run::at(Phase::Design, Policy::default());
    assert_eq!(run.once(&revise(Some("Limit"), None)), ["SpecRevised"]);
    assert!(run.spec.accepted(Phase::Requirements).is_some());
    assert_eq!(run.refused(&revise(None, Some(" "))).code(), "invalid_input");
    let events = run.once(&revise(None, Some("Limit each key")));
    let expected =
        ["SpecRevised", "SandboxReleased", "PhaseReopened", "ExecutionStarted", "SandboxRequested"];
    assert_eq!(events, expected);
    assert_eq!(run.spec.first_open_phase(), Some(Phase::Explore));
    let mut run = Run::drafted(Policy::default());
    assert_eq!(run.once(&revise(None, Some("Limit each key"))), ["SpecRevised"]);
    assert_eq!(run.spec.status(), Status::Draft);
}

#[test]
fn a_revision_of_a_paused_spec_leaves_it_paused_and_of_an_ended_one_is_refused() {
    let mut run = Run::at(Phase::Design, Policy::default());
    run.expect(&pause());
    let events = run.once(&revise(None, Some("Limit each key")));
    assert_eq!(events.last(), Some(&"ExecutionPaused"));
    assert_eq!(run.spec.status(), Status::Paused);
    run.expect(&cancel());
    for command in [revise(Some("Limit"), None), revise(None, Some("Limit all"))] {
        assert_eq!(run.refused(&command).code(), "spec_ended");
    }
}

#[test]
fn execute_needs_a_draft() {
    let mut run = Run::working(Policy::default());
    run.expect(&pause());
    assert_eq!(run.refused(&start()), Rejection::Paused);
    run.expect(&cancel());
    assert_eq!(run.refused(&start()), Rejection::Ended { status: Status::Cancelled });
}

#[test]
fn pause_and_resume() {
    let mut run = Run::drafted(Policy::default());
    assert_eq!(run.refused(&pause()).code(), "wrong_status");
    assert_eq!(run.refused(&resume(&run)).code(), "wrong_status");
    run.expect(&start());
    assert_eq!(run.expect(&resume(&run)), NOTHING);
    assert_eq!(run.once(&pause()), ["ExecutionPaused", "SandboxReleased"]);
    assert_eq!(run.once(&resume(&run)), ["ExecutionResumed", "SandboxRequested"]);
    run.expect(&cancel());
    assert_eq!(run.refused(&pause()).code(), "spec_ended");
    assert_eq!(run.refused(&resume(&run)).code(), "spec_ended");
}

#[test]
fn a_resume_goes_on_with_the_sandbox_that_still_works() {
    let mut run = Run::working(Policy::default());
    run.expect(&pause());
    assert_eq!(run.expect(&resume(&run)), ["ExecutionResumed"]);
    run.pass();
    assert_eq!(run.phase(), Phase::Requirements);
}

#[test]
fn a_resume_over_the_budget_says_so() {
    let mut run = Run::working(Policy {
        budget: specline_aggregates::Budget { tokens: Some(10), cost_micro_usd: None },
        ..Policy::default()
    });
    run.expect(&pause());
    run.expect(&run.lose(specline_aggregates::spec::LossCause::LeaseExpired, tokens(11)));
    assert_eq!(run.refused(&resume(&run)).code(), "budget_exceeded");
    assert_eq!(run.spec.status(), Status::Paused);
}

#[test]
fn a_retry_reaches_back_and_never_ahead() {
    let mut run = Run::drafted(Policy::default());
    assert_eq!(run.refused(&retry(Phase::Explore, None)).code(), "wrong_status");
    let mut run = Run::at(Phase::Design, Policy::default());
    assert_eq!(run.refused(&retry(Phase::Tasks, None)).code(), "phase_not_reachable");
    let events = run.expect(&retry(Phase::Requirements, None));
    let expected = ["SandboxReleased", "PhaseReopened", "ExecutionStarted", "SandboxRequested"];
    assert_eq!(events, expected);
    assert!(run.spec.accepted(Phase::Explore).is_some());
    assert_eq!((run.spec.run(), run.phase()), (2, Phase::Requirements));
    let mut run = Run::completed(Policy::default());
    assert_eq!(run.expect(&retry(Phase::Sync, None)), ["PhaseReopened", "ExecutionStarted"]);
    assert_eq!(run.spec.status(), Status::Executing);
}

#[test]
fn a_cancel_ends_it_once_and_only_what_has_not_ended() {
    let mut run = Run::working(Policy::default());
    assert_eq!(run.once(&cancel()), ["SandboxReleased", "SpecCancelled"]);
    let mut run = Run::completed(Policy::default());
    assert_eq!(run.refused(&cancel()).code(), "spec_ended");
    let mut run = Run::working(Policy::default());
    let missing = specline_aggregates::spec::FailureKind::Configuration;
    run.expect(&run.report(missing, Usage::default()));
    assert_eq!(run.refused(&cancel()), Rejection::Ended { status: Status::Failed });
}

#[test]
fn what_a_sandbox_used_is_recorded_when_it_is_let_go() {
    for command in [cancel(), retry(Phase::Explore, None), revise(None, Some("another"))] {
        let mut run = Run::working(Policy::default());
        run.expect(&Command::Steer(Box::new(command), tokens(70)));
        assert_eq!(run.spec.usage(), tokens(70));
        assert_eq!(run.spec.phase_state(Phase::Explore).map(|phase| phase.usage), Some(tokens(70)));
        assert_eq!(run.spent(), tokens(70));
    }
}

#[test]
fn notes_can_be_added_at_any_time() {
    for mut run in [Run::drafted(Policy::default()), Run::completed(Policy::default())] {
        assert_eq!(run.once(&link()), ["TicketLinked"]);
        assert_eq!(run.expect(&comment()), ["CommentAdded"]);
        let empty = Comment { by: "ada".to_owned(), text: "\n".to_owned() };
        assert_eq!(run.refused(&Command::Comment(empty)).code(), "invalid_input");
    }
}

#[test]
fn a_fork_can_be_made_of_every_past_state_and_runs_on_from_there() {
    let source = Run::completed(Policy::default());
    let mut past = Run::empty();
    for event in &source.events {
        past.spec.evolve(event).unwrap();
        let mut forked = Run::empty();
        assert_eq!(forked.expect(&fork(&past)), ["SpecForked"]);
        assert_eq!(forked.spec.forked_from(), Some((spec_id(), past.spec.version())));
        assert_eq!((forked.spec.status(), forked.spec.usage()), (Status::Draft, Usage::default()));
        let open =
            Phase::ALL.into_iter().find(|p| !p.needs_agent() || past.spec.accepted(*p).is_none());
        forked.expect(&start());
        assert_eq!(forked.spec.phase(), open);
        while forked.phase().needs_agent() {
            forked.begin();
            forked.pass();
        }
        forked.expect(&forked.plan_sync());
        forked.expect(&forked.complete_sync());
        assert_eq!(forked.spec.status(), Status::Completed);
    }
    assert_eq!(Run::empty().refused(&fork(&Run::empty())), Rejection::NotFound);
}
