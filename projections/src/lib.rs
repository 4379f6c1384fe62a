//! The read models of Specline. Each has a folder: a pure fold over events, and a table. They know
//! no event log: whoever reads one hands its events over in pages, in the order of their positions.
//! A read model is a cache: it can be emptied and rebuilt from the log to the same bytes, and it
//! never decides a command.

pub mod due_work;
mod envelope;
mod framework;
mod lifecycle;
pub mod spec_board;

pub use envelope::{DomainEvent, Envelope};
pub use framework::{
    Applied, Error, Failure, FoldError, Listing, LogId, ReadModels, Rebuilt, State, StatementHook,
    Status,
};

/// Every read model, in the order in which they are applied.
fn models() -> Vec<Box<dyn framework::Projection>> {
    vec![spec_board::model(), due_work::model()]
}
