//! Where a verification stands, and the check of one event after the other.

use specline_aggregates::Timestamp;
use tokio::sync::mpsc::Receiver;

use super::batch::{Batch, Row};
use super::{Cause, Census, Difference, Scan, Stray, Strays, Unreadable, Verification};
use crate::store::audit::Leaf;
use crate::store::chain::{Content, GENESIS, chain_hash};
use crate::store::recent::Recent;
use crate::store::{LogError, Position, StreamHead, StreamId};

/// Ends of streams kept in memory; those of others are read again when they are met.
const MAX_CACHED_STREAMS: usize = 65_536;

pub(super) struct Check {
    events: u64,
    /// Of the last event that was checked, or the one before the first.
    position: u64,
    recorded_at: Option<Timestamp>,
    heads: Recent<StreamId, StreamHead>,
    /// The stream of the event that is being checked.
    stream: StreamId,
    /// Of the stream that was asked for: where it stood before that position.
    asked: Option<(Position, Option<StreamHead>)>,
    /// Of all events, where the whole log is checked.
    census: Option<Census>,
    pub(super) difference: Option<Difference>,
}

/// What came of an event.
enum Found {
    AsWritten,
    Differs(Cause),
    /// Where its stream stood before has to be read.
    Unknown,
}

impl Check {
    pub(super) async fn begin(log: &dyn Scan, from: u64, to: Position) -> Result<Self, LogError> {
        let before = match from {
            1 => Vec::new(),
            _ => log.scan(Position(from - 1), 1).await?,
        };
        let before = before.first().and_then(|row| row.as_ref().ok());
        let before = before.filter(|event| event.position.0 == from - 1);
        Ok(Self {
            events: 0,
            position: from - 1,
            recorded_at: before.map(|event| event.recorded_at),
            heads: Recent::new(MAX_CACHED_STREAMS, usize::MAX),
            stream: StreamId { aggregate_type: String::new(), aggregate_id: uuid::Uuid::nil() },
            asked: None,
            census: (from == 1 && to.0 == u64::MAX).then(Census::draw),
            difference: None,
        })
    }

    /// What stands below the first position comes before everything else.
    pub(super) fn strays(&mut self, strays: &Strays) {
        if let Some(stray) = &strays.below {
            self.strayed(stray);
        }
    }

    fn strayed(&mut self, Stray { stream, sequence, what }: &Stray) {
        self.difference = Some(Difference {
            position: Position(0),
            stream: stream.clone(),
            sequence: *sequence,
            cause: Cause::Stray { what: what.clone() },
        });
    }

    /// Once every event is as it was written: whether a load finds these very rows, and whether
    /// anything stands beside them.
    pub(super) async fn around(&mut self, log: &dyn Scan, strays: &Strays) -> Result<(), LogError> {
        if self.difference.is_some() {
            return Ok(());
        }
        if let Some(stray) = &strays.refused {
            self.strayed(stray);
            return Ok(());
        }
        let Some(census) = self.census.take() else { return Ok(()) };
        let of_store = |cause| Difference {
            position: Position(0),
            stream: "?".to_owned(),
            sequence: 0,
            cause,
        };
        if let Some(cause) = log.own_fault().await? {
            self.difference = Some(of_store(Cause::Store { cause }));
            return Ok(());
        }
        let found = log.by_stream(Position(self.position), &census).await?;
        if let Some(found) = found.filter(|found| *found != census) {
            let (rows, found) = (census.rows(), found.rows());
            self.difference = Some(of_store(Cause::Index { rows, found }));
        }
        Ok(())
    }

    pub(super) const fn next(&self) -> Position {
        Position(self.position + 1)
    }

    pub(super) fn into_verification(self, beside: u64) -> Verification {
        Verification {
            events: self.events,
            checked_to: Position(self.position),
            beside,
            first_difference: self.difference,
        }
    }

    /// Checks what comes, up to the first difference. `each` gets what was checked while the next
    /// is being checked, on another thread.
    pub(super) async fn all(
        self,
        log: &dyn Scan,
        mut batches: Receiver<Batch>,
        each: &mut (impl FnMut(&[Leaf]) + Send),
    ) -> Result<Self, LogError> {
        let (mut check, mut leaves) = (self, Vec::new());
        while check.difference.is_none()
            && let Some(batch) = batches.recv().await
        {
            let mut work = Work { check, batch, leaves: Vec::new() };
            let mut told = false;
            loop {
                let running = tokio::task::spawn_blocking(move || work.run());
                if !std::mem::replace(&mut told, true) && !leaves.is_empty() {
                    each(&leaves);
                }
                work = running.await.map_err(|_| LogError::Transient {
                    cause: "the check of the log was broken off".to_owned(),
                })?;
                let Some(row) = work.unknown() else { break };
                let head = log.head_before(&row.key()).await?;
                work.check.asked = Some((row.position, head));
            }
            (check, leaves) = (work.check, work.leaves);
        }
        if !leaves.is_empty() {
            each(&leaves);
        }
        Ok(check)
    }

