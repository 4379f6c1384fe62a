//! Why git did not do what it was called for, in words that say what to do.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("the program `git` was not found: install git, or add it to PATH")]
    Missing,
    #[error("git could not be run to {what}")]
    Io { what: &'static str, source: io::Error },
    #[error("{} is a named pipe or a device, and git waits for it to {what}: remove it", path.display())]
    Stuck { what: &'static str, path: PathBuf },
    #[error(
        "git took more than {limit_s} s to {what} and was ended: look whether git itself answers \
         there (`git status`), and whether a settings file is a pipe or the disk does not answer"
    )]
    TimedOut { what: &'static str, limit_s: u64 },
    #[error("git printed more than {max_bytes} bytes to {what}: the folder holds too many files")]
    TooMuch { what: &'static str, max_bytes: usize },
    #[error("no space is left on the disk to {what}")]
    NoSpace { what: &'static str },
    #[error("git could not {what}: {message}")]
    Failed { what: &'static str, message: String },
}
