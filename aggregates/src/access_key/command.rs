//! The commands of an access key.

use super::event::{Event, Grant};
use super::state::AccessKey;
use crate::{AccessKeyId, Digest, Timestamp};

/// Longest name of a key, in characters.
const MAX_NAME_CHARS: usize = 100;

/// What can be asked of an access key.
#[derive(Debug, Clone)]
pub enum Command {
    Create {
        key: AccessKeyId,
        grant: Box<Grant>,
        secret_digest: Digest,
        by: String,
        now: Timestamp,
    },
    /// Twice is fine.
    Revoke { by: String, reason: String },
}

/// A refused command. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such key")]
    NotFound,
    #[error("there is such a key already")]
    AlreadyExists,
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
            Self::AlreadyExists => "already_exists",
            Self::InvalidInput { .. } => "invalid_input",
            Self::Broken(_) => "corrupt",
        }
    }
}

type Decision = Result<Vec<Event>, Rejection>;

impl AccessKey {
    /// Decides `command` on this state.
    pub fn decide(&self, command: &Command) -> Decision {
        if let Some(broken) = &self.broken {
            return Err(Rejection::Broken(broken.clone()));
        }
        match command {
            Command::Create { .. } if self.id.is_some() => Err(Rejection::AlreadyExists),
            Command::Create { key, grant, secret_digest, by, now } => {
                check(grant, *now)?;
                Ok(vec![Event::AccessKeyCreated {
                    key: *key,
                    grant: grant.clone(),
                    secret_digest: *secret_digest,
                    by: by.clone(),
                }])
            }
            Command::Revoke { .. } if self.id.is_none() => Err(Rejection::NotFound),
            Command::Revoke { .. } if self.is_revoked() => Ok(Vec::new()),
            Command::Revoke { by, reason } => {
                Ok(vec![Event::AccessKeyRevoked { by: by.clone(), reason: reason.clone() }])
            }
        }
    }
}

fn check(grant: &Grant, now: Timestamp) -> Result<(), Rejection> {
    let invalid =
        |field, problem: &str| Err(Rejection::InvalidInput { field, problem: problem.to_owned() });
    let n_chars = grant.name.chars().count();
    if grant.name.trim().is_empty() || n_chars > MAX_NAME_CHARS {
        return invalid("name", &format!("it has 1 to {MAX_NAME_CHARS} characters"));
    }
    if grant.name.chars().any(char::is_control) {
        return invalid("name", "it has no control characters");
    }
    if grant.scopes.is_empty() {
        return invalid("scopes", "name at least one");
    }
    if grant.expires_at.is_some_and(|at| at <= now) {
        return invalid("expires_at", "it is in the past");
    }
    Ok(())
}
