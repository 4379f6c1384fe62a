//! What the engine and a supervisor tell each other: the orders (through the supervisor's stdin, as
//! they hold the token), the report that it has started, and the files that it leaves.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use specline_aggregates::{Epoch, SandboxId};
use uuid::Uuid;

use super::tree::Identity;
use crate::sandbox::Isolation;
use crate::sandbox::confine::{Limits, View};
use crate::sandbox::provider::{Cause, Exit};

/// It has no `Debug`: the environment holds secrets.
#[derive(Serialize, Deserialize)]
pub(super) struct Orders {
    pub sandbox: SandboxId,
    pub owner: Uuid,
    pub epoch: Epoch,
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// Names in `env` whose values are masked in every log.
    pub secrets: Vec<String>,
    pub isolation: Isolation,
    pub view: View,
    pub limits: Limits,
    /// Lease and grace together: without a sign of life for this long the sandbox ends.
    pub silence: Duration,
    /// How long a process may take to end when it is asked to.
    pub end_grace: Duration,
    pub log_bytes: u64,
}

/// `supervisor.json`, and the engine's handle: which processes a sandbox is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub sandbox: SandboxId,
    pub owner: Uuid,
    pub epoch: Epoch,
    pub boot: String,
    pub supervisor: Identity,
    pub worker: Option<Identity>,
    pub isolation: Isolation,
    pub folder: PathBuf,
}

/// The one line on the supervisor's stdout.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    Started(Record),
    /// Another supervisor owns the folder.
    Busy,
    Failed {
        message: String,
    },
}

/// `exit.json`: how a sandbox ended, after its last process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ending {
    pub exit: Exit,
    pub cause: Cause,
    pub last_lines: String,
}
