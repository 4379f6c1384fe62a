//! What a command did, or why it did nothing.

use std::sync::Arc;

use specline_aggregates::Decide;

use crate::store::{LogError, Position, StoreError};

/// A command that was carried out, or had been.
#[derive(Debug)]
pub struct Done<A> {
    pub state: Arc<A>,
    /// Position that a reader must have passed to see it.
    pub position: Position,
    pub version: u64,
    /// False when nothing was written because it was already so.
    pub written: bool,
    /// It was carried out under the same key before: all of this is as it was then.
    pub repeated: bool,
}

/// Why a command was not carried out.
#[derive(Debug)]
pub enum CommandError<A: Decide> {
    /// The aggregate said no.
    Rejected(A::Error),
    /// The idempotency key stands for another request.
    KeyReused {
        key: String,
    },
    /// The caller had another version in mind.
    VersionConflict {
        expected: u64,
        found: u64,
    },
    Store(StoreError),
}

impl<A: Decide> CommandError<A> {
    pub(super) fn log(error: LogError) -> Self {
        Self::of_commit(StoreError::Log(error))
    }

    pub(super) fn of_commit(error: StoreError) -> Self {
        if let StoreError::Log(LogError::KeyReused { key }) = error {
            return Self::KeyReused { key };
        }
        Self::Store(error)
    }

    /// Another append was first.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_conflict())
    }

    /// Trying again later may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient() || error.is_conflict())
    }

    /// Stable code of a refusal, where it is one.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Rejected(rejection) => Some(A::code(rejection)),
            Self::KeyReused { .. } => Some("idempotency_key_reused"),
            Self::VersionConflict { .. } => Some("version_conflict"),
            Self::Store(_) => None,
        }
    }
}

impl<A: Decide> std::fmt::Display for CommandError<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::KeyReused { key } => {
                write!(f, "the idempotency key {key:?} was used for another request")
            }
            Self::VersionConflict { expected, found } => {
                write!(f, "it is at version {found}, not {expected}; read it again")
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl<A: Decide + std::fmt::Debug> std::error::Error for CommandError<A> where A::Error: 'static {}
