//! One sample of every event of a ticket, and of every variant inside.

use specline_aggregates::task::Outcome;
use specline_aggregates::ticket::{Event, Status, WorkflowMode};

use super::Sample;
use crate::kit::spec_id;
use crate::task::task_id;
use crate::ticket::{request, ticket_id};

pub(super) fn samples() -> Vec<Sample<Event>> {
    let mut full = request("Limit");
    full.spec = Some(spec_id());
    full.local_id = Some("TKT-001".to_owned());
    full.requirements = vec!["REQ-001".to_owned()];
    full.workflow_mode = WorkflowMode::SpecDriven;
    let (by, reason) = ("ada".to_owned(), "no need".to_owned());
    let mut all = vec![
        ("", opened(request("Limit"))),
        ("full", opened(full.clone())),
        ("", Event::TicketRevised { digest: full.digest(), request: Box::new(full) }),
        ("", Event::SpecLinked { spec: spec_id() }),
        ("", Event::TaskLinked { task: task_id(1) }),
        ("", Event::TicketBlocked { reason: "1 of its tasks failed".to_owned() }),
        ("", Event::TicketUnblocked {}),
        ("", Event::TicketCommented { by: by.clone(), text: "Nice.".to_owned() }),
        ("", Event::TicketDone {}),
        ("", Event::TicketCancelled { by, reason }),
    ];
    let outcomes = [
        ("open", None),
        ("completed", Some(Outcome::Completed)),
        ("failed", Some(Outcome::Failed)),
        ("cancelled", Some(Outcome::Cancelled)),
    ];
    let noted = |outcome| Event::TaskOutcomeNoted { task: task_id(1), outcome };
    all.extend(outcomes.map(|(name, outcome)| (name, noted(outcome))));
    let stages = [Status::Backlog, Status::Analyzing, Status::Building, Status::Testing];
    let moved = |to: Status| Event::TicketMoved { to, by: "ada".to_owned() };
    all.extend(stages.map(|to| (to.as_str(), moved(to))));
    all
}

fn opened(request: specline_aggregates::ticket::Request) -> Event {
    let digest = request.digest();
    Event::TicketOpened { ticket: ticket_id(), request: Box::new(request), digest }
}
