//! A row of the log as the read models take it.

use std::collections::BTreeMap;

use cqrs_es::Aggregate;
use specline_aggregates::access_key::AccessKey;
use specline_aggregates::project::Project;
use specline_aggregates::spec::Spec;
use specline_aggregates::task::Task;
use specline_aggregates::ticket::Ticket;
use specline_aggregates::{DecodeError, EventSourced};
use specline_projections::{DomainEvent, Envelope};

use crate::store::Recorded;

/// Decodes one row. What this program does not know is a newer program's, and an error; what it
/// knows and cannot read is told to those who need it.
pub(super) fn of(row: Recorded) -> Result<Envelope, DecodeError> {
    let decode = (row.event_type.as_str(), row.event_version.as_str(), row.payload.as_str());
    let event = match event(&row.stream.aggregate_type, decode) {
        Err(error @ DecodeError::Malformed { .. }) => {
            DomainEvent::Unreadable { cause: error.to_string() }
        }
        decoded => decoded?,
    };
    let metadata: Result<BTreeMap<String, String>, _> = serde_json::from_str(&row.metadata);
    let (metadata, event) = match metadata {
        Ok(metadata) => (metadata, event),
        Err(error) => {
            let cause = format!("metadata: {error}");
            (BTreeMap::new(), DomainEvent::Unreadable { cause })
        }
    };
    Ok(Envelope {
        position: row.position.0,
        aggregate_type: row.stream.aggregate_type,
        aggregate_id: row.stream.aggregate_id,
        sequence: row.sequence,
        event_type: row.event_type,
        recorded_at: row.recorded_at,
        actor: metadata.get("actor").cloned().unwrap_or_default(),
        correlation: metadata.get("correlation_id").cloned(),
        event,
    })
}

fn event(
    aggregate_type: &str,
    (event_type, version, payload): (&str, &str, &str),
) -> Result<DomainEvent, DecodeError> {
    if aggregate_type == Spec::TYPE {
        Spec::decode(event_type, version, payload).map(DomainEvent::Spec)
    } else if aggregate_type == Task::TYPE {
        Task::decode(event_type, version, payload).map(DomainEvent::Task)
    } else if aggregate_type == Ticket::TYPE {
        Ticket::decode(event_type, version, payload).map(DomainEvent::Ticket)
    } else if aggregate_type == Project::TYPE {
        Project::decode(event_type, version, payload).map(DomainEvent::Project)
    } else if aggregate_type == AccessKey::TYPE {
        AccessKey::decode(event_type, version, payload).map(DomainEvent::AccessKey)
    } else {
        Err(DecodeError::Newer {
            event_type: format!("{aggregate_type} {event_type}"),
            event_version: version.to_owned(),
        })
    }
}
