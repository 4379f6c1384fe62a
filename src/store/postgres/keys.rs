//! Idempotency keys: what the first append under each did.

use specline_aggregates::{Digest, Timestamp};

use super::error::log_error;
use super::rows;
use crate::store::{Appended, KeyRecord, LogError, Position, StreamHead};
use specline_pg::Pool;

/// A key's row.
pub(super) struct FirstUse {
    pub(super) record: KeyRecord,
    hash: Digest,
    recorded_at: Timestamp,
}

impl FirstUse {
    /// The end of the stream behind it.
    pub(super) const fn head(&self) -> StreamHead {
        StreamHead { version: self.record.version, hash: self.hash }
    }

    /// What a repeat is told.
    pub(super) fn repeated(self) -> Appended {
        Appended {
            position: self.record.position,
            head: self.head(),
            recorded_at: self.recorded_at,
            repeated: true,
            answer: self.record.answer,
        }
    }
}

pub(super) async fn find(
    pool: &Pool,
    aggregate_id: &str,
    key: &str,
) -> Result<Option<FirstUse>, LogError> {
    let sql = "SELECT request, position, version, answer, hash, recorded_at
               FROM idempotency_keys WHERE aggregate_id = $1 AND key = $2";
    let query = sqlx::query(sql).bind(aggregate_id).bind(rows::storable(key).into_owned());
    let Some(row) = query.fetch_optional(pool).await.map_err(log_error)? else { return Ok(None) };
    let read = || -> sqlx::Result<FirstUse> {
        use sqlx::Row;
        Ok(FirstUse {
            record: KeyRecord {
                request: rows::digest(&row, 0)?,
                position: Position(rows::fetched(&row, 1)?),
                version: rows::fetched(&row, 2)?,
                answer: row.try_get(3)?,
            },
            hash: rows::digest(&row, 4)?,
            recorded_at: rows::time(&row, 5)?,
        })
    };
    read().map(Some).map_err(log_error)
}
