//! Recomputes the hash chain of every stream, event by event, and names the first that differs.
//! Reads rows one at a time: memory does not grow with the log.

use rusqlite::{Connection, OptionalExtension, Row};
use specline_aggregates::Timestamp;

use super::error::log_error;
use super::log::SqliteLog;
use super::rows::{self, EVENT_COLUMNS};
use crate::store::chain::{Content, GENESIS, chain_hash};
use crate::store::recent::Recent;
use crate::store::{LogError, Position, Recorded, StreamHead, StreamId};

/// Events checked between two calls of `progress`.
const PAGE: u64 = 5_000;

/// Ends of streams kept in memory; those of others are read again when they are met.
const MAX_CACHED_STREAMS: usize = 65_536;

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

impl SqliteLog {
    /// Checks the events from position `from` to `to` (both included; `to` may lie beyond the end).
    /// A difference is an answer, not an error. `progress` is called now and then with the last
    /// position checked.
    pub async fn verify(
        &self,
        from: Position,
        to: Position,
        mut progress: impl FnMut(Position) + Send,
    ) -> Result<Verification, LogError> {
        let from = from.0.max(1);
        let mut check = Some(Check::new(from));
        let mut next = from;
        loop {
            let mut running = check.take().expect("each page gives the check back");
            let last = to.0.min(next.saturating_add(PAGE - 1));
            let (running, at_end) = self
                .read(move |connection| {
                    let at_end = running.page(connection, next, last)?;
                    Ok((running, at_end))
                })
                .await?;
            progress(Position(running.position));
            if at_end || running.difference.is_some() || last >= to.0 {
                return Ok(running.into_verification());
            }
            next = last + 1;
            check = Some(running);
        }
    }
}

/// Where a verification stands.
struct Check {
    events: u64,
    /// Of the last event that was checked, or the one before the first.
    position: u64,
    recorded_at: Option<Timestamp>,
    heads: Recent<StreamId, StreamHead>,
    difference: Option<Difference>,
}

impl Check {
    fn new(from: u64) -> Self {
        Self {
            events: 0,
            position: from - 1,
            recorded_at: None,
            heads: Recent::new(MAX_CACHED_STREAMS, usize::MAX),
            difference: None,
        }
    }

    fn into_verification(self) -> Verification {
        Verification {
            events: self.events,
            checked_to: Position(self.position),
            first_difference: self.difference,
        }
    }

    /// Checks the positions from `first` to `last`. True when the log has no more.
    fn page(&mut self, connection: &Connection, first: u64, last: u64) -> Result<bool, LogError> {
        if self.recorded_at.is_none() {
            self.recorded_at = time_of(connection, self.position)?;
        }
        let sql = format!(
            "SELECT {EVENT_COLUMNS} FROM events WHERE position >= ?1 ORDER BY position LIMIT ?2"
        );
        let mut statement = connection.prepare_cached(&sql).map_err(log_error)?;
        let key = (rows::stored(first), rows::stored(last - first + 1));
        let mut found = statement.query(key).map_err(log_error)?;
        let mut at_end = true;
        while let Some(row) = found.next().map_err(log_error)? {
            if rows::fetched(row, 0).map_err(log_error)? > last {
                return self.gap_at(row, self.position + 1).map(|()| false);
            }
            self.event(connection, row)?;
            if self.difference.is_some() {
                return Ok(false);
            }
            at_end = self.position < last;
        }
        if at_end {
            self.look_for_a_cut(connection)?;
        }
        Ok(at_end)
    }

    fn gap_at(&mut self, row: &Row<'_>, expected: u64) -> Result<(), LogError> {
        let expected = Position(expected);
        let event = rows::recorded(row)?;
        self.difference = Some(differs(&event, Cause::PositionGap { expected }));
        Ok(())
    }

    fn event(&mut self, connection: &Connection, row: &Row<'_>) -> Result<(), LogError> {
        let event = match rows::recorded(row) {
            Ok(event) => event,
            Err(error) => {
                self.difference = Some(unreadable(row, &error));
                return Ok(());
            }
        };
        self.difference = self.compare(connection, &event)?.map(|cause| differs(&event, cause));
        if self.difference.is_none() {
            let head = StreamHead { version: event.sequence, hash: event.hash };
            self.events += 1;
            self.position = event.position.0;
            self.recorded_at = Some(event.recorded_at);
            self.heads.insert(event.stream, head, 0);
        }
        Ok(())
    }

    fn compare(
        &mut self,
        connection: &Connection,
        event: &Recorded,
    ) -> Result<Option<Cause>, LogError> {
        if event.position.0 != self.position + 1 {
            return Ok(Some(Cause::PositionGap { expected: Position(self.position + 1) }));
        }
        if self.recorded_at.is_some_and(|earlier| event.recorded_at < earlier) {
            return Ok(Some(Cause::TimeGoesBack));
        }
        let previous = match self.heads.get(&event.stream) {
            Some(head) => Some(*head),
            None => head_before(connection, event)?,
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

    /// SQLite remembers the highest position it gave out.
    fn look_for_a_cut(&mut self, connection: &Connection) -> Result<(), LogError> {
        let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'";
        let last = connection.query_row(sql, [], |row| rows::fetched(row, 0)).map_err(log_error)?;
        let end = super::writer::read_end(connection).map_err(log_error)?;
        if last > end.position {
            self.difference = Some(Difference {
                position: Position(end.position + 1),
                stream: "?".to_owned(),
                sequence: 0,
                cause: Cause::Truncated { last: Position(last) },
            });
        }
        Ok(())
    }
}

fn differs(event: &Recorded, cause: Cause) -> Difference {
    Difference {
        position: event.position,
        stream: event.stream.to_string(),
        sequence: event.sequence,
        cause,
    }
}

fn unreadable(row: &Row<'_>, error: &LogError) -> Difference {
    Difference {
        position: Position(rows::fetched(row, 0).unwrap_or(0)),
        stream: "?".to_owned(),
        sequence: rows::fetched(row, 3).unwrap_or(0),
        cause: Cause::Unreadable { cause: error.to_string() },
    }
}

/// The event of the same stream that stands before `event`, by position: a stream's earlier events
/// are earlier in the log.
fn head_before(connection: &Connection, event: &Recorded) -> Result<Option<StreamHead>, LogError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT sequence, hash FROM events
             WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence < ?3 AND position < ?4
             ORDER BY sequence DESC LIMIT 1",
        )
        .map_err(log_error)?;
    let key = (
        &event.stream.aggregate_type,
        rows::text(&event.stream.aggregate_id),
        rows::stored(event.sequence),
        rows::stored(event.position.0),
    );
    let found = statement.query_row(key, |row| {
        Ok(StreamHead { version: rows::fetched(row, 0)?, hash: rows::digest(row, 1)? })
    });
    found.optional().map_err(log_error)
}

fn time_of(connection: &Connection, position: u64) -> Result<Option<Timestamp>, LogError> {
    connection
        .prepare_cached("SELECT recorded_at FROM events WHERE position = ?1")
        .and_then(|mut statement| {
            statement.query_row([rows::stored(position)], |row| rows::time(row, 0)).optional()
        })
        .map_err(log_error)
}
