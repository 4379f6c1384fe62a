//! Why the engine did not do what was asked, as its callers handle it.

use std::time::Duration;

use specline_aggregates::Decide;
use specline_aggregates::Finding;
use specline_aggregates::spec::Rejection;

use crate::commands::CommandError;
use crate::sandbox::SnapshotError;
use crate::store::{LogError, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The aggregate said no; `code` is stable.
    #[error("{message}")]
    Refused { code: &'static str, message: String, findings: Vec<Finding> },
    #[error("{what} {id} is not known")]
    NotFound { what: &'static str, id: String },
    #[error("{field}: {problem}")]
    InvalidInput { field: &'static str, problem: String },
    #[error("the repository cannot be read: {0}")]
    Snapshot(#[source] SnapshotError),
    #[error("the log cannot be used right now: {0}")]
    Transient(String),
    /// More is asked for than is done at once.
    #[error("{0}")]
    Busy(String),
    #[error("{0}")]
    Corrupt(String),
    #[error("{0}")]
    Newer(String),
    #[error("the read models cannot be used: {0}")]
    ReadModels(#[from] specline_projections::Error),
    /// Another machine has what this takes.
    #[error("{0} is not there; if it is on another machine, an engine there goes on")]
    NotHere(&'static str),
    /// A sandbox asks for more than it may; none to wait for = it never may.
    #[error("{message}")]
    TooMuch { code: &'static str, message: String, wait: Option<Duration> },
    #[error("{what}: {cause}")]
    Internal { what: &'static str, cause: String },
}

impl EngineError {
    /// Stable code, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused { code, .. } | Self::TooMuch { code, .. } => code,
            Self::InvalidInput { .. } => "invalid_input",
            Self::Snapshot(_) => "repository_unreadable",
            Self::Transient(_) | Self::Busy(_) => "unavailable",
            Self::Corrupt(_) => "corrupt",
            Self::Newer(_)
            | Self::ReadModels(
                specline_projections::Error::Newer { .. }
                | specline_projections::Error::Elsewhere(_),
            ) => "newer_peer",
            Self::NotFound { .. }
            | Self::ReadModels(specline_projections::Error::UnknownModel(_)) => "not_found",
            Self::ReadModels(specline_projections::Error::InvalidCursor(_)) => "invalid_cursor",
            Self::ReadModels(_) => "read_models_unavailable",
            Self::NotHere(_) => "not_here",
            Self::Internal { .. } => "internal",
        }
    }

    /// Whether asking again later may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_) | Self::Busy(_))
    }

    /// A newer program has written what this one must not touch, or the log is another's now: this
    /// node stops.
    #[must_use]
    pub const fn is_newer(&self) -> bool {
        use specline_projections::Error as ReadModels;
        matches!(
            self,
            Self::Newer(_) | Self::ReadModels(ReadModels::Newer { .. } | ReadModels::Elsewhere(_))
        )
    }

    /// What was thrown where this program has a fault.
    pub(super) fn of_panic(thrown: &(dyn std::any::Any + Send)) -> Self {
        let text = thrown.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| thrown.downcast_ref::<&str>().copied());
        Self::Internal {
            what: "a fault of this program",
            cause: text.unwrap_or("it panicked").to_owned(),
        }
    }

    pub(super) fn refused(rejection: &Rejection) -> Self {
        let findings = if let Rejection::GateFailed { findings, .. } = rejection {
            findings.clone()
        } else {
            Vec::new()
        };
        Self::Refused { code: rejection.code(), message: rejection.to_string(), findings }
    }
}

impl From<SnapshotError> for EngineError {
    fn from(error: SnapshotError) -> Self {
        if matches!(error, SnapshotError::Busy { .. }) {
            return Self::Busy(error.to_string());
        }
        Self::Snapshot(error)
    }
}

impl From<LogError> for EngineError {
    fn from(error: LogError) -> Self {
        Self::from(StoreError::Log(error))
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::Log(LogError::Transient { .. } | LogError::Conflict { .. }) => {
                Self::Transient(text)
            }
            StoreError::Log(LogError::KeyReused { .. }) => Self::Refused {
                code: "idempotency_key_reused",
                message: text,
                findings: Vec::new(),
            },
            StoreError::Log(LogError::TooLarge { .. }) => {
                Self::Refused { code: "too_large", message: text, findings: Vec::new() }
            }
            StoreError::Newer { .. } => Self::Newer(text),
            StoreError::Log(LogError::Corrupt { .. })
            | StoreError::Malformed { .. }
            | StoreError::DoesNotFollow { .. } => Self::Corrupt(text),
            StoreError::Illegal { .. } | StoreError::NotSerialisable { .. } => {
                Self::Internal { what: "a command was decided wrongly", cause: text }
            }
        }
    }
}

impl<A: Decide> From<CommandError<A>> for EngineError
where
    A::Error: IntoRefusal,
{
    fn from(error: CommandError<A>) -> Self {
        match error {
            CommandError::Rejected(rejection) => rejection.into_refusal(),
            CommandError::KeyReused { key } => Self::Refused {
                code: "idempotency_key_reused",
                message: format!("the idempotency key {key:?} was used for another request"),
                findings: Vec::new(),
            },
            CommandError::VersionConflict { expected, found } => Self::Refused {
                code: "version_conflict",
                message: format!("it is at version {found}, not {expected}; read it again"),
                findings: Vec::new(),
            },
            CommandError::Store(error) => error.into(),
        }
    }
}

/// A refusal of an aggregate, as the engine tells it.
pub trait IntoRefusal {
    fn into_refusal(self) -> EngineError;
}

impl IntoRefusal for Rejection {
    fn into_refusal(self) -> EngineError {
        EngineError::refused(&self)
    }
}

impl IntoRefusal for specline_aggregates::task::Rejection {
    fn into_refusal(self) -> EngineError {
        EngineError::Refused { code: self.code(), message: self.to_string(), findings: Vec::new() }
    }
}

impl IntoRefusal for specline_aggregates::ticket::Rejection {
    fn into_refusal(self) -> EngineError {
        EngineError::Refused { code: self.code(), message: self.to_string(), findings: Vec::new() }
    }
}

impl IntoRefusal for specline_aggregates::project::Rejection {
    fn into_refusal(self) -> EngineError {
        EngineError::Refused { code: self.code(), message: self.to_string(), findings: Vec::new() }
    }
}

impl IntoRefusal for specline_aggregates::access_key::Rejection {
    fn into_refusal(self) -> EngineError {
        EngineError::Refused { code: self.code(), message: self.to_string(), findings: Vec::new() }
    }
}
