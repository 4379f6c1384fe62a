//! Why an aggregate could not be loaded or committed.

use specline_aggregates::{DecodeError, IllegalTransition};

use crate::store::{LogError, Position, Recorded, StreamId};

/// Which event it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub stream: StreamId,
    pub sequence: u64,
    pub position: Position,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} sequence {}, position {}", self.stream, self.sequence, self.position)
    }
}

impl Place {
    pub(super) fn of(event: &Recorded) -> Self {
        Self { stream: event.stream.clone(), sequence: event.sequence, position: event.position }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Log(#[from] LogError),
    /// A newer program wrote this stream: stop, don't guess.
    #[error("{place}: event {event_type} version {event_version} is newer than this program knows")]
    Newer { place: Place, event_type: String, event_version: String },
    /// The log is corrupt: the event is not one of this aggregate.
    #[error("{place} cannot be read: {cause}")]
    Malformed { place: Place, cause: String },
    /// The log is corrupt: the event cannot follow the ones before it.
    #[error("{place} does not fit the events before it")]
    DoesNotFollow { place: Place, source: IllegalTransition },
    /// The events to commit cannot follow the state they were decided on. That is a mistake in the
    /// program; nothing was written.
    #[error("events to commit do not follow from {stream}")]
    Illegal { stream: StreamId, source: IllegalTransition },
    /// An event or its metadata has no JSON form. A mistake in the program; nothing was written.
    #[error("an event of {stream} cannot be written as JSON: {cause}")]
    NotSerialisable { stream: StreamId, cause: String },
}

impl StoreError {
    pub(super) fn undecodable(event: &Recorded, error: DecodeError) -> Self {
        let place = Place::of(event);
        match error {
            DecodeError::Newer { event_type, event_version } => {
                Self::Newer { place, event_type, event_version }
            }
            DecodeError::Malformed { event_type, cause } => {
                Self::Malformed { place, cause: format!("{event_type}: {cause}") }
            }
        }
    }

    /// Another append was first: load again and decide again.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Log(LogError::Conflict { .. }))
    }

    /// Trying again later may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Log(LogError::Transient { .. }))
    }
}
