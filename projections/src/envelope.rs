//! An event as the read models get it: decoded, with its place in the log.

use specline_aggregates::{SpecId, TaskId, TicketId, Timestamp, spec, task, ticket};
use uuid::Uuid;

/// What happened, by aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainEvent {
    Spec(spec::Event),
    Task(task::Event),
    Ticket(ticket::Event),
}

/// One event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Place in the whole log; rises, and may leave gaps.
    pub position: u64,
    pub aggregate_type: String,
    pub aggregate_id: Uuid,
    /// Place in the aggregate's own stream, from 1.
    pub sequence: u64,
    pub event_type: String,
    pub recorded_at: Timestamp,
    pub actor: String,
    pub correlation: Option<String>,
    pub event: DomainEvent,
}

impl Envelope {
    pub(crate) fn spec(&self) -> Option<(SpecId, &spec::Event)> {
        match &self.event {
            DomainEvent::Spec(event) => Some((SpecId::new(self.aggregate_id), event)),
            DomainEvent::Task(_) | DomainEvent::Ticket(_) => None,
        }
    }

    pub(crate) fn task(&self) -> Option<(TaskId, &task::Event)> {
        match &self.event {
            DomainEvent::Task(event) => Some((TaskId::new(self.aggregate_id), event)),
            DomainEvent::Spec(_) | DomainEvent::Ticket(_) => None,
        }
    }

    pub(crate) fn ticket(&self) -> Option<(TicketId, &ticket::Event)> {
        match &self.event {
            DomainEvent::Ticket(event) => Some((TicketId::new(self.aggregate_id), event)),
            DomainEvent::Spec(_) | DomainEvent::Task(_) => None,
        }
    }
}
