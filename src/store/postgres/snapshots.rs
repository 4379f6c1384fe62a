//! Snapshots, a cache, and blobs: bytes under their digest, checked when they are read.

use specline_aggregates::Digest;
use specline_pg::Pool;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::error::log_error;
use super::rows;
use crate::store::{Blob, LogError, Snapshot, StreamHead, StreamId};

/// Our snapshot of the stream. One that postgres-es left beside it has no hash, and is none.
pub(super) async fn load(pool: &Pool, stream: &StreamId) -> Result<Option<Snapshot>, LogError> {
    let sql = "SELECT last_sequence, hash, format, payload::text, mac FROM snapshots
               WHERE aggregate_type = $1 AND aggregate_id = $2
                 AND hash IS NOT NULL AND format IS NOT NULL
               ORDER BY last_sequence DESC LIMIT 1";
    let query =
        sqlx::query(sql).bind(&stream.aggregate_type).bind(rows::text(&stream.aggregate_id));
    let Some(row) = query.fetch_optional(pool).await.map_err(log_error)? else { return Ok(None) };
    snapshot(&row).map(Some).map_err(log_error)
}

fn snapshot(row: &PgRow) -> sqlx::Result<Snapshot> {
    let format: i64 = row.try_get(2)?;
    let mac: Option<&[u8]> = row.try_get(4)?;
    Ok(Snapshot {
        head: StreamHead { version: rows::fetched(row, 0)?, hash: rows::digest(row, 1)? },
        format: u32::try_from(format).unwrap_or(u32::MAX),
        state: row.try_get(3)?,
        mac: mac.and_then(|mac| Some(Digest::from_bytes(mac.try_into().ok()?))),
    })
}

/// Ours behind that of a stream, in the order of the streams: of each the one that is loaded.
pub(super) async fn page(
    pool: &Pool,
    after: Option<&StreamId>,
    limit: usize,
) -> Result<Vec<(StreamId, Snapshot)>, LogError> {
    let sql = "SELECT DISTINCT ON (aggregate_type, aggregate_id)
                   last_sequence, hash, format, payload::text, mac, aggregate_type, aggregate_id
               FROM snapshots
               WHERE hash IS NOT NULL AND format IS NOT NULL
                 AND (aggregate_type, aggregate_id) > ($1, $2)
               ORDER BY aggregate_type, aggregate_id, last_sequence DESC LIMIT $3";
    let (kind, id) = after.map_or_else(Default::default, |stream| {
        (stream.aggregate_type.clone(), rows::text(&stream.aggregate_id))
    });
    let query = sqlx::query(sql).bind(kind).bind(id).bind(rows::stored(limit as u64));
    let found = query.fetch_all(pool).await.map_err(log_error)?;
    let read = |row: &PgRow| -> sqlx::Result<(StreamId, Snapshot)> {
        let id: &str = row.try_get(6)?;
        let id = Uuid::try_parse(id).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok((StreamId { aggregate_type: row.try_get(5)?, aggregate_id: id }, snapshot(row)?))
    };
    found.iter().map(read).collect::<sqlx::Result<_>>().map_err(log_error)
}

/// Takes ours away, and leaves what postgres-es has.
pub(super) async fn forget(pool: &Pool, stream: &StreamId) -> Result<(), LogError> {
    let sql = "DELETE FROM snapshots
               WHERE aggregate_type = $1 AND aggregate_id = $2 AND hash IS NOT NULL";
    let query =
        sqlx::query(sql).bind(&stream.aggregate_type).bind(rows::text(&stream.aggregate_id));
    query.execute(pool).await.map(drop).map_err(log_error)
}

/// Replaces ours, unless a later one is there; in one statement, which is whole or not at all.
pub(super) async fn save(
    pool: &Pool,
    stream: &StreamId,
    snapshot: &Snapshot,
) -> Result<(), LogError> {
    let sql = "WITH older AS (
                   DELETE FROM snapshots
                   WHERE aggregate_type = $1 AND aggregate_id = $2 AND last_sequence < $3
                     AND hash IS NOT NULL
               )
               INSERT INTO snapshots AS s (aggregate_type, aggregate_id, last_sequence,
                   current_snapshot, payload, hash, format, mac)
               SELECT $1, $2, $3, $3, $4::json, $5, $6, $7 WHERE NOT EXISTS (
                   SELECT FROM snapshots l
                   WHERE l.aggregate_type = $1 AND l.aggregate_id = $2 AND l.last_sequence > $3
                     AND l.hash IS NOT NULL
               )
               ON CONFLICT (aggregate_type, aggregate_id, last_sequence) DO UPDATE SET
                   current_snapshot = excluded.current_snapshot, payload = excluded.payload,
                   hash = excluded.hash, format = excluded.format, mac = excluded.mac";
    sqlx::query(sql)
        .bind(&stream.aggregate_type)
        .bind(rows::text(&stream.aggregate_id))
        .bind(rows::stored(snapshot.head.version))
        .bind(&snapshot.state)
        .bind(snapshot.head.hash.as_bytes().as_slice())
        .bind(i64::from(snapshot.format))
        .bind(snapshot.mac.as_ref().map(|mac| mac.as_bytes().as_slice()))
        .execute(pool)
        .await
        .map_err(log_error)?;
    Ok(())
}

pub(super) async fn put_blob(pool: &Pool, blob: &Blob) -> Result<(), LogError> {
    let sql = "INSERT INTO blobs (digest, bytes) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
    sqlx::query(sql)
        .bind(blob.digest.as_bytes().as_slice())
        .bind(blob.bytes.as_slice())
        .execute(pool)
        .await
        .map_err(log_error)?;
    Ok(())
}

pub(super) async fn blob(pool: &Pool, digest: &Digest) -> Result<Option<Vec<u8>>, LogError> {
    let query = sqlx::query("SELECT bytes FROM blobs WHERE digest = $1");
    let query = query.bind(digest.as_bytes().as_slice());
    let Some(row) = query.fetch_optional(pool).await.map_err(log_error)? else { return Ok(None) };
    let bytes: Vec<u8> = row.try_get(0).map_err(log_error)?;
    let actual = Digest::of(&bytes);
    if actual != *digest {
        return Err(LogError::Corrupt {
            place: format!("blob {digest}"),
            cause: format!("its bytes have the digest {actual}"),
        });
    }
    Ok(Some(bytes))
}
