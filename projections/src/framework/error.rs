//! What can go wrong with a read model.

use specline_aggregates::IllegalTransition;

/// An event that a read model cannot take in: it stops there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The event belongs to something of which no first event was seen.
    #[error("event {event} belongs to {what}, which this read model has never seen")]
    Unknown { event: String, what: String },
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// A stored row is not what this program writes.
    #[error("the row of {key} cannot be read: {cause}")]
    Row { key: String, cause: String },
}

/// A read model could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the read models' database failed")]
    Database(#[from] sqlx::Error),
    #[error("the row of {key} cannot be read")]
    Row {
        key: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("no read model is called {0:?}")]
    UnknownModel(String),
    #[error("{0:?} is not a cursor of this list")]
    InvalidCursor(String),
    /// The caller handed over events out of order.
    #[error("the event at position {position} came after {after}")]
    Disorder { position: u64, after: u64 },
    #[error("no rebuild of {0} has begun")]
    NoRebuild(&'static str),
    /// Another node has begun its own rebuild of the read model, which ended this one.
    #[error("another node has taken over the rebuild of {0}")]
    RebuildTaken(&'static str),
    /// Another node, of a later release, writes the read model in a form that this one does not
    /// know. It leaves the table alone.
    #[error("the read model {model} is written in form {found}; this program knows form {known}")]
    Newer { model: &'static str, found: i64, known: u32 },
    /// The shared read models follow another log or incarnation by now.
    #[error("the read model {0} follows another log than this node does")]
    Elsewhere(&'static str),
    /// The table that is being rebuilt has not caught up with the live one.
    #[error("the rebuild of {model} stands at {rebuilt}, the live one at {live}")]
    Behind { model: &'static str, rebuilt: u64, live: u64 },
    /// The rebuild met an event that it cannot fold; the live table is as it was.
    #[error("the rebuild of {model} stopped at position {}: {}", failure.position, failure.cause)]
    RebuildFailed { model: &'static str, failure: crate::Failure },
}
