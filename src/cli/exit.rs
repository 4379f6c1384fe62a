//! Exit codes, and failures on their way to one.

use std::process::ExitCode;

/// How the program ends. The numbers are binding for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Completed,
    Failed,
    Usage,
    /// A person has to decide something.
    Waiting,
    Cancelled,
    /// Another engine holds the log.
    Busy,
    Configuration,
    /// Ctrl-C, after a clean stop.
    Interrupted,
    /// A code of the worker's own.
    Worker(u8),
}

impl Exit {
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Completed => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Waiting => 3,
            Self::Cancelled => 4,
            Self::Busy => 75,
            Self::Configuration => 78,
            Self::Interrupted => 130,
            Self::Worker(code) => code,
        }
    }

    pub(super) fn from_clap(error: &clap::Error) -> Self {
        if error.exit_code() == 0 { Self::Completed } else { Self::Usage }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What a person is told when a command does not work.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }
}
