//! The provider `process`: a sandbox is a process tree on this machine, with its own working copy.
//! A small supervisor a sandbox owns the tree, and does not die with the engine; the engine only
//! watches the supervisor.

mod environment;
mod folder;
mod judge;
mod log;
mod machine;
mod options;
mod orders;
mod outbox;
mod reap;
mod shelf;
mod start;
mod supervisor;
mod tree;
mod watch;
mod worker;

pub use environment::{API_FILE, LEASE_FILE, OUTBOX, SANDBOX_ID};
pub use machine::LocalMachine;
pub use options::{Options, Program};
pub(crate) use reap::end_descendants;
pub use supervisor::{BUSY, supervise};
