//! Snapshots: a cache, one a stream.

use rusqlite::{Connection, OptionalExtension};

use super::error::log_error;
use super::rows;
use crate::store::{LogError, Snapshot, StreamHead, StreamId};

pub(super) fn load(
    connection: &Connection,
    stream: &StreamId,
) -> Result<Option<Snapshot>, LogError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT last_sequence, hash, format, payload FROM snapshots
             WHERE aggregate_type = ?1 AND aggregate_id = ?2",
        )
        .map_err(log_error)?;
    let key = (&stream.aggregate_type, rows::text(&stream.aggregate_id));
    let found = statement.query_row(key, |row| {
        let head = StreamHead { version: rows::fetched(row, 0)?, hash: rows::digest(row, 1)? };
        Ok(Snapshot { head, format: row.get(2)?, state: row.get(3)? })
    });
    found.optional().map_err(log_error)
}

pub(super) fn save(
    connection: &Connection,
    stream: &StreamId,
    snapshot: &Snapshot,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO snapshots
             (aggregate_type, aggregate_id, last_sequence, hash, format, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET
             last_sequence = excluded.last_sequence, hash = excluded.hash,
             format = excluded.format, payload = excluded.payload
         WHERE excluded.last_sequence >= snapshots.last_sequence",
    )?;
    statement.execute((
        &stream.aggregate_type,
        rows::text(&stream.aggregate_id),
        rows::stored(snapshot.head.version),
        snapshot.head.hash.as_bytes(),
        snapshot.format,
        &snapshot.state,
    ))?;
    Ok(())
}
