//! What every read model stands on: pages of events folded in memory, each changed row written
//! once, rows and cursor in one transaction, and rebuilding beside the live table.

mod apply;
mod cursor;
mod database;
mod error;
mod fold;
mod model;
mod query;
mod read_models;
mod rebuild;
mod shared;
mod sql;
mod value;

pub use apply::Applied;
pub use cursor::{Failure, LogId, State, Status};
pub use database::{Moved, Place, StatementHook};
pub use error::{Error, FoldError};
pub use query::Listing;
pub use read_models::ReadModels;
pub use rebuild::Rebuilt;

pub(crate) use fold::{Of, Projection, Rows};
pub(crate) use model::{Column, Entries, List, Model, Table};
pub(crate) use query::{Order, Query, cursor_of, like, position_of};
pub(crate) use value::Value;
