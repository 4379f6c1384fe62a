//! Sandboxes: where an agent works. A snapshot of the repository is handed out to a provider, which
//! runs a worker on a working copy of it and says when that worker has ended.
//!
//! Nothing here decides what a run does next, and nothing here is ever a source of truth: the
//! engine records what a provider tells it.

pub mod confine;
pub(crate) mod files;
pub mod isolation;
pub mod process;
pub mod provider;
pub mod snapshot;

pub use isolation::Isolation;
pub use provider::{
    Exit, Exited, Handle, ProgramError, ProgramRequest, Provider, SpawnError, SpawnRequest,
};
pub use snapshot::{Snapshot, SnapshotError, Snapshots};
