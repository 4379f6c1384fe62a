//! Telemetry of sandboxes, bounded per sandbox, as SQL.

use futures_util::FutureExt;
use specline_aggregates::SandboxId;
use specline_pg::Pool;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection, Row};

use super::error::log_error;
use super::rows;
use crate::store::{LogError, MAX_TELEMETRY_ENTRIES, TelemetryEntry};

/// Adds `entries` of (kind, body), and says how many of the sandbox's oldest were dropped for them.
/// The counter's row orders two nodes that add at once.
pub(super) async fn add(
    pool: &Pool,
    sandbox: SandboxId,
    entries: &[(String, String)],
    now: Option<i64>,
) -> Result<u64, LogError> {
    let entries = entries.to_vec();
    let added = pool.run(move |connection| put(connection, sandbox, entries, now).boxed());
    added.await.map_err(log_error)
}

async fn put(
    connection: &mut PgConnection,
    sandbox: SandboxId,
    entries: Vec<(String, String)>,
    now: Option<i64>,
) -> sqlx::Result<u64> {
    let mut transaction = connection.begin().await?;
    let count = rows::stored(entries.len() as u64);
    let sql = "INSERT INTO telemetry_counters AS c (sandbox, last_number) VALUES ($1, $2)
                   ON CONFLICT (sandbox) DO UPDATE SET last_number = c.last_number + $2
                   RETURNING last_number";
    let query = sqlx::query(sql).bind(sandbox.uuid()).bind(count);
    let last = rows::fetched(&query.fetch_one(&mut *transaction).await?, 0)?;
    let before = last - entries.len() as u64;
    let gone = last.saturating_sub(MAX_TELEMETRY_ENTRIES);
    let kept: Vec<_> = (before + 1..).zip(&entries).filter(|(number, _)| *number > gone).collect();
    let sql = "INSERT INTO telemetry (sandbox, number, at, kind, body)
                   SELECT $1, e.number, t.now, e.kind, e.body
                   FROM specline_now($2) AS t (now),
                        unnest($3::bigint[], $4::text[], $5::text[]) AS e (number, kind, body)";
    sqlx::query(sql)
        .bind(sandbox.uuid())
        .bind(now)
        .bind(kept.iter().map(|(number, _)| rows::stored(*number)).collect::<Vec<_>>())
        .bind(kept.iter().map(|(_, (kind, _))| rows::storable(kind)).collect::<Vec<_>>())
        .bind(kept.iter().map(|(_, (_, body))| rows::storable(body)).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
    let dropped = gone - before.saturating_sub(MAX_TELEMETRY_ENTRIES);
    if dropped > 0 {
        sqlx::query("DELETE FROM telemetry WHERE sandbox = $1 AND number <= $2")
            .bind(sandbox.uuid())
            .bind(rows::stored(gone))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(dropped)
}

pub(super) async fn read(
    pool: &Pool,
    sandbox: SandboxId,
    after: u64,
    limit: usize,
) -> Result<Vec<TelemetryEntry>, LogError> {
    let sql = "SELECT number, at, kind, body FROM telemetry
               WHERE sandbox = $1 AND number > $2 ORDER BY number LIMIT $3";
    let found = sqlx::query(sql)
        .bind(sandbox.uuid())
        .bind(rows::stored(after))
        .bind(rows::stored(limit as u64))
        .fetch_all(pool)
        .await
        .map_err(log_error)?;
    let entry = |row: &PgRow| -> sqlx::Result<TelemetryEntry> {
        Ok(TelemetryEntry {
            number: rows::fetched(row, 0)?,
            at: rows::time(row, 1)?,
            kind: row.try_get(2)?,
            body: row.try_get(3)?,
        })
    };
    found.iter().map(entry).collect::<sqlx::Result<_>>().map_err(log_error)
}
