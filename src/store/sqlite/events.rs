//! Reads events, in order, and says so when one is missing or is not as it was written.

use rusqlite::{Connection, OptionalExtension};
use specline_aggregates::Digest;

use super::error::log_error;
use super::rows::{self, EVENT_COLUMNS, place};
use crate::store::links::{self, Page, Place};
use crate::store::{LogError, Position, Recorded, StreamHead, StreamId};

/// Rows for which an answer has room from the start.
const FIRST_ROOM: usize = 1_024;

pub(super) fn head(
    connection: &Connection,
    stream: &StreamId,
) -> rusqlite::Result<Option<StreamHead>> {
    let mut statement = connection.prepare_cached(
        "SELECT sequence, hash, position FROM events
         WHERE aggregate_type = ?1 AND aggregate_id = ?2 ORDER BY sequence DESC LIMIT 1",
    )?;
    let key = (&stream.aggregate_type, rows::text(&stream.aggregate_id));
    let found = statement.query_row(key, |row| {
        rows::counted(row, 2)?;
        Ok(StreamHead { version: rows::counted(row, 0)?, hash: rows::digest(row, 1)? })
    });
    found.optional()
}

/// The hash of one event of a stream.
fn hash_of(
    connection: &Connection,
    (stream, sequence): Place<'_>,
) -> rusqlite::Result<Option<Digest>> {
    let mut statement = connection.prepare_cached(
        "SELECT hash FROM events
         WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence = ?3",
    )?;
    let id = rows::text(&stream.aggregate_id);
    let key = (&stream.aggregate_type, id, rows::stored(sequence));
    statement.query_row(key, |row| rows::digest(row, 0)).optional()
}

/// Checks that events of any streams are as they were written.
pub(super) fn check(connection: &Connection, events: &[Recorded]) -> Result<(), LogError> {
    let mut page = Page::of(events);
    for place in page.missing() {
        if let Some(hash) = hash_of(connection, place).map_err(log_error)? {
            page.note(place, hash);
        }
    }
    page.check()
}

pub(super) fn of_stream(
    connection: &Connection,
    stream: &StreamId,
    after: u64,
    limit: usize,
) -> Result<Vec<Recorded>, LogError> {
    let (events, before) = unchecked(connection, stream, after, limit)?;
    links::check_run(&events, before)?;
    Ok(events)
}

/// The events, and the hash of the one before them, for [`links::check_run`].
pub(super) fn unchecked(
    connection: &Connection,
    stream: &StreamId,
    after: u64,
    limit: usize,
) -> Result<(Vec<Recorded>, Option<Digest>), LogError> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM events
         WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence > ?3
         ORDER BY sequence LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(log_error)?;
    let id = rows::text(&stream.aggregate_id);
    let key = (&stream.aggregate_type, id, rows::stored(after), rows::stored(limit as u64));
    let mut found = statement.query(key).map_err(log_error)?;
    let mut events: Vec<Recorded> = Vec::with_capacity(limit.min(FIRST_ROOM));
    while let Some(row) = found.next().map_err(log_error)? {
        let event = rows::recorded(row)?;
        let missing = after + events.len() as u64 + 1;
        if event.sequence != missing {
            return Err(LogError::Corrupt {
                place: place(stream, missing, event.position),
                cause: format!(
                    "sequence {missing} is missing: the next event there is {} at position {}",
                    event.sequence, event.position
                ),
            });
        }
        events.push(event);
    }
    let before = match after {
        0 => None,
        _ => hash_of(connection, (stream, after)).map_err(log_error)?,
    };
    Ok((events, before))
}

pub(super) fn of_log(
    connection: &Connection,
    after: Position,
    limit: usize,
) -> Result<Vec<Recorded>, LogError> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE position > ?1 ORDER BY position LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(log_error)?;
    let key = (rows::stored(after.0), rows::stored(limit as u64));
    let mut found = statement.query(key).map_err(log_error)?;
    let mut events: Vec<Recorded> = Vec::with_capacity(limit.min(FIRST_ROOM));
    while let Some(row) = found.next().map_err(log_error)? {
        let event = rows::recorded(row)?;
        let missing = after.0 + events.len() as u64 + 1;
        if event.position.0 != missing {
            return Err(LogError::Corrupt {
                place: format!("position {missing}"),
                cause: format!(
                    "the event there is missing: the next one is {}",
                    place(&event.stream, event.sequence, event.position)
                ),
            });
        }
        events.push(event);
    }
    check(connection, &events)?;
    Ok(events)
}
