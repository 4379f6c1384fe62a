//! Connections to PostgreSQL for a node that must never hang.
//!
//! - Each call has a limit. One that does not end in time closes its connection hard: whatever the
//!   network did to it, nobody is given that connection again.
//! - A call is carried out on a task of its own. A caller that goes away (a client that hung up)
//!   leaves no statement half sent and no transaction open.
//! - A connection is kept only if its call ended well, outside of a transaction. One that was idle
//!   for a while is tried before it is used, and none grows old.
//!
//! `&Pool` is a [`sqlx::Executor`] for single statements; several statements that belong together
//! go through [`Pool::run`].

mod executor;
mod pool;
mod transaction;

pub use pool::{Bounds, Held, Pool, within};
pub use transaction::Transaction;
