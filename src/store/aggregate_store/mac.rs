//! The code under which a snapshot is believed. The table of snapshots is a cache beside the log
//! that no chain and no seal covers: without a code, whoever writes the database could put any
//! state there, and the engine would go on from it.

use std::fmt;

use specline_aggregates::Digest;

use crate::store::{StreamHead, StreamId};

/// Names the layout of what is authenticated.
const TAG: &[u8] = b"specline/snapshot/1";

/// The key of one log's snapshots. Without one snapshots are neither read nor written.
#[derive(Clone)]
pub struct SnapshotKey([u8; 32]);

impl SnapshotKey {
    /// Derived from the log's secret, so that it is no other key's.
    #[must_use]
    pub fn of_secret(secret: &[u8; 32]) -> Self {
        Self(blake3::derive_key("specline 2026 snapshots of states v1", secret))
    }

    /// The code of a state: BLAKE3, keyed, of seven parts, each written as its length in bytes
    /// (unsigned, 64 bits, big-endian) and then its bytes: the tag, the aggregate's type, its id
    /// (16 bytes), version, head's hash, format, and the state.
    #[must_use]
    pub fn code(
        &self,
        stream: &StreamId,
        head: StreamHead,
        (format, state): (u32, &str),
    ) -> Digest {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        let (version, format) = (head.version.to_be_bytes(), format.to_be_bytes());
        let parts: [&[u8]; 7] = [
            TAG,
            stream.aggregate_type.as_bytes(),
            stream.aggregate_id.as_bytes(),
            &version,
            head.hash.as_bytes(),
            &format,
            state.as_bytes(),
        ];
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Digest::from_bytes(*hasher.finalize().as_bytes())
    }
}

impl fmt::Debug for SnapshotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SnapshotKey")
    }
}

/// Whether two codes are one, in constant time.
pub(super) fn same(one: &Digest, other: &Digest) -> bool {
    blake3::Hash::from_bytes(*one.as_bytes()) == blake3::Hash::from_bytes(*other.as_bytes())
}
