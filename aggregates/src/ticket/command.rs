//! The commands of a ticket.

use super::event::{Event, Request, Status};
use super::state::{ENGINE, Ticket};
use crate::task::Outcome;
use crate::{Digest, RawJson, SpecId, TaskId, TicketId};

/// What can be asked of a ticket.
#[derive(Debug, Clone)]
pub enum Command {
    /// Makes it, or brings it to what the plan says now.
    Open {
        ticket: TicketId,
        request: Box<Request>,
    },
    Move {
        to: Status,
        by: String,
    },
    LinkSpec {
        spec: SpecId,
    },
    LinkTask {
        task: TaskId,
    },
    /// How one of its tasks ended; none = it was taken up again.
    NoteOutcome {
        task: TaskId,
        outcome: Option<Outcome>,
    },
    Comment {
        by: String,
        text: String,
    },
    Cancel {
        by: String,
        reason: String,
    },
}

/// A refused command. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such ticket")]
    NotFound,
    #[error("the ticket is {status}; it takes no more work")]
    Ended { status: &'static str },
    #[error("a ticket is done when all its tasks are: {open} are not")]
    TasksOpen { open: usize },
    #[error("{field}: {problem}")]
    InvalidInput { field: &'static str, problem: String },
    #[error("the replayed state is broken: {0}")]
    Broken(String),
}

impl Rejection {
    /// Stable code, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Ended { .. } => "ticket_ended",
            Self::TasksOpen { .. } => "tasks_open",
            Self::InvalidInput { .. } => "invalid_input",
            Self::Broken(_) => "corrupt",
        }
    }
}

type Decision = Result<Vec<Event>, Rejection>;

impl Request {
    /// Digest of the whole request.
    #[must_use]
    pub fn digest(&self) -> Digest {
        RawJson::of(self).expect("strings, numbers and lists are always valid JSON").digest()
    }
}

impl Ticket {
    /// Decides `command` on this state.
    pub fn decide(&self, command: &Command) -> Decision {
        if let Some(broken) = &self.broken {
            return Err(Rejection::Broken(broken.clone()));
        }
        if self.id.is_none() && !matches!(command, Command::Open { .. }) {
            return Err(Rejection::NotFound);
        }
        match command {
            Command::Open { ticket, request } => Ok(self.open(*ticket, request)),
            Command::Move { to, by } => self.move_to(*to, by),
            Command::LinkSpec { spec } => {
                let known = self.spec() == Some(*spec);
                Ok(if known { Vec::new() } else { vec![Event::SpecLinked { spec: *spec }] })
            }
            Command::LinkTask { task } => Ok(self.link_task(*task)),
            Command::NoteOutcome { task, outcome } => Ok(self.note(*task, *outcome)),
            Command::Comment { by, text } => {
                if text.trim().is_empty() {
                    let problem = "must not be empty".to_owned();
                    return Err(Rejection::InvalidInput { field: "text", problem });
                }
                Ok(vec![Event::TicketCommented { by: by.clone(), text: text.clone() }])
            }
            Command::Cancel { by, reason } => match self.status {
                Status::Cancelled => Ok(Vec::new()),
                Status::Done => Err(Rejection::Ended { status: self.status.as_str() }),
                Status::Backlog | Status::Analyzing | Status::Building | Status::Testing => {
                    let (by, reason) = (by.clone(), reason.clone());
                    Ok(vec![Event::TicketCancelled { by, reason }])
                }
            },
        }
    }

    fn open(&self, ticket: TicketId, request: &Request) -> Vec<Event> {
        let digest = request.digest();
        let request = Box::new(request.clone());
        if self.id.is_none() {
            return vec![Event::TicketOpened { ticket, request, digest }];
        }
        if self.status.is_ended() && !self.taken_back {
            return Vec::new();
        }
        let changed = self.digest != Some(digest);
        let revised = changed.then_some(Event::TicketRevised { request, digest });
        let moved = self.taken_back.then(|| moved(Status::Backlog, ENGINE));
        revised.into_iter().chain(moved).collect()
    }

    /// A finished ticket that gets another task is not finished.
    fn link_task(&self, task: TaskId) -> Vec<Event> {
        if self.tasks.contains_key(&task) {
            return Vec::new();
        }
        let again = self.status == Status::Done;
        let moved = again.then(|| moved(Status::Building, ENGINE));
        std::iter::once(Event::TaskLinked { task }).chain(moved).collect()
    }

    fn move_to(&self, to: Status, by: &str) -> Decision {
        if self.status == to {
            return Ok(Vec::new());
        }
        if self.status.is_ended() {
            return Err(Rejection::Ended { status: self.status.as_str() });
        }
        if to == Status::Cancelled {
            let problem = "cancel it, with a reason".to_owned();
            return Err(Rejection::InvalidInput { field: "to", problem });
        }
        if to == Status::Done {
            let open = self.tasks.values().filter(|outcome| is_open(**outcome)).count();
            if open > 0 {
                return Err(Rejection::TasksOpen { open });
            }
            return Ok(vec![Event::TicketDone {}]);
        }
        Ok(vec![moved(to, by)])
    }

    /// Done when ALL its tasks are completed, never because one is; blocked while one has failed.
    fn note(&self, task: TaskId, outcome: Option<Outcome>) -> Vec<Event> {
        let same = self.tasks.get(&task) == Some(&outcome);
        if same || self.status == Status::Cancelled {
            return Vec::new();
        }
        let mut events = vec![Event::TaskOutcomeNoted { task, outcome }];
        let mut tasks = self.tasks.clone();
        tasks.insert(task, outcome);
        let failed = tasks.values().filter(|o| **o == Some(Outcome::Failed)).count();
        let open = tasks.values().any(|outcome| is_open(*outcome));
        let finished = tasks.values().any(|o| *o == Some(Outcome::Completed));
        if failed > 0 && self.blocked.is_none() {
            events.push(Event::TicketBlocked { reason: format!("{failed} of its tasks failed") });
        } else if failed == 0 && self.blocked.is_some() {
            events.push(Event::TicketUnblocked {});
        }
        let done = self.status == Status::Done;
        if finished && !open && !done {
            events.push(Event::TicketDone {});
        } else if open && done {
            events.push(moved(Status::Building, ENGINE));
        }
        events
    }
}

fn moved(to: Status, by: &str) -> Event {
    Event::TicketMoved { to, by: by.to_owned() }
}

/// Whether a task with this outcome still stands between its ticket and done.
const fn is_open(outcome: Option<Outcome>) -> bool {
    !matches!(outcome, Some(Outcome::Completed | Outcome::Cancelled))
}
