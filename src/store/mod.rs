//! The event log and what stands beside it. All SQL of the log lives below this module.

mod aggregate_store;
pub mod audit;
pub mod chain;
mod clock;
mod event_log;
pub mod house;
mod links;
pub mod memory;
pub mod merkle;
pub mod postgres;
pub(crate) mod recent;
pub mod seals;
mod side_tables;
pub mod sqlite;
mod time;
mod validate;
pub mod verify;
mod words;

pub use aggregate_store::{
    AggregateStore, CacheLimits, Commit, Committed, Context, Loaded, Place, SNAPSHOT_EVERY,
    SnapshotKey, SnapshotReport, StoreError, check_snapshots,
};
pub use clock::{Clock, Reading};
pub use event_log::{
    Append, Appended, Blob, Capabilities, EarlyEvents, EventLog, Expected, Key, KeyRecord,
    LogError, LogIdentity, NewEvent, Position, Recorded, Snapshot, StreamHead, StreamId,
};
pub use postgres::PgLog;
pub use side_tables::{
    Beat, Heartbeat, Lease, LeaseState, MAX_TELEMETRY_ENTRIES, NODE_LASTS_MS, Node, Peer,
    SideTables, TelemetryEntry,
};
pub use sqlite::{OpenError, SqliteLog};
pub use validate::MAX_EVENT_BYTES;
