//! Agent drivers: each runs one attempt of one phase in a working copy and brings an output, or
//! says in which way it could not. A driver proposes; it never judges and never reports to the log.

mod answer;
pub mod builtin;
mod builtin_driver;
mod command;
mod command_line;
mod mask;

pub use command_line::{CommandLine, InvalidCommandLine};
pub use mask::{Mask, is_secret};

use std::path::PathBuf;

use specline_aggregates::spec::FailureKind;
use specline_aggregates::{RawJson, Usage};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::protocol::{Note, Work};

/// Notes that wait to be sent; beyond that a driver drops them rather than wait.
pub const MAX_WAITING_NOTES: usize = 1_024;

/// One attempt.
#[derive(Debug)]
pub struct Job {
    pub work: Work,
    /// Working copy of the repository.
    pub workdir: PathBuf,
    /// An empty folder that is the agent's alone.
    pub scratch: PathBuf,
    /// Where the driver tells what goes on.
    pub notes: mpsc::Sender<Note>,
    /// Set when the attempt is not wanted any more.
    pub stop: CancellationToken,
}

/// What an agent brought.
#[derive(Debug)]
pub struct Answer {
    pub output: RawJson,
    pub usage: Usage,
    pub session: Option<String>,
}

/// How an agent brought nothing. Each is a kind of failed attempt that people see.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    #[error("the agent cannot be started: {0}")]
    Missing(String),
    #[error("the agent failed: {0}")]
    Failed(String),
    #[error("the agent brought no output within {seconds} s and was ended")]
    TimedOut { seconds: u64 },
    #[error("{0}")]
    InvalidOutput(String),
    #[error("the attempt was called off")]
    Stopped,
    /// The kernel ended it, for want of memory most likely: that says nothing of its work.
    #[error("the agent was killed")]
    Killed,
}

impl AgentError {
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::Missing(_) => FailureKind::Configuration,
            Self::Failed(_) | Self::Stopped | Self::Killed => FailureKind::AgentError,
            Self::TimedOut { .. } => FailureKind::Timeout,
            Self::InvalidOutput(_) => FailureKind::InvalidOutput,
        }
    }
}

/// What an agent has said of its cost so far, in `usage.json` in its scratch folder; nothing when
/// it says nothing.
#[must_use]
pub fn told_usage(scratch: &std::path::Path) -> Usage {
    command::read_usage(scratch).usage()
}

/// Runs the agent that the work names.
pub async fn run(job: Job) -> Result<Answer, AgentError> {
    let agent = job.work.agent.clone();
    if agent == builtin::NAME {
        return builtin_driver::run(job).await;
    }
    if let Some(why) = agent.strip_prefix(crate::engine::MISSING) {
        return Err(AgentError::Missing(why.to_owned()));
    }
    match agent.strip_prefix("command:") {
        Some(line) => command::run(line, job).await,
        None => Err(AgentError::Missing(format!("no driver is called {agent:?}"))),
    }
}
