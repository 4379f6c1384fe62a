//! Given, when, then for every command of a ticket.

use cqrs_es::test::TestFramework;
use specline_aggregates::output::Priority;
use specline_aggregates::task::Outcome;
use specline_aggregates::ticket::{
    Command, Event, Rejection, Request, Status, Ticket, WorkflowMode,
};
use specline_aggregates::{ProjectId, TicketId, derive_id};

use crate::kit::spec_id;
use crate::task::task_id;

pub fn ticket_id() -> TicketId {
    derive_id(&["ticket"]).into()
}

pub fn request(title: &str) -> Request {
    Request {
        project: ProjectId::of_repository("/home/ada/links"),
        title: title.to_owned(),
        description: String::new(),
        priority: Priority::Medium,
        workflow_mode: WorkflowMode::Quick,
        spec: None,
        local_id: None,
        requirements: Vec::new(),
    }
}

pub fn open(title: &str) -> Command {
    Command::Open { ticket: ticket_id(), request: Box::new(request(title)) }
}

pub fn note(n: u8, outcome: impl Into<Option<Outcome>>) -> Command {
    Command::NoteOutcome { task: task_id(n), outcome: outcome.into() }
}

pub fn move_to(to: Status) -> Command {
    Command::Move { to, by: "ada".to_owned() }
}

pub fn cancel(by: &str) -> Command {
    Command::Cancel { by: by.to_owned(), reason: "no need".to_owned() }
}

/// A ticket with all its events.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub ticket: Ticket,
    pub events: Vec<Event>,
}

impl Run {
    /// Open, with tasks 1 and 2.
    pub fn with_tasks() -> Self {
        let mut run = Self::default();
        assert_eq!(run.once(&open("Limit")), ["TicketOpened"]);
        for n in [1, 2] {
            assert_eq!(run.once(&Command::LinkTask { task: task_id(n) }), ["TaskLinked"]);
        }
        run
    }

    pub fn ask(&mut self, command: &Command) -> Result<Vec<Event>, Rejection> {
        let events = self.ticket.decide(command)?;
        for event in &events {
            self.ticket.evolve(event).unwrap();
        }
        self.events.extend(events.iter().cloned());
        Ok(events)
    }

    fn expect(&mut self, command: &Command) -> Vec<&'static str> {
        self.ask(command).unwrap().iter().map(Event::name).collect()
    }

    fn once(&mut self, command: &Command) -> Vec<&'static str> {
        let events = self.expect(command);
        assert!(!events.is_empty(), "{command:?} did nothing");
        assert_eq!(self.expect(command), Vec::<&str>::new(), "{command:?} was not idempotent");
        events
    }
}

#[test]
fn the_stock_framework_agrees() {
    let run = Run::with_tasks();
    let cancelled = Event::TicketCancelled { by: "ada".to_owned(), reason: "no need".to_owned() };
    let given = TestFramework::<Ticket>::with(()).given(run.events);
    given.when(cancel("ada")).then_expect_events(vec![cancelled]);
    let none = TestFramework::<Ticket>::with(()).given_no_previous_events();
    none.when(cancel("ada")).then_expect_error(Rejection::NotFound);
}

#[test]
fn is_revised_linked_moved_and_commented() {
    let mut run = Run::with_tasks();
    assert_eq!(run.once(&open("Limit all")), ["TicketRevised"]);
    assert_eq!(run.once(&Command::LinkSpec { spec: spec_id() }), ["SpecLinked"]);
    assert_eq!(run.ticket.spec(), Some(spec_id()));
    assert_eq!(run.once(&move_to(Status::Analyzing)), ["TicketMoved"]);
    let comment = |text: &str| Command::Comment { by: "ada".to_owned(), text: text.to_owned() };
    assert_eq!(run.expect(&comment("Nice.")), ["TicketCommented"]);
    assert_eq!(run.ask(&comment(" ")).unwrap_err().code(), "invalid_input");
    assert_eq!(run.ask(&move_to(Status::Cancelled)).unwrap_err().code(), "invalid_input");
}

#[test]
fn lesson_22_one_finished_task_does_not_close_the_ticket() {
    let mut run = Run::with_tasks();
    assert_eq!(run.once(&note(1, Outcome::Completed)), ["TaskOutcomeNoted"]);
    let refused = run.ask(&move_to(Status::Done)).unwrap_err();
    assert_eq!(refused, Rejection::TasksOpen { open: 1 });
    assert_ne!(run.ticket.status(), Status::Done);
    assert_eq!(run.once(&note(2, Outcome::Completed)), ["TaskOutcomeNoted", "TicketDone"]);
    assert_eq!(run.ticket.status(), Status::Done);
}

#[test]
fn a_failed_task_blocks_it_until_it_is_taken_up_again() {
    let mut run = Run::with_tasks();
    assert_eq!(run.once(&note(1, Outcome::Failed)), ["TaskOutcomeNoted", "TicketBlocked"]);
    assert_eq!(run.once(&note(2, Outcome::Completed)), ["TaskOutcomeNoted"]);
    assert_eq!(run.ticket.blocked(), Some("1 of its tasks failed"));
    assert_eq!(run.once(&note(1, None)), ["TaskOutcomeNoted", "TicketUnblocked"]);
    assert_eq!(run.once(&note(1, Outcome::Cancelled)), ["TaskOutcomeNoted", "TicketDone"]);
}

#[test]
fn a_done_ticket_with_new_work_is_not_done() {
    let mut run = Run::with_tasks();
    run.expect(&note(1, Outcome::Completed));
    run.expect(&note(2, Outcome::Completed));
    assert_eq!(run.once(&Command::LinkTask { task: task_id(3) }), ["TaskLinked", "TicketMoved"]);
    assert_eq!(run.ticket.status(), Status::Building);
    run.expect(&note(3, Outcome::Cancelled));
    assert_eq!(run.ticket.status(), Status::Done);
    assert_eq!(run.once(&note(3, None)), ["TaskOutcomeNoted", "TicketMoved"]);
}

#[test]
fn a_cancelled_ticket_stays_so_unless_the_engine_took_it_back() {
    let mut run = Run::with_tasks();
    assert_eq!(run.once(&cancel("ada")), ["TicketCancelled"]);
    assert_eq!(run.expect(&open("Limit all")), Vec::<&str>::new());
    assert_eq!(run.expect(&note(1, Outcome::Completed)), Vec::<&str>::new());
    assert_eq!(run.ask(&move_to(Status::Building)).unwrap_err().code(), "ticket_ended");
    let mut run = Run::with_tasks();
    run.expect(&cancel("engine"));
    assert_eq!(run.once(&open("Limit all")), ["TicketRevised", "TicketMoved"]);
    assert_eq!(run.ticket.status(), Status::Backlog);
}

#[test]
fn a_done_ticket_cannot_be_cancelled() {
    let mut run = Run::with_tasks();
    run.expect(&note(1, Outcome::Completed));
    run.expect(&note(2, Outcome::Completed));
    assert_eq!(run.ask(&cancel("ada")).unwrap_err().code(), "ticket_ended");
}
