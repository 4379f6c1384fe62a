//! What every backend refuses before it writes anything.

use specline_aggregates::Digest;

use super::{Append, Blob, LogError};

/// Bytes of one event (payload and metadata), and of one blob.
pub const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

impl Append {
    /// Checks sizes, and each blob against its digest.
    pub(super) fn validate(&self) -> Result<(), LogError> {
        for event in &self.events {
            let bytes = event.payload.len() + event.metadata.len();
            within_limit(bytes, || format!("event {} of {}", event.event_type, self.stream))?;
        }
        self.blobs.iter().try_for_each(Blob::validate)
    }

    /// Bytes that it writes, roughly.
    pub(super) fn weight(&self) -> usize {
        let events: usize = self
            .events
            .iter()
            .map(|event| event.payload.len() + event.metadata.len() + EVENT_OVERHEAD)
            .sum();
        events + self.blobs.iter().map(|blob| blob.bytes.len()).sum::<usize>()
    }
}

/// Bytes of an event beside payload and metadata: ids, hash, index entry.
const EVENT_OVERHEAD: usize = 200;

impl Blob {
    pub(super) fn validate(&self) -> Result<(), LogError> {
        within_limit(self.bytes.len(), || format!("blob {}", self.digest))?;
        if Digest::of(&self.bytes) == self.digest {
            return Ok(());
        }
        Err(LogError::Corrupt {
            place: format!("blob {}", self.digest),
            cause: "the bytes to store have another digest".to_owned(),
        })
    }
}

fn within_limit(bytes: usize, what: impl Fn() -> String) -> Result<(), LogError> {
    if bytes <= MAX_EVENT_BYTES {
        return Ok(());
    }
    Err(LogError::TooLarge { what: what(), bytes, max: MAX_EVENT_BYTES })
}
