//! Snapshots, a cache, and blobs: bytes under their digest, checked when they are read.

use specline_aggregates::Digest;
use sqlx::Row;
use sqlx::postgres::PgPool;

use super::error::log_error;
use super::rows;
use crate::store::{Blob, LogError, Snapshot, StreamHead, StreamId};

/// Our snapshot of the stream. One that postgres-es left beside it has no hash, and is none.
pub(super) async fn load(pool: &PgPool, stream: &StreamId) -> Result<Option<Snapshot>, LogError> {
    let sql = "SELECT last_sequence, hash, format, payload::text FROM snapshots
               WHERE aggregate_type = $1 AND aggregate_id = $2
                 AND hash IS NOT NULL AND format IS NOT NULL
               ORDER BY last_sequence DESC LIMIT 1";
    let query =
        sqlx::query(sql).bind(&stream.aggregate_type).bind(rows::text(&stream.aggregate_id));
    let Some(row) = query.fetch_optional(pool).await.map_err(log_error)? else { return Ok(None) };
    let read = || -> sqlx::Result<Snapshot> {
        let format: i64 = row.try_get(2)?;
        Ok(Snapshot {
            head: StreamHead { version: rows::fetched(&row, 0)?, hash: rows::digest(&row, 1)? },
            format: u32::try_from(format).unwrap_or(u32::MAX),
            state: row.try_get(3)?,
        })
    };
    read().map(Some).map_err(log_error)
}

/// Replaces ours, unless a later one is there; in one statement, which is whole or not at all.
pub(super) async fn save(
    pool: &PgPool,
    stream: &StreamId,
    snapshot: &Snapshot,
) -> Result<(), LogError> {
    let sql = "WITH older AS (
                   DELETE FROM snapshots
                   WHERE aggregate_type = $1 AND aggregate_id = $2 AND last_sequence < $3
                     AND hash IS NOT NULL
               )
               INSERT INTO snapshots AS s (aggregate_type, aggregate_id, last_sequence,
                   current_snapshot, payload, hash, format)
               SELECT $1, $2, $3, $3, $4::json, $5, $6 WHERE NOT EXISTS (
                   SELECT FROM snapshots l
                   WHERE l.aggregate_type = $1 AND l.aggregate_id = $2 AND l.last_sequence > $3
                     AND l.hash IS NOT NULL
               )
               ON CONFLICT (aggregate_type, aggregate_id, last_sequence) DO UPDATE SET
                   current_snapshot = excluded.current_snapshot, payload = excluded.payload,
                   hash = excluded.hash, format = excluded.format";
    sqlx::query(sql)
        .bind(&stream.aggregate_type)
        .bind(rows::text(&stream.aggregate_id))
        .bind(rows::stored(snapshot.head.version))
        .bind(&snapshot.state)
        .bind(snapshot.head.hash.as_bytes().as_slice())
        .bind(i64::from(snapshot.format))
        .execute(pool)
        .await
        .map_err(log_error)?;
    Ok(())
}

pub(super) async fn put_blob(pool: &PgPool, blob: &Blob) -> Result<(), LogError> {
    let sql = "INSERT INTO blobs (digest, bytes) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
    sqlx::query(sql)
        .bind(blob.digest.as_bytes().as_slice())
        .bind(blob.bytes.as_slice())
        .execute(pool)
        .await
        .map_err(log_error)?;
    Ok(())
}

pub(super) async fn blob(pool: &PgPool, digest: &Digest) -> Result<Option<Vec<u8>>, LogError> {
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
