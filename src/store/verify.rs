//! Recomputes the hash chain of every stream, event by event, and names the first that differs. It
//! knows no database: a store gives its rows as they lie there, through [`Scan`].

use async_trait::async_trait;
use specline_aggregates::Timestamp;

use super::chain::{Content, GENESIS, chain_hash};
use super::recent::Recent;
use super::{LogError, Position, Recorded, StreamHead, StreamId};

/// Events read at a time.
const PAGE: usize = 5_000;

/// Bytes of payloads and metadata after which a store ends a page early: events may have megabytes,
/// and memory must not grow with them.
pub const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Ends of streams kept in memory; those of others are read again when they are met.
const MAX_CACHED_STREAMS: usize = 65_536;

/// A row of the log that is there, and is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub position: Position,
    /// 0 where even that cannot be read.
    pub sequence: u64,
    pub cause: String,
}

/// One row of the log as it lies there.
pub type Scanned = Result<Recorded, Unreadable>;

/// The rows of a log, whole or not. Nothing is checked here, and nothing left out.
#[async_trait]
pub trait Scan: Send + Sync {
    /// At most `limit` rows at or after position `from`, in order; fewer after [`MAX_PAGE_BYTES`],
    /// and none only where there are none.
    async fn scan(&self, from: Position, limit: usize) -> Result<Vec<Scanned>, LogError>;

    /// The highest position that was ever given out, whether or not its event is still there.
    async fn given_out(&self) -> Result<Position, LogError>;

    /// The event of the same stream that stands before `event`, by sequence and by position: a
    /// stream's earlier events are earlier in the log.
    async fn head_before(&self, event: &Recorded) -> Result<Option<StreamHead>, LogError>;
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Events that are as they were written.
    pub events: u64,
    /// The last event that was checked.
    pub checked_to: Position,
    /// None: everything asked for is as it was written.
    pub first_difference: Option<Difference>,
}

/// The first event that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("position {position}, {stream} sequence {sequence}: {cause}")]
pub struct Difference {
    pub position: Position,
    /// `?` where the row cannot be read.
    pub stream: String,
    pub sequence: u64,
    pub cause: Cause,
}

/// In what an event differs from what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("its content does not match its hash, or the hash of the event before it")]
    HashMismatch,
    #[error("the event before it in its stream is missing (expected sequence {expected})")]
    SequenceGap { expected: u64 },
    #[error("events are missing before it (expected position {expected})")]
    PositionGap { expected: Position },
    #[error("events were cut off the end of the log, which went on to position {last}")]
    Truncated { last: Position },
    #[error("it is recorded before the event in front of it")]
    TimeGoesBack,
    #[error("it cannot be read: {cause}")]
    Unreadable { cause: String },
}

/// Checks the events from position `from` to `to` (both included; `to` may lie beyond the end).
/// A difference is an answer, not an error. `progress` is called after each page with the last
/// position checked.
pub async fn verify(
    log: &dyn Scan,
    from: Position,
    to: Position,
    mut progress: impl FnMut(Position) + Send,
) -> Result<Verification, LogError> {
    verify_each(log, from, to, |page| {
        if let Some(last) = page.last() {
            progress(last.position);
        }
    })
    .await
}

/// The same, and hands each page of checked events on.
pub async fn verify_each(
    log: &dyn Scan,
    from: Position,
    to: Position,
    mut each: impl FnMut(&[Recorded]) + Send,
) -> Result<Verification, LogError> {
    let mut check = Check::begin(log, from.0.max(1)).await?;
    let mut page = check.read(to).await?;
    loop {
        if page.is_empty() {
            page = check.look_for_a_cut(to).await?;
        }
        let Some(last) = page.last() else { return Ok(check.into_verification()) };
        // The next page is read while this one is checked.
        let after = position_of(last);
        let next = read(log, Position(after.0.saturating_add(1)), to);
        let (next, checked) = tokio::join!(next, check.page(page));
        each(&checked?);
        if check.difference.is_some() {
            return Ok(check.into_verification());
        }
        page = next?;
    }
}

fn position_of(row: &Scanned) -> Position {
    row.as_ref().map_or_else(|unreadable| unreadable.position, |event| event.position)
}

/// A page of rows from `from` on, and no further than as many rows as there may be up to `to`.
async fn read(log: &dyn Scan, from: Position, to: Position) -> Result<Vec<Scanned>, LogError> {
    let left = to.0.saturating_add(1).saturating_sub(from.0);
    match usize::try_from(left).unwrap_or(usize::MAX).min(PAGE) {
        0 => Ok(Vec::new()),
        limit => log.scan(from, limit).await,
    }
}

