//! The Project aggregate: a repository with a name, and what its specs start with.

mod aggregate;
mod command;
mod event;
mod state;

pub use command::{Command, Rejection};
pub use event::{Event, Settings};
pub use state::Project;
