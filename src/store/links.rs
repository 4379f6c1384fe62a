//! Whether events that were read are as they were written: each has the hash that its content and
//! the event before it in its stream give. Every read of a log in a database goes through here; a
//! full check, with order and seals, is `verify`'s.

use std::collections::HashMap;

use specline_aggregates::Digest;

use super::chain::{Content, GENESIS, chain_hash_with};
use super::{LogError, Recorded, StreamId};

/// The last metadata that was hashed: events of one append share theirs.
#[derive(Default)]
struct Metadata<'a>(Option<(&'a str, Digest)>);

impl<'a> Metadata<'a> {
    fn hash(&mut self, text: &'a str) -> Digest {
        match self.0 {
            Some((last, hash)) if last == text => hash,
            Some(_) | None => {
                let hash = Digest::of(text.as_bytes());
                self.0 = Some((text, hash));
                hash
            }
        }
    }
}

/// Checks an event against the hash of the one before it in its stream.
pub(super) fn check(event: &Recorded, previous: &Digest) -> Result<(), LogError> {
    check_with(event, previous, &mut Metadata::default())
}

fn check_with<'a>(
    event: &'a Recorded,
    previous: &Digest,
    metadata: &mut Metadata<'a>,
) -> Result<(), LogError> {
    let content = Content {
        event_type: &event.event_type,
        event_version: &event.event_version,
        payload: &event.payload,
        metadata: &event.metadata,
    };
    let place = (&event.stream, event.sequence);
    let metadata = metadata.hash(&event.metadata);
    if chain_hash_with(previous, place, content, &metadata) == event.hash {
        return Ok(());
    }
    let cause = "its content does not match its hash, or the hash of the event before it; see \
         `specline audit verify`";
    Err(corrupt(event, cause))
}

/// Checks events of one stream that follow each other, behind the one of hash `before`.
pub(super) fn check_run(events: &[Recorded], before: Option<Digest>) -> Result<(), LogError> {
    let Some(first) = events.first() else { return Ok(()) };
    let mut previous = match before {
        Some(hash) => hash,
        None if first.sequence == 1 => GENESIS,
        None => return Err(corrupt(first, GONE)),
    };
    let mut metadata = Metadata::default();
    for event in events {
        check_with(event, &previous, &mut metadata)?;
        previous = event.hash;
    }
    Ok(())
}

const GONE: &str = "the event before it in its stream is missing; see `specline audit verify`";

/// The sequence of an event of a stream.
pub(super) type Place<'a> = (&'a StreamId, u64);

/// Events of any streams, in any order.
pub(super) struct Page<'a> {
    events: &'a [Recorded],
    hashes: HashMap<Place<'a>, Digest>,
}

impl<'a> Page<'a> {
    pub(super) fn of(events: &'a [Recorded]) -> Self {
        let hashes = events.iter().map(|event| ((&event.stream, event.sequence), event.hash));
        Self { events, hashes: hashes.collect() }
    }

    /// Those whose hashes are needed and that are not in the page.
    pub(super) fn missing(&self) -> Vec<Place<'a>> {
        let before = self.events.iter().filter(|event| event.sequence > 1);
        let before = before.map(|event| (&event.stream, event.sequence - 1));
        before.filter(|place| !self.hashes.contains_key(place)).collect()
    }

    /// Takes note of the hash of one that is not in the page.
    pub(super) fn note(&mut self, place: Place<'a>, hash: Digest) {
        self.hashes.insert(place, hash);
    }

    pub(super) fn check(&self) -> Result<(), LogError> {
        let mut metadata = Metadata::default();
        for event in self.events {
            let before = match event.sequence {
                1 => Some(&GENESIS),
                sequence => self.hashes.get(&(&event.stream, sequence.saturating_sub(1))),
            };
            let before = before.ok_or_else(|| corrupt(event, GONE))?;
            check_with(event, before, &mut metadata)?;
        }
        Ok(())
    }
}

fn corrupt(event: &Recorded, cause: &str) -> LogError {
    let Recorded { stream, sequence, position, .. } = event;
    LogError::Corrupt {
        place: format!("{stream} sequence {sequence}, position {position}"),
        cause: cause.to_owned(),
    }
}
