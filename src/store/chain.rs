//! The hash chain that runs through each stream: the one place that knows its byte layout. Changing
//! anything here makes every existing log fail its verification.

use specline_aggregates::Digest;

use super::{Append, Expected, StreamId};

/// First part of what is hashed; names this layout.
const TAG: &[u8] = b"specline/event/1";

/// The "previous hash" of a stream's first event: 32 zero bytes.
pub const GENESIS: Digest = Digest::from_bytes([0; 32]);

/// What an event says, as far as its hash covers it.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    pub event_type: &'a str,
    pub event_version: &'a str,
    pub payload: &'a str,
    pub metadata: &'a str,
}

/// The hash of the event at `sequence` of `stream` that follows an event of hash `previous`.
///
/// It is the BLAKE3 hash of nine parts, each written as its length in bytes (unsigned, 64 bits,
/// big-endian) and then its bytes:
///
/// 1. the 16 ASCII bytes `specline/event/1`
/// 2. the previous hash, 32 bytes ([`GENESIS`] before the first event)
/// 3. the aggregate type, UTF-8
/// 4. the aggregate id, 16 bytes in the order of its text form
/// 5. the sequence, unsigned, 64 bits, big-endian
/// 6. the event type, UTF-8
/// 7. the event version, UTF-8
/// 8. the BLAKE3 hash of the payload's bytes as stored, 32 bytes
/// 9. the BLAKE3 hash of the metadata's bytes as stored, 32 bytes
///
/// Position and time are not covered: the store assigns them, and the hash is known before.
#[must_use]
pub fn chain_hash(
    previous: &Digest,
    stream: &StreamId,
    sequence: u64,
    content: Content<'_>,
) -> Digest {
    chain_hash_with(previous, (stream, sequence), content, &Digest::of(content.metadata.as_bytes()))
}

/// The same, where the hash of the metadata is known: events of one append share theirs.
pub(super) fn chain_hash_with(
    previous: &Digest,
    (stream, sequence): (&StreamId, u64),
    content: Content<'_>,
    metadata: &Digest,
) -> Digest {
    // Hashed at once: many small parts would each cost as much as a block.
    let mut whole = Vec::with_capacity(320);
    let mut part = |bytes: &[u8]| {
        whole.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        whole.extend_from_slice(bytes);
    };
    part(TAG);
    part(previous.as_bytes());
    part(stream.aggregate_type.as_bytes());
    part(stream.aggregate_id.as_bytes());
    part(&sequence.to_be_bytes());
    part(content.event_type.as_bytes());
    part(content.event_version.as_bytes());
    part(blake3::hash(content.payload.as_bytes()).as_bytes());
    part(metadata.as_bytes());
    Digest::of(&whole)
}

/// The hash of each event of an append, should its stream be where the append expects it.
pub(super) fn chain_hashes(append: &Append) -> Vec<Digest> {
    let (mut version, mut previous) = match append.expected {
        Expected::NoStream => (0, GENESIS),
        Expected::Exact(head) => (head.version, head.hash),
    };
    let chained = append.events.iter().map(|event| {
        let content = Content {
            event_type: &event.event_type,
            event_version: &event.event_version,
            payload: &event.payload,
            metadata: &event.metadata,
        };
        version += 1;
        previous = chain_hash(&previous, &append.stream, version, content);
        previous
    });
    chained.collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn first() -> Digest {
        let stream = StreamId {
            aggregate_type: "Spec".to_owned(),
            aggregate_id: Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
        };
        let content = Content {
            event_type: "SpecDrafted",
            event_version: "1",
            payload: r#"{"title":"Grüße"}"#,
            metadata: r#"{"actor":"ann"}"#,
        };
        chain_hash(&GENESIS, &stream, 1, content)
    }

    #[test]
    fn the_layout_is_as_documented() {
        let mut bytes = Vec::new();
        let mut part = |part: &[u8]| {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part);
        };
        part(b"specline/event/1");
        part(&[0; 32]);
        part(b"Spec");
        part(&[
            1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd,
            0xef,
        ]);
        part(&[0, 0, 0, 0, 0, 0, 0, 1]);
        part(b"SpecDrafted");
        part(b"1");
        part(Digest::of(r#"{"title":"Grüße"}"#.as_bytes()).as_bytes());
        part(Digest::of(br#"{"actor":"ann"}"#).as_bytes());
        assert_eq!(first(), Digest::of(&bytes));
    }

    #[test]
    fn the_golden_vector_holds() {
        assert_eq!(
            first().to_string(),
            "0077ed6c985e82c6af9bad6b7370155f4eafecedae57b070461095f0e1dd8ef6"
        );
    }
}
