//! What the engine may ask of any kind of sandbox: start one, find it again, end it, clean up, and
//! say at once when one has ended. A provider decides nothing about the run.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use specline_aggregates::{Epoch, SandboxId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::isolation;
use super::snapshot::SnapshotError;
use crate::program::{Ended, RunError};

/// Exits that wait for the engine: more than the sandboxes that one engine runs at once. A provider
/// waits for room, and never drops one.
pub const EXITS: usize = 256;

/// What a sandbox needs. It has no `Debug`: the environment holds secrets.
#[derive(Clone)]
pub struct SpawnRequest {
    pub sandbox: SandboxId,
    /// The spec or the task that it works for.
    pub owner: Uuid,
    pub epoch: Epoch,
    /// A snapshot's commit.
    pub commit: String,
    /// The contract's variables, complete.
    pub env: BTreeMap<String, String>,
    /// Names of variables that the policy lets through from the engine's own environment. One that
    /// is not set there is left out.
    pub pass_env: Vec<String>,
    /// A sandbox whose worker has had no answer from the engine for this and the provider's grace
    /// ends itself.
    pub lease_ms: u64,
    /// Files and folders that the worker must not see, where the provider can hide them.
    pub hide: Vec<PathBuf>,
    /// What the worker must not write to, wherever it lies.
    pub protect: Vec<PathBuf>,
}

/// A program that is asked once about a snapshot.
#[derive(Clone)]
pub struct ProgramRequest {
    pub program: String,
    pub args: Vec<String>,
    /// A snapshot's commit; the program stands in a copy of it that it cannot change.
    pub commit: String,
    /// What goes to its stdin; `repository` is added, which is that copy's folder.
    pub question: serde_json::Map<String, serde_json::Value>,
    /// Names of variables of the engine's own environment that it may see.
    pub pass_env: Vec<String>,
    pub time: Duration,
    pub stdout_bytes: usize,
    pub stop: CancellationToken,
    pub hide: Vec<PathBuf>,
    pub protect: Vec<PathBuf>,
}

impl ProgramRequest {
    /// JSON for the program's stdin.
    #[must_use]
    pub fn input(&self, repository: &Path) -> Vec<u8> {
        let mut question = self.question.clone();
        question.insert("repository".to_owned(), repository.display().to_string().into());
        serde_json::Value::Object(question).to_string().into_bytes()
    }
}

/// Why a program gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error("{0}")]
    Io(io::Error),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("this provider runs no programs")]
    Unsupported,
}

/// How a provider finds a sandbox again: JSON that the engine stores and does not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(String);

impl Handle {
    #[must_use]
    pub fn from_json(json: String) -> Self {
        Self(json)
    }

    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

/// How the worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    Code(i32),
    Signal(i32),
    /// Nobody was there to see it.
    Unknown,
}

/// Why a sandbox ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The worker ended by itself, or was killed from outside.
    WorkerEnded,
    /// The engine, or a person, told the sandbox to end.
    Ordered,
    /// The worker had no answer from an engine for lease + grace.
    LeaseRanOut,
    /// What watched over the worker was killed; what was left of the sandbox is ended too.
    SupervisorLost,
}

/// One sandbox that has ended; none of its processes lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exited {
    pub sandbox: SandboxId,
    pub exit: Exit,
    pub cause: Cause,
    /// The last lines that the worker wrote to stderr, bounded, known secrets masked.
    pub last_lines: String,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unknown => f.write_str("an unknown end"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Adopted {
    /// It lives, and its exit will be reported.
    Alive,
    /// It has ended; this is the report, and no other follows. What was left of it is ended.
    Gone(Exited),
}

/// One sandbox that a provider knows by itself, recorded by an engine or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub sandbox: SandboxId,
    /// None when it was lost before it was fully started.
    pub handle: Option<Handle>,
    pub life: Life,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    Alive,
    /// Its files are there, no process is.
    Ended,
}

