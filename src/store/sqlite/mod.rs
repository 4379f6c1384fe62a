//! The event log in one SQLite file: one writer thread that shares each fsync among all who wait,
//! and a few read-only connections. Which file does what: `open` finds or makes the file and takes
//! its lock, `writer` owns the writing thread, `append` and `side` say what is written, `readers`
//! and `events` what is read, `scan` gives the rows as they lie there.

mod append;
mod audit;
mod backup;
mod blobs;
mod connection;
mod error;
mod events;
mod house;
mod house_rows;
mod identity;
mod index;
mod job;
mod keys;
mod leases;
mod lock;
mod log;
mod migrations;
mod open;
mod readers;
mod restore;
mod rows;
mod scan;
mod side;
mod snapshots;
mod subtrees;
mod telemetry;
mod writer;

pub use backup::Backup;
pub use error::OpenError;
pub use house::SqliteHouse;
pub use log::SqliteLog;
pub use restore::{Present, Restore, RestoreError};
