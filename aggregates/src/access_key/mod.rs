//! The AccessKey aggregate: who may call the API, and for what. It never holds a secret, only the
//! digest of one.

mod aggregate;
mod command;
mod event;
mod state;

pub use command::{Command, Rejection};
pub use event::{Event, Grant, Scope, UnknownScope};
pub use state::AccessKey;
