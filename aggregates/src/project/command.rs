//! The commands of a project.

use super::event::{Event, Settings};
use super::state::Project;
use crate::spec::command::check_policy;
use crate::{Policy, ProjectId, spec};

/// Longest name of a project, in characters.
const MAX_NAME_CHARS: usize = 200;

/// What can be asked of a project.
#[derive(Debug, Clone)]
pub enum Command {
    Create {
        project: ProjectId,
        settings: Box<Settings>,
        by: String,
    },
    /// What is none stays as it is.
    Revise {
        name: Option<String>,
        policy: Option<Box<Policy>>,
        by: String,
    },
}

/// A refused command. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such project")]
    NotFound,
    #[error("the repository has a project already")]
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

impl Project {
    /// Decides `command` on this state.
    pub fn decide(&self, command: &Command) -> Decision {
        if let Some(broken) = &self.broken {
            return Err(Rejection::Broken(broken.clone()));
        }
        match command {
            Command::Create { .. } if self.id.is_some() => Err(Rejection::AlreadyExists),
            Command::Create { project, settings, by } => {
                check(settings)?;
                let (settings, by) = (settings.clone(), by.clone());
                Ok(vec![Event::ProjectCreated { project: *project, settings, by }])
            }
            Command::Revise { name, policy, by } => {
                let before = self.settings.as_ref().ok_or(Rejection::NotFound)?;
                let mut after = before.clone();
                after.name = name.clone().unwrap_or(after.name);
                after.policy = policy.as_deref().cloned().unwrap_or(after.policy);
                check(&after)?;
                if after == *before {
                    return Ok(Vec::new());
                }
                Ok(vec![Event::ProjectRevised { settings: Box::new(after), by: by.clone() }])
            }
        }
    }
}

fn check(settings: &Settings) -> Result<(), Rejection> {
    let n_chars = settings.name.chars().count();
    let control = settings.name.chars().any(char::is_control);
    if settings.name.trim().is_empty() || n_chars > MAX_NAME_CHARS || control {
        let problem = format!("it has 1 to {MAX_NAME_CHARS} characters, none of them control ones");
        return Err(Rejection::InvalidInput { field: "name", problem });
    }
    check_policy(&settings.policy).map_err(|rejection| {
        let text = rejection.to_string();
        let spec::Rejection::InvalidInput { field, problem } = rejection else {
            return Rejection::InvalidInput { field: "policy", problem: text };
        };
        Rejection::InvalidInput { field, problem }
    })
}
