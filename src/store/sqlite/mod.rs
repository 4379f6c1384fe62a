//! The event log in one SQLite file: one writer thread that shares each fsync among all who wait,
//! and a few read-only connections. Which file does what: `open` finds or makes the file and takes
//! its lock, `writer` owns the writing thread, `append` and `side` say what is written, `readers`
//! and `events` what is read, `verify` recomputes the chain.

mod append;
mod blobs;
mod connection;
mod error;
mod events;
mod identity;
mod job;
mod keys;
mod leases;
mod lock;
mod log;
mod migrations;
mod open;
mod readers;
mod rows;
mod side;
mod snapshots;
mod telemetry;
mod verify;
mod writer;

pub use error::OpenError;
pub use log::SqliteLog;
pub use verify::{Cause, Difference, Verification};