    fn event(&mut self, row: &Row<'_>) -> Found {
        if row.position.0 != self.position + 1 {
            return Found::Differs(Cause::PositionGap { expected: self.next() });
        }
        if self.recorded_at.is_some_and(|earlier| row.recorded_at < earlier) {
            return Found::Differs(Cause::TimeGoesBack);
        }
        if self.stream.aggregate_type != row.aggregate_type {
            row.aggregate_type.clone_into(&mut self.stream.aggregate_type);
        }
        self.stream.aggregate_id = row.aggregate_id;
        let known = self.heads.get_mut(&self.stream);
        let previous = match (&known, self.asked) {
            (Some(head), _) => Some(**head),
            // Sequences begin at 1: there is nothing to look for.
            (None, _) if row.sequence <= 1 => None,
            (None, Some((position, head))) if position == row.position => head,
            (None, _) => return Found::Unknown,
        };
        let previous = previous.unwrap_or(StreamHead { version: 0, hash: GENESIS });
        if row.sequence != previous.version + 1 {
            return Found::Differs(Cause::SequenceGap { expected: previous.version + 1 });
        }
        let content = Content {
            event_type: row.event_type,
            event_version: row.event_version,
            payload: row.payload,
            metadata: row.metadata,
        };
        let hash = chain_hash(&previous.hash, &self.stream, row.sequence, content);
        if hash != row.hash {
            return Found::Differs(Cause::HashMismatch);
        }
        let head = StreamHead { version: row.sequence, hash };
        match known {
            Some(known) => *known = head,
            None => self.heads.insert(self.stream.clone(), head, 0),
        }
        if let Some(census) = &mut self.census {
            let mut id = uuid::Uuid::encode_buffer();
            let id: &str = row.aggregate_id.hyphenated().encode_lower(&mut id);
            census.add((row.aggregate_type, id), row.sequence, row.position.0);
        }
        self.events += 1;
        self.position = row.position.0;
        self.recorded_at = Some(row.recorded_at);
        Found::AsWritten
    }

    fn differs(&mut self, row: &Row<'_>, cause: Cause) {
        self.difference = Some(Difference {
            position: row.position,
            stream: row.stream().to_string(),
            sequence: row.sequence,
            cause,
        });
    }

    fn unreadable(&mut self, row: &Unreadable) {
        self.difference = Some(Difference {
            position: row.position,
            stream: "?".to_owned(),
            sequence: row.sequence,
            cause: Cause::Unreadable { cause: row.cause.clone() },
        });
    }

    /// Where the rows end: whether to go on, as one came meanwhile. If positions were given out
    /// beyond the end, that is a difference.
    pub(super) async fn goes_on(&mut self, log: &dyn Scan, to: Position) -> Result<bool, LogError> {
        if self.difference.is_some() || self.position >= to.0 {
            return Ok(false);
        }
        let last = log.given_out().await?;
        if !log.scan(self.next(), 1).await?.is_empty() {
            return Ok(true);
        }
        if last.0 > self.position {
            self.difference = Some(Difference {
                position: self.next(),
                stream: "?".to_owned(),
                sequence: 0,
                cause: Cause::Truncated { last },
            });
        }
        Ok(false)
    }
}

/// A batch that is being checked.
struct Work {
    check: Check,
    batch: Batch,
    /// Of the events that are as they were written.
    leaves: Vec<Leaf>,
}

impl Work {
    /// To the end, to the first difference, or to an event whose stream is not known.
    fn run(mut self) -> Self {
        let Self { check, batch, leaves } = &mut self;
        while check.difference.is_none() && leaves.len() < batch.len() {
            let row = batch.row(leaves.len());
            match check.event(&row) {
                Found::AsWritten => {
                    let Row { position, recorded_at, hash, .. } = row;
                    leaves.push(Leaf { position, recorded_at, hash });
                }
                Found::Unknown => return self,
                Found::Differs(cause) => check.differs(&row, cause),
            }
        }
        if let Some(row) = batch.broken().filter(|_| check.difference.is_none()) {
            check.unreadable(row);
        }
        self
    }

    /// The event that the check stopped at, for want of its stream.
    fn unknown(&self) -> Option<Row<'_>> {
        let at = self.leaves.len();
        let more = self.check.difference.is_none() && at < self.batch.len();
        more.then(|| self.batch.row(at))
    }
}
