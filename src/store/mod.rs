//! The event log and what stands beside it. All SQL of the log lives below this module.

mod event_log;
mod side_tables;

pub use event_log::{
    Append, Appended, Blob, Capabilities, EventLog, Expected, Key, KeyRecord, LogError,
    LogIdentity, NewEvent, Position, Recorded, Snapshot, StreamHead, StreamId,
};
pub use side_tables::{
    Heartbeat, Lease, LeaseState, MAX_TELEMETRY_ENTRIES, SideTables, TelemetryEntry,
};
