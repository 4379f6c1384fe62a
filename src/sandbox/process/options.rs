//! How the provider `process` is set up.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::sandbox::confine::Limits;
use crate::sandbox::isolation::Isolation;

/// A program with its first arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub program: PathBuf,
    pub args: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Options {
    /// Where sandboxes and snapshots lie; outside of every repository.
    pub state: PathBuf,
    /// What runs inside a sandbox.
    pub worker: Program,
    /// What runs around it; the sandbox's folder is its last argument.
    pub supervise: Program,
    pub isolation: Isolation,
    /// What a sandbox may use up.
    pub limits: Limits,
    /// Folders of the machine that the host lets every sandbox write to.
    pub writable: Vec<PathBuf>,
    /// The same, but for what is protected below them: the temporary folder.
    pub shared: Vec<PathBuf>,
    /// A worker that no engine answers goes on for this long after its lease.
    pub lease_grace: Duration,
    /// How long processes may take to end when they are asked to.
    pub end_grace: Duration,
    /// Size of a worker's log; one older log of that size is kept.
    pub log_bytes: u64,
}

impl Program {
    #[must_use]
    pub fn new(program: PathBuf, args: &[&str]) -> Self {
        Self { program, args: args.iter().map(|arg| (*arg).to_owned()).collect() }
    }
}

impl Options {
    /// This very program as worker and supervisor: its subcommands `worker` and `supervise`.
    pub fn new(state: PathBuf, isolation: Isolation) -> io::Result<Self> {
        let program = std::env::current_exe()?;
        Ok(Self {
            state,
            worker: Program::new(program.clone(), &["worker"]),
            supervise: Program::new(program, &["supervise"]),
            isolation,
            limits: Limits::default(),
            writable: Vec::new(),
            shared: Vec::new(),
            lease_grace: Duration::from_mins(15),
            end_grace: Duration::from_secs(3),
            log_bytes: 4 * 1024 * 1024,
        })
    }

    pub(super) fn sandboxes(&self) -> PathBuf {
        self.state.join("sandboxes")
    }
}
