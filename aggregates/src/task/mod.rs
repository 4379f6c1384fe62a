//! The Task aggregate: a unit of queued work for a sandbox.

mod aggregate;
mod command;
mod event;
mod state;

pub use command::{Command, Rejection, Verdict};
pub use event::{Event, ExecutionConfig, Kind, Outcome, Work};
pub use state::{Status, Task};
