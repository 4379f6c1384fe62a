//! An event as the read models get it: decoded, with its place in the log.

use specline_aggregates::{
    AccessKeyId, ProjectId, SpecId, TaskId, TicketId, Timestamp, access_key, project, spec, task,
    ticket,
};
use uuid::Uuid;

/// What happened, by aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainEvent {
    Spec(spec::Event),
    Task(task::Event),
    Ticket(ticket::Event),
    Project(project::Event),
    AccessKey(access_key::Event),
    /// An event of a type that this program knows, whose content it cannot read: whoever needs it
    /// stands still, and nobody else.
    Unreadable {
        cause: String,
    },
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
        let DomainEvent::Spec(event) = &self.event else { return None };
        Some((SpecId::new(self.aggregate_id), event))
    }

    pub(crate) fn task(&self) -> Option<(TaskId, &task::Event)> {
        let DomainEvent::Task(event) = &self.event else { return None };
        Some((TaskId::new(self.aggregate_id), event))
    }

    pub(crate) fn ticket(&self) -> Option<(TicketId, &ticket::Event)> {
        let DomainEvent::Ticket(event) = &self.event else { return None };
        Some((TicketId::new(self.aggregate_id), event))
    }

    pub(crate) fn project(&self) -> Option<(ProjectId, &project::Event)> {
        let DomainEvent::Project(event) = &self.event else { return None };
        Some((ProjectId::new(self.aggregate_id), event))
    }

    pub(crate) fn access_key(&self) -> Option<(AccessKeyId, &access_key::Event)> {
        let DomainEvent::AccessKey(event) = &self.event else { return None };
        Some((AccessKeyId::new(self.aggregate_id), event))
    }
}
