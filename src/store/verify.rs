//! Recomputes the hash chain of every stream, event by event, and names the first that differs. It
//! knows no database: a store gives its rows as they lie there, through [`Scan`].

mod batch;
mod census;
mod chains;

pub use batch::{Batch, Row, Sink};
pub use census::Census;

use async_trait::async_trait;

use super::audit::Leaf;
use super::{LogError, Position, Recorded, StreamHead};
use chains::Check;

/// Events read at a time.
const PAGE: usize = 5_000;

/// Bytes of payloads and metadata after which a store ends a page early: events may have megabytes,
/// and memory must not grow with them.
pub const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

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

    /// Puts the rows from `from` to `to` into `sink`, in order and as fast as it takes them; ends
    /// where there are none, behind one that cannot be read, or when no more are wanted.
    async fn pour(&self, from: Position, to: Position, sink: Sink) -> Result<(), LogError> {
        let mut next = from;
        while next <= to {
            let left = usize::try_from((to.0 - next.0).saturating_add(1)).unwrap_or(PAGE);
            let mut rows = self.scan(next, left.min(PAGE)).await?.into_iter().peekable();
            if rows.peek().is_none() {
                return Ok(());
            }
            while rows.peek().is_some() {
                let batch = batch_of(&mut rows);
                let last = batch.last();
                if !sink.put(batch).await {
                    return Ok(());
                }
                let Some(last) = last else { return Ok(()) };
                next = Position(last.0.saturating_add(1));
            }
        }
        Ok(())
    }

    /// The highest position that was ever given out, whether or not its event is still there.
    async fn given_out(&self) -> Result<Position, LogError>;

    /// What stands in the table of events and no position leads to.
    async fn strays(&self) -> Result<Strays, LogError>;

    /// What the store itself finds wrong with its files; none where it cannot look.
    async fn own_fault(&self) -> Result<Option<String>, LogError> {
        Ok(None)
    }

    /// Counts the rows up to position `to` on the way of a load, by stream and sequence, into a
    /// census like `like`; none where there is no other way than by position.
    async fn by_stream(&self, _to: Position, _like: &Census) -> Result<Option<Census>, LogError> {
        Ok(None)
    }

    /// The event of the same stream that stands before `event`, by sequence and by position: a
    /// stream's earlier events are earlier in the log.
    async fn head_before(&self, event: &Recorded) -> Result<Option<StreamHead>, LogError>;
}

/// Rows that no position leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strays {
    /// One below the first position: a load by stream would meet it.
    pub below: Option<Stray>,
    /// One of our aggregates that another program wrote, and that is no event.
    pub refused: Option<Stray>,
    /// Rows of other programs' aggregates, which are no business of ours.
    pub beside: u64,
}

/// A row that is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    pub stream: String,
    pub sequence: u64,
    /// What it is, in words.
    pub what: String,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Events that are as they were written.
    pub events: u64,
    /// The last event that was checked.
    pub checked_to: Position,
    /// Rows of other programs' aggregates in the same table.
    pub beside: u64,
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
    #[error("it is no event of the log: {what}")]
    Stray { what: String },
    #[error("the database finds its own file damaged: {cause}; restore it from a backup")]
    Store { cause: String },
    #[error(
        "an index does not lead to the events that are there ({found} of {rows}, or to others): \
         what is loaded is not what stands here; restore it from a backup"
    )]
    Index { rows: u64, found: u64 },
}

/// Checks the events from position `from` to `to` (both included; `to` may lie beyond the end).
/// A difference is an answer, not an error. `progress` is called now and then with the last
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

/// The same, and hands on the leaves of what was checked.
pub async fn verify_each(
    log: &dyn Scan,
    from: Position,
    to: Position,
    mut each: impl FnMut(&[Leaf]) + Send,
) -> Result<Verification, LogError> {
    let strays = log.strays().await?;
    let mut check = Check::begin(log, from.0.max(1), to).await?;
    check.strays(&strays);
    while check.difference.is_none() {
        // Rows are read while those before them are checked.
        let (sink, batches) = batch::channel();
        let poured = log.pour(check.next(), to, sink);
        let (poured, checked) = tokio::join!(poured, check.all(log, batches, &mut each));
        check = checked?;
        if check.difference.is_none() {
            poured?;
        }
        if !check.goes_on(log, to).await? {
            break;
        }
    }
    check.around(log, &strays).await?;
    Ok(check.into_verification(strays.beside))
}

fn batch_of(rows: &mut impl Iterator<Item = Scanned>) -> Batch {
    let mut batch = Batch::default();
    while !batch.is_full()
        && let Some(row) = rows.next()
    {
        match row {
            Ok(event) => batch.push(Row::of(&event)),
            Err(unreadable) => batch.break_off(unreadable),
        }
    }
    batch
}