/// Why a sandbox did not start. Nothing of it runs then.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Isolation(#[from] isolation::Unavailable),
    #[error("no space is left on the disk for a sandbox in {}", path.display())]
    NoSpace { path: PathBuf },
    #[error("the program {} could not be started", program.display())]
    Program { program: PathBuf, source: io::Error },
    #[error("the variable {name} has {bytes} bytes; a process can be given at most {limit}")]
    VariableTooLong { name: String, bytes: usize, limit: usize },
    #[error("the worker could not be started: {message}")]
    Worker { message: String },
    #[error("the sandbox's supervisor gave no answer: {message}")]
    Supervisor { message: String },
    #[error("could not {what} {}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

/// Why an order to a provider failed; all of them may be given again.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    #[error("the stored handle of sandbox {sandbox} cannot be read")]
    Handle { sandbox: SandboxId, source: serde_json::Error },
    #[error("sandbox {sandbox} still has the processes {pids:?}, which cannot be ended")]
    Lives { sandbox: SandboxId, pids: Vec<i32> },
    #[error("sandbox {sandbox} is running: end it first")]
    Running { sandbox: SandboxId },
    #[error("could not {what} sandbox {sandbox}")]
    Io { what: &'static str, sandbox: SandboxId, source: io::Error },
}

/// What becomes of finished outputs that a sandbox could not hand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outbox {
    /// They stay until they are handed over.
    Kept,
    /// Nobody will want them: what they were made for is over.
    Dropped,
}

/// A kind of sandbox.
///
/// Every method may be called again after a crash at any point of an earlier call. A sandbox lives
/// on when the engine dies; `list` and `adopt` find it again.
#[async_trait]
pub trait Provider: Send + Sync {
    fn name(&self) -> &'static str;

    /// Where its sandboxes are: engines whose providers say the same can watch and end each
    /// other's.
    fn place(&self) -> String {
        self.name().to_owned()
    }

    /// What keeps its sandboxes apart from the machine: `bubblewrap`, `landlock`, or `weak`; none
    /// where it cannot be said.
    fn isolation(&self) -> Option<&'static str> {
        None
    }

    /// Tells the sandboxes where an engine is now. A worker that cannot reach its own looks there.
    fn announce(&self, _api_url: &str) -> io::Result<()> {
        Ok(())
    }

    /// Starts a sandbox; its worker runs when this returns. A sandbox of that id that lives already
    /// is not started again: its handle is the answer. A crash in between leaves either nothing
    /// that runs or a sandbox that `list` finds.
    async fn spawn(&self, request: SpawnRequest) -> Result<Handle, SpawnError>;

    /// Watches a sandbox of an earlier engine.
    async fn adopt(&self, sandbox: SandboxId, handle: &Handle) -> Result<Adopted, OrderError>;

    /// Ends a sandbox and returns when none of its processes is left; one that has ended is no
    /// error.
    async fn terminate(&self, sandbox: SandboxId, handle: &Handle) -> Result<(), OrderError>;

    /// Runs a program once, confined as its sandboxes are, on a read-only copy of a snapshot. All
    /// that it starts has ended when this returns.
    async fn run_program(&self, _request: ProgramRequest) -> Result<Ended, ProgramError> {
        Err(ProgramError::Unsupported)
    }

    /// Frees what an ended sandbox holds. Logs stay, within bounds; so do outputs that wait in its
    /// outbox for a later sandbox, for as long as `outbox` says.
    async fn remove(&self, sandbox: SandboxId, outbox: Outbox) -> Result<(), OrderError>;

    /// The end of every sandbox that was spawned or adopted, each once. The receiver is handed out
    /// once, and `None` afterwards.
    fn exits(&self) -> Option<mpsc::Receiver<Exited>>;

    /// Every sandbox that the provider has, to find those that no engine recorded.
    async fn list(&self) -> Result<Vec<Listed>, io::Error>;

    /// Gives outputs that the sandbox `from`, which has ended, could not hand in to `to`, which may
    /// not be there yet. One that has none, or never was, gives nothing.
    async fn hand_over(&self, from: SandboxId, to: SandboxId) -> io::Result<()>;
}
