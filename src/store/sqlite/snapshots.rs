//! Snapshots: a cache, one a stream.

use rusqlite::{Connection, OptionalExtension, Row};
use specline_aggregates::Digest;

use super::error::log_error;
use super::rows;
use crate::store::{LogError, Snapshot, StreamHead, StreamId};

pub(super) fn load(
    connection: &Connection,
    stream: &StreamId,
) -> Result<Option<Snapshot>, LogError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT last_sequence, hash, format, payload, mac FROM snapshots
             WHERE aggregate_type = ?1 AND aggregate_id = ?2",
        )
        .map_err(log_error)?;
    let key = (&stream.aggregate_type, rows::text(&stream.aggregate_id));
    statement.query_row(key, snapshot).optional().map_err(log_error)
}

fn snapshot(row: &Row<'_>) -> rusqlite::Result<Snapshot> {
    let head = StreamHead { version: rows::fetched(row, 0)?, hash: rows::digest(row, 1)? };
    let mac: Option<[u8; 32]> = row.get(4)?;
    let mac = mac.map(Digest::from_bytes);
    Ok(Snapshot { head, format: row.get(2)?, state: row.get(3)?, mac })
}

pub(super) fn page(
    connection: &Connection,
    after: Option<&StreamId>,
    limit: usize,
) -> Result<Vec<(StreamId, Snapshot)>, LogError> {
    let sql = "SELECT last_sequence, hash, format, payload, mac, aggregate_type, aggregate_id
               FROM snapshots WHERE (aggregate_type, aggregate_id) > (?1, ?2)
               ORDER BY aggregate_type, aggregate_id LIMIT ?3";
    let (kind, id) = after.map_or_else(Default::default, |stream| {
        (stream.aggregate_type.clone(), rows::text(&stream.aggregate_id))
    });
    let read = |row: &Row<'_>| {
        let stream = StreamId { aggregate_type: row.get(5)?, aggregate_id: rows::uuid(row, 6)? };
        Ok((stream, snapshot(row)?))
    };
    let mut statement = connection.prepare_cached(sql).map_err(log_error)?;
    let found = statement.query_map((kind, id, rows::stored(limit as u64)), read);
    found.map_err(log_error)?.collect::<Result<_, _>>().map_err(log_error)
}

pub(super) fn forget(connection: &Connection, stream: &StreamId) -> rusqlite::Result<()> {
    let sql = "DELETE FROM snapshots WHERE aggregate_type = ?1 AND aggregate_id = ?2";
    let key = (&stream.aggregate_type, rows::text(&stream.aggregate_id));
    connection.prepare_cached(sql)?.execute(key).map(drop)
}

pub(super) fn save(
    connection: &Connection,
    stream: &StreamId,
    snapshot: &Snapshot,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO snapshots
             (aggregate_type, aggregate_id, last_sequence, hash, format, payload, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET
             last_sequence = excluded.last_sequence, hash = excluded.hash,
             format = excluded.format, payload = excluded.payload, mac = excluded.mac
         WHERE excluded.last_sequence >= snapshots.last_sequence",
    )?;
    statement.execute((
        &stream.aggregate_type,
        rows::text(&stream.aggregate_id),
        rows::stored(snapshot.head.version),
        snapshot.head.hash.as_bytes(),
        snapshot.format,
        &snapshot.state,
        snapshot.mac.as_ref().map(Digest::as_bytes),
    ))?;
    Ok(())
}
