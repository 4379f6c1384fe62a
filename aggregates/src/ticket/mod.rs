//! The Ticket aggregate: what a person asks for.

mod aggregate;
mod command;
mod event;
mod state;

pub use command::{Command, Rejection};
pub use event::{Event, Request, Status, WorkflowMode};
pub use state::Ticket;
