//! The rows of the log as they lie in the table, for `verify` and for a copy: nothing is checked.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt, TryStreamExt};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, Row};

use super::error::log_error;
use super::find::IN_INDEX_ORDER;
use super::log::PgLog;
use super::{foreign, pour, rows};
use crate::store::verify::{
    Census, MAX_PAGE_BYTES, Scan, Scanned, Sink, Strays, Unreadable, Verification, verify,
};
use crate::store::{LogError, Position, Recorded, StreamHead};

impl PgLog {
    /// Checks the events from position `from` to `to`: see [`verify`].
    pub async fn verify(
        &self,
        from: Position,
        to: Position,
        progress: impl FnMut(Position) + Send,
    ) -> Result<Verification, LogError> {
        verify(self, from, to, progress).await
    }
}

/// Longest that a statement may take that goes over the whole log.
const LONGEST: Duration = Duration::from_mins(10);

#[async_trait]
impl Scan for PgLog {
    async fn scan(&self, from: Position, limit: usize) -> Result<Vec<Scanned>, LogError> {
        self.pool()
            .within(LONGEST)
            .run_with(log_error, move |connection| page(connection, from, limit).boxed())
            .await
    }

    async fn pour(&self, from: Position, to: Position, sink: Sink) -> Result<(), LogError> {
        pour::pour(self.pool(), (from, to), &sink).await
    }

    async fn given_out(&self) -> Result<Position, LogError> {
        self.pool().run_with(log_error, |connection| given_out(connection).boxed()).await
    }

    async fn strays(&self) -> Result<Strays, LogError> {
        let pool = self.pool().within(LONGEST);
        pool.run_with(log_error, |connection| foreign::strays(connection).boxed()).await
    }

    async fn by_stream(&self, to: Position, like: &Census) -> Result<Option<Census>, LogError> {
        let (pool, census) = (self.pool().within(LONGEST), like.emptied());
        pool.run_with(log_error, move |connection| by_stream(connection, to, census).boxed())
            .await
            .map(Some)
    }

    async fn head_before(&self, event: &Recorded) -> Result<Option<StreamHead>, LogError> {
        let mut held = self.pool().hold().await.map_err(log_error)?;
        let found = head_before(&mut held, event).await?;
        held.give_back();
        Ok(found)
    }
}

/// A row that takes part of a page, as long as those before it have not filled it.
fn page_sql() -> String {
    format!(
        "SELECT {} FROM (
             SELECT e.*, sum(octet_length(payload::text) + octet_length(metadata::text)) OVER (
                 ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
             FROM (SELECT * FROM events WHERE position >= $1 ORDER BY position LIMIT $2) e
         ) page WHERE coalesce(before, 0) < $3 ORDER BY position",
        rows::EVENT_COLUMNS
    )
}

pub(super) async fn page(
    connection: &mut PgConnection,
    from: Position,
    limit: usize,
) -> Result<Vec<Scanned>, LogError> {
    let sql = page_sql();
    let found = sqlx::query(&sql)
        .bind(rows::stored(from.0))
        .bind(rows::stored(limit as u64))
        .bind(rows::stored(MAX_PAGE_BYTES as u64))
        .fetch_all(connection)
        .await
        .map_err(log_error)?;
    let scanned = found.iter().map(|row| {
        rows::recorded(row).map_err(|error| Unreadable {
            position: Position(rows::fetched(row, 0).unwrap_or(0)),
            sequence: rows::fetched(row, 3).unwrap_or(0),
            cause: error.to_string(),
        })
    });
    Ok(scanned.collect())
}

/// The rows as the index of the streams has them: loads go by it and by nothing else.
async fn by_stream(
    connection: &mut PgConnection,
    to: Position,
    mut census: Census,
) -> Result<Census, LogError> {
    let mut transaction = connection.begin().await.map_err(log_error)?;
    transaction.execute(IN_INDEX_ORDER).await.map_err(log_error)?;
    let sql = "SELECT position, aggregate_type, aggregate_id, sequence FROM events
               WHERE position <= $1 ORDER BY aggregate_type, aggregate_id, sequence";
    let mut found = sqlx::query(sql).bind(rows::stored(to.0)).fetch(&mut *transaction);
    while let Some(row) = found.try_next().await.map_err(log_error)? {
        let mut add = || -> sqlx::Result<()> {
            let key = (row.try_get(1)?, row.try_get(2)?);
            census.add(key, rows::fetched(&row, 3)?, rows::fetched(&row, 0)?);
            Ok(())
        };
        add().map_err(log_error)?;
    }
    drop(found);
    transaction.commit().await.map_err(log_error)?;
    Ok(census)
}

pub(super) async fn given_out(connection: &mut PgConnection) -> Result<Position, LogError> {
    let row = connection.fetch_one("SELECT position FROM log_head").await.map_err(log_error)?;
    rows::fetched(&row, 0).map(Position).map_err(log_error)
}

pub(super) async fn head_before(
    connection: &mut PgConnection,
    event: &Recorded,
) -> Result<Option<StreamHead>, LogError> {
    let sql = "SELECT sequence, hash FROM events
         WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence < $3 AND position < $4
         ORDER BY sequence DESC LIMIT 1";
    let found = sqlx::query(sql)
        .bind(&event.stream.aggregate_type)
        .bind(rows::text(&event.stream.aggregate_id))
        .bind(rows::stored(event.sequence))
        .bind(rows::stored(event.position.0))
        .fetch_optional(connection)
        .await
        .map_err(log_error)?;
    let Some(row) = found else { return Ok(None) };
    let version = rows::fetched(&row, 0).map_err(log_error)?;
    Ok(Some(StreamHead { version, hash: rows::digest(&row, 1).map_err(log_error)? }))
}
