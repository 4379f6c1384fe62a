//! How values of the log stand in SQLite's columns.

use rusqlite::types::Type;
use rusqlite::{Error, Row};
use specline_aggregates::{Digest, Timestamp};
use uuid::Uuid;

use crate::store::{LogError, Position, Recorded, StreamId};

/// Columns of `events`, in the order in which [`recorded`] reads them.
pub(super) const EVENT_COLUMNS: &str = "position, aggregate_type, aggregate_id, sequence, \
     event_type, event_version, payload, metadata, recorded_at, hash";

pub(super) fn text(id: &Uuid) -> String {
    id.hyphenated().to_string()
}

/// SQLite's integers are signed. A number over 2^63 is stored as 2^63 - 1: none of ours counts so
/// far.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn fetched(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| Error::IntegralValueOutOfRange(column, number))
}

/// A number that counts from 1. What stands below is no event of the log, whoever put it there.
pub(super) fn counted(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    match fetched(row, column)? {
        0 => Err(Error::IntegralValueOutOfRange(column, 0)),
        number => Ok(number),
    }
}

pub(super) fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    let value = row.get_ref(column)?.as_str()?;
    Uuid::try_parse(value).map_err(|error| unreadable(column, Type::Text, error))
}

pub(super) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    Ok(Digest::from_bytes(row.get(column)?))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Ok(Timestamp::from_micros(row.get(column)?))
}

pub(super) fn unreadable(
    column: usize,
    kind: Type,
    error: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::FromSqlConversionFailure(column, kind, Box::new(error))
}

/// One event. A row that cannot be read is `Corrupt`, and named as far as it can be.
pub(super) fn recorded(row: &Row<'_>) -> Result<Recorded, LogError> {
    read_recorded(row).map_err(|error| LogError::Corrupt {
        place: named(row),
        cause: format!("the row cannot be read: {error}"),
    })
}

fn read_recorded(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    Ok(Recorded {
        position: Position(counted(row, 0)?),
        stream: StreamId { aggregate_type: row.get(1)?, aggregate_id: uuid(row, 2)? },
        sequence: counted(row, 3)?,
        event_type: row.get(4)?,
        event_version: row.get(5)?,
        payload: row.get(6)?,
        metadata: row.get(7)?,
        recorded_at: time(row, 8)?,
        hash: digest(row, 9)?,
    })
}

fn named(row: &Row<'_>) -> String {
    let column = |column| {
        let value = row.get_ref(column).ok();
        let text = value.and_then(|value| match value.data_type() {
            Type::Integer => value.as_i64().ok().map(|number| number.to_string()),
            Type::Text => value.as_str().ok().map(str::to_owned),
            Type::Null | Type::Real | Type::Blob => None,
        });
        text.unwrap_or_else(|| "?".to_owned())
    };
    format!("{} {} sequence {}, position {}", column(1), column(2), column(3), column(0))
}

/// The place of an event, as `Corrupt` names it.
pub(super) fn place(stream: &StreamId, sequence: u64, position: Position) -> String {
    format!("{stream} sequence {sequence}, position {position}")
}