/// Where a verification stands.
struct Check<'a> {
    log: &'a dyn Scan,
    events: u64,
    /// Of the last event that was checked, or the one before the first.
    position: u64,
    recorded_at: Option<Timestamp>,
    heads: Recent<StreamId, StreamHead>,
    difference: Option<Difference>,
}

impl<'a> Check<'a> {
    async fn begin(log: &'a dyn Scan, from: u64) -> Result<Self, LogError> {
        let before = match from {
            1 => Vec::new(),
            _ => log.scan(Position(from - 1), 1).await?,
        };
        let before = before.first().and_then(|row| row.as_ref().ok());
        let before = before.filter(|event| event.position.0 == from - 1);
        Ok(Self {
            log,
            events: 0,
            position: from - 1,
            recorded_at: before.map(|event| event.recorded_at),
            heads: Recent::new(MAX_CACHED_STREAMS, usize::MAX),
            difference: None,
        })
    }

    fn into_verification(self) -> Verification {
        Verification {
            events: self.events,
            checked_to: Position(self.position),
            first_difference: self.difference,
        }
    }

    async fn read(&self, to: Position) -> Result<Vec<Scanned>, LogError> {
        read(self.log, Position(self.position + 1), to).await
    }

    /// The events of a page up to the first difference.
    async fn page(&mut self, page: Vec<Scanned>) -> Result<Vec<Recorded>, LogError> {
        let mut checked = Vec::with_capacity(page.len());
        for row in page {
            match row {
                Ok(event) => {
                    self.event(&event).await?;
                    if self.difference.is_some() {
                        break;
                    }
                    checked.push(event);
                }
                Err(unreadable) => {
                    self.difference = Some(Difference {
                        position: unreadable.position,
                        stream: "?".to_owned(),
                        sequence: unreadable.sequence,
                        cause: Cause::Unreadable { cause: unreadable.cause },
                    });
                    break;
                }
            }
        }
        Ok(checked)
    }

    async fn event(&mut self, event: &Recorded) -> Result<(), LogError> {
        if let Some(cause) = self.compare(event).await? {
            self.difference = Some(Difference {
                position: event.position,
                stream: event.stream.to_string(),
                sequence: event.sequence,
                cause,
            });
            return Ok(());
        }
        self.events += 1;
        self.position = event.position.0;
        self.recorded_at = Some(event.recorded_at);
        let head = StreamHead { version: event.sequence, hash: event.hash };
        self.heads.insert(event.stream.clone(), head, 0);
        Ok(())
    }

    async fn compare(&mut self, event: &Recorded) -> Result<Option<Cause>, LogError> {
        if event.position.0 != self.position + 1 {
            return Ok(Some(Cause::PositionGap { expected: Position(self.position + 1) }));
        }
        if self.recorded_at.is_some_and(|earlier| event.recorded_at < earlier) {
            return Ok(Some(Cause::TimeGoesBack));
        }
        let previous = match self.heads.get(&event.stream) {
            Some(head) => Some(*head),
            // Sequences begin at 1: there is nothing to look for.
            None if event.sequence <= 1 => None,
            None => self.log.head_before(event).await?,
        };
        let previous = previous.unwrap_or(StreamHead { version: 0, hash: GENESIS });
        if event.sequence != previous.version + 1 {
            return Ok(Some(Cause::SequenceGap { expected: previous.version + 1 }));
        }
        let content = Content {
            event_type: &event.event_type,
            event_version: &event.event_version,
            payload: &event.payload,
            metadata: &event.metadata,
        };
        let hash = chain_hash(&previous.hash, &event.stream, event.sequence, content);
        Ok((hash != event.hash).then_some(Cause::HashMismatch))
    }

    /// Where the rows end: the page that came meanwhile, if one did; else a difference, if
    /// positions were given out beyond the end.
    async fn look_for_a_cut(&mut self, to: Position) -> Result<Vec<Scanned>, LogError> {
        if self.position >= to.0 {
            return Ok(Vec::new());
        }
        let last = self.log.given_out().await?;
        let page = self.read(to).await?;
        if page.is_empty() && last.0 > self.position {
            self.difference = Some(Difference {
                position: Position(self.position + 1),
                stream: "?".to_owned(),
                sequence: 0,
                cause: Cause::Truncated { last },
            });
        }
        Ok(page)
    }
}
