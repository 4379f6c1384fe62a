//! Given, when, then for every command of a spec: accepted, repeated, refused.

mod approvals;
mod attempts;
mod edits;
pub mod evaluators;
pub mod steering;
mod sync;

use cqrs_es::test::TestFramework;
use specline_aggregates::Policy;
use specline_aggregates::spec::command::{
    CancelSpec, Comment, LinkTicket, PauseExecution, ResumeExecution, RetryFromPhase,
};
use specline_aggregates::spec::{Command, Rejection, Spec};
use specline_aggregates::{Budget, Phase};

use crate::kit::{Run, spec_id};

pub fn pause() -> Command {
    let (by, reason) = ("ada".to_owned(), "lunch".to_owned());
    Command::Pause(PauseExecution { by, reason })
}

pub fn cancel() -> Command {
    Command::Cancel(CancelSpec { by: "ada".to_owned(), reason: "no need".to_owned() })
}

pub fn resume(run: &Run) -> Command {
    Command::Resume(ResumeExecution { by: "ada".to_owned(), wait: run.wait() })
}

pub fn retry(phase: Phase, budget: Option<Budget>) -> Command {
    let (by, reason) = ("ada".to_owned(), "again".to_owned());
    Command::Retry(RetryFromPhase { phase, by, reason, budget, manifest: None })
}

pub fn link() -> Command {
    Command::LinkTicket(LinkTicket { ticket: spec_id().derive("ticket", "TKT-009").into() })
}

pub fn comment() -> Command {
    Command::Comment(Comment { by: "ada".to_owned(), text: "Nice.".to_owned() })
}

pub const NOTHING: [&str; 0] = [];

#[test]
fn the_stock_framework_agrees() {
    let run = Run::completed(Policy::default());
    let mut replayed = Run::empty();
    for event in &run.events {
        replayed.spec.evolve(event).unwrap();
    }
    assert_eq!(replayed.spec, run.spec);
    let given = TestFramework::<Spec>::with(()).given(run.events.clone());
    given.when(cancel()).then_expect_error(Rejection::Ended { status: run.spec.status() });
    let mut noted = run.clone();
    let events = noted.ask(&link()).unwrap();
    TestFramework::<Spec>::with(()).given(run.events).when(link()).then_expect_events(events);
}

#[test]
fn nothing_can_be_asked_of_a_spec_that_is_not_there() {
    let commands = [pause(), cancel(), retry(Phase::Explore, None), link(), comment()];
    for command in commands {
        let none = TestFramework::<Spec>::with(()).given_no_previous_events();
        none.when(command).then_expect_error(Rejection::NotFound);
    }
}

#[test]
fn a_state_that_took_an_impossible_event_decides_nothing_more() {
    let run = Run::started(Policy::default());
    let doubled = run.events.iter().chain([&run.events[0]]).cloned().collect();
    let broken = TestFramework::<Spec>::with(()).given(doubled).when(cancel()).inspect_result();
    assert_eq!(broken.unwrap_err().code(), "corrupt");
}
