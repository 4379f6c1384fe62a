//! How values of the log stand in PostgreSQL's columns.

use specline_aggregates::{Digest, Timestamp};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::store::{LogError, Position, Recorded, StreamId};

/// Columns of `events`, in the order in which [`recorded`] reads them. JSON is read as the text
/// that was written.
pub(super) const EVENT_COLUMNS: &str = "position, aggregate_type, aggregate_id, sequence, \
     event_type, event_version, payload::text, metadata::text, recorded_at, hash";

pub(super) fn text(id: &Uuid) -> String {
    id.hyphenated().to_string()
}

/// PostgreSQL's integers are signed. A number over 2^63 is stored as 2^63 - 1: none of ours counts
/// so far.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn fetched(row: &PgRow, column: usize) -> sqlx::Result<u64> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// A number that counts from 1. What stands below is no event of the log, whoever put it there.
pub(super) fn counted(row: &PgRow, column: usize) -> sqlx::Result<u64> {
    match fetched(row, column)? {
        0 => Err(sqlx::Error::Decode("it counts from 1".into())),
        number => Ok(number),
    }
}

pub(super) fn digest(row: &PgRow, column: usize) -> sqlx::Result<Digest> {
    let bytes: &[u8] = row.try_get(column)?;
    let bytes: [u8; 32] = bytes.try_into().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Digest::from_bytes(bytes))
}

pub(super) fn time(row: &PgRow, column: usize) -> sqlx::Result<Timestamp> {
    Ok(Timestamp::from_micros(row.try_get(column)?))
}

/// One event. A row that cannot be read is `Corrupt`, and named as far as it can be.
pub(super) fn recorded(row: &PgRow) -> Result<Recorded, LogError> {
    read_recorded(row).map_err(|error| LogError::Corrupt {
        place: named(row),
        cause: format!("the row cannot be read: {error}"),
    })
}

fn read_recorded(row: &PgRow) -> sqlx::Result<Recorded> {
    let id: &str = row.try_get(2)?;
    let aggregate_id = Uuid::try_parse(id).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Recorded {
        position: Position(counted(row, 0)?),
        stream: StreamId { aggregate_type: row.try_get(1)?, aggregate_id },
        sequence: counted(row, 3)?,
        event_type: row.try_get(4)?,
        event_version: row.try_get(5)?,
        payload: row.try_get(6)?,
        metadata: row.try_get(7)?,
        recorded_at: time(row, 8)?,
        hash: digest(row, 9)?,
    })
}

fn named(row: &PgRow) -> String {
    let text = |column: usize| row.try_get::<String, _>(column).unwrap_or_else(|_| "?".to_owned());
    let number = |column: usize| {
        row.try_get::<i64, _>(column).map_or_else(|_| "?".to_owned(), |number| number.to_string())
    };
    format!("{} {} sequence {}, position {}", text(1), text(2), number(3), number(0))
}

/// The place of an event, as `Corrupt` names it.
pub(super) fn place(stream: &StreamId, sequence: u64, position: Position) -> String {
    format!("{stream} sequence {sequence}, position {position}")
}

/// PostgreSQL cannot store U+0000 in a text.
pub(super) fn storable(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}
