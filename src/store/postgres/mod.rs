//! The log in PostgreSQL, shared by any number of nodes. The tables are a superset of postgres-es's
//! own, and its stock repository may append to our streams.
//!
//! Each node has one writer, which sends whatever waits as one call; the lock on the head row puts
//! the nodes' batches in order. But for `foreign`, nothing here knows aggregates or read models.

mod adopt;
mod append;
mod audit;
mod batch;
mod error;
mod events;
mod find;
mod follow;
mod foreign;
mod house;
mod house_rows;
mod identity;
mod keys;
mod leases;
mod log;
mod migrations;
mod nodes;
mod open;
mod pour;
mod reading;
mod rows;
mod scan;
mod session;
mod side;
mod snapshots;
mod subtrees;
mod telemetry;
mod writer;

pub use error::OpenError;
pub use house::PgHouse;
pub use log::PgLog;
pub use open::Settings;
