//! What is copied beside the events, row by row.

use specline_aggregates::{Digest, SandboxId, Timestamp};
use uuid::Uuid;

use crate::store::{Blob, Lease, LogError, Position, TelemetryEntry};

/// A table beside the events. Snapshots are a cache and not copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Keys,
    Blobs,
    Leases,
    Telemetry,
    /// The last number of telemetry that each sandbox was given.
    Counters,
    /// How far the duties have come.
    Cursors,
}

impl Table {
    pub const ALL: [Self; 6] =
        [Self::Keys, Self::Blobs, Self::Leases, Self::Telemetry, Self::Counters, Self::Cursors];

    /// Rows are added to it, and never changed.
    #[must_use]
    pub const fn only_grows(self) -> bool {
        matches!(self, Self::Keys | Self::Blobs)
    }

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keys => "idempotency keys",
            Self::Blobs => "blobs",
            Self::Leases => "leases",
            Self::Telemetry => "telemetry",
            Self::Counters => "telemetry counters",
            Self::Cursors => "cursors of duties",
        }
    }
}

/// What the first append under an idempotency key did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    pub aggregate_id: Uuid,
    pub key: String,
    pub request: Digest,
    pub position: Position,
    pub version: u64,
    pub hash: Digest,
    pub recorded_at: Timestamp,
    pub answer: String,
}

/// A row of any of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    Key(KeyRow),
    Blob(Blob),
    Lease(Lease),
    Telemetry(SandboxId, TelemetryEntry),
    Counter(SandboxId, u64),
    Cursor(String, Position),
}

impl Row {
    /// Everything that the row says, in bytes: rows that differ have other ones. A blob that is as
    /// its digest says has nothing more to say. U+0000, which not every store can hold in a text,
    /// counts as the replacement character.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        match self {
            Self::Blob(blob) => blob.digest.as_bytes().to_vec(),
            Self::Key(_)
            | Self::Lease(_)
            | Self::Telemetry(..)
            | Self::Counter(..)
            | Self::Cursor(..) => format!("{self:?}").replace("\\0", "\u{fffd}").into_bytes(),
        }
    }

    /// A blob must have the bytes that its digest names.
    pub(super) fn check(&self, house: &str) -> Result<(), LogError> {
        let Self::Blob(blob) = self else { return Ok(()) };
        let actual = Digest::of(&blob.bytes);
        if actual == blob.digest {
            return Ok(());
        }
        Err(LogError::Corrupt {
            place: format!("blob {} in {house}", blob.digest),
            cause: format!("its bytes have the digest {actual}"),
        })
    }
}
