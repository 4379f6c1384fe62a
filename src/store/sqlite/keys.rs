//! Idempotency keys: what the first append under each did.

use rusqlite::{Connection, OptionalExtension};
use specline_aggregates::Timestamp;
use uuid::Uuid;

use super::error::log_error;
use super::rows;
use crate::store::{Appended, Key, KeyRecord, LogError, Position, StreamHead};

/// A key's row.
pub(super) struct FirstUse {
    pub(super) record: KeyRecord,
    head: StreamHead,
    recorded_at: Timestamp,
}

impl FirstUse {
    /// What a repeat is told.
    pub(super) fn repeated(self) -> Appended {
        Appended {
            position: self.record.position,
            head: self.head,
            recorded_at: self.recorded_at,
            repeated: true,
            answer: self.record.answer,
        }
    }
}

pub(super) fn record(
    connection: &Connection,
    aggregate_id: &Uuid,
    key: &str,
) -> Result<Option<KeyRecord>, LogError> {
    let found = find(connection, aggregate_id, key).map_err(log_error)?;
    Ok(found.map(|first| first.record))
}

pub(super) fn find(
    connection: &Connection,
    aggregate_id: &Uuid,
    key: &str,
) -> rusqlite::Result<Option<FirstUse>> {
    let mut statement = connection.prepare_cached(
        "SELECT request, position, version, answer, hash, recorded_at
         FROM idempotency_keys WHERE aggregate_id = ?1 AND key = ?2",
    )?;
    let found = statement.query_row((rows::text(aggregate_id), key), |row| {
        let version = rows::fetched(row, 2)?;
        Ok(FirstUse {
            record: KeyRecord {
                request: rows::digest(row, 0)?,
                position: Position(rows::fetched(row, 1)?),
                version,
                answer: row.get(3)?,
            },
            head: StreamHead { version, hash: rows::digest(row, 4)? },
            recorded_at: rows::time(row, 5)?,
        })
    });
    found.optional()
}

pub(super) fn insert(
    connection: &Connection,
    aggregate_id: &str,
    key: &Key,
    appended: &Appended,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO idempotency_keys
             (aggregate_id, key, request, position, version, hash, recorded_at, answer)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    statement.execute((
        aggregate_id,
        &key.key,
        key.request.as_bytes(),
        rows::stored(appended.position.0),
        rows::stored(appended.head.version),
        appended.head.hash.as_bytes(),
        appended.recorded_at.micros(),
        &key.answer,
    ))?;
    Ok(())
}
