//! The read models of Specline. Each has a folder: a pure fold over events, and a table. They know
//! no event log: whoever reads one hands its events over in pages, in the order of their positions.
//! A read model is a cache: it can be emptied and rebuilt from the log to the same bytes, and it
//! never decides a command.

pub mod access_keys;
pub mod due_work;
mod envelope;
mod framework;
mod lifecycle;
pub mod projects;
pub mod requirements;
pub mod sandboxes;
pub mod spec_board;
pub mod spec_detail;
pub mod spec_timeline;
pub mod task_queue;
pub mod tickets;

pub use envelope::{DomainEvent, Envelope};
pub use framework::{
    Applied, Error, Failure, FoldError, Listing, LogId, Moved, Place, ReadModels, Rebuilt, State,
    StatementHook, Status,
};

/// Every read model, in the order in which they are applied.
fn models() -> Vec<Box<dyn framework::Projection>> {
    vec![
        due_work::model(),
        spec_board::model(),
        spec_detail::model(),
        spec_timeline::model(),
        requirements::model(),
        task_queue::model(),
        tickets::model(),
        sandboxes::model(),
        projects::model(),
        access_keys::model(),
    ]
}
