//! Telemetry of sandboxes, bounded per sandbox, as SQL.

use rusqlite::{Connection, OptionalExtension};
use specline_aggregates::{SandboxId, Timestamp};

use super::error::log_error;
use super::rows;
use crate::store::{LogError, MAX_TELEMETRY_ENTRIES, TelemetryEntry};

/// Adds `entries` of (kind, body), and says how many of the sandbox's oldest were dropped for them.
pub(super) fn add(
    connection: &Connection,
    sandbox: SandboxId,
    entries: &[(String, String)],
    now: Timestamp,
) -> rusqlite::Result<u64> {
    let sandbox = rows::text(&sandbox.uuid());
    let before = last_number(connection, &sandbox)?;
    let last = before + entries.len() as u64;
    let gone = last.saturating_sub(MAX_TELEMETRY_ENTRIES);
    let mut insert = connection.prepare_cached(
        "INSERT INTO telemetry (sandbox, number, at, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (number, (kind, body)) in (before + 1..).zip(entries) {
        if number > gone {
            insert.execute((&sandbox, rows::stored(number), now.micros(), kind, body))?;
        }
    }
    connection
        .prepare_cached("DELETE FROM telemetry WHERE sandbox = ?1 AND number <= ?2")?
        .execute((&sandbox, rows::stored(gone)))?;
    connection
        .prepare_cached(
            "INSERT INTO telemetry_counters (sandbox, last_number) VALUES (?1, ?2)
             ON CONFLICT (sandbox) DO UPDATE SET last_number = excluded.last_number",
        )?
        .execute((&sandbox, rows::stored(last)))?;
    Ok(gone - before.saturating_sub(MAX_TELEMETRY_ENTRIES))
}

fn last_number(connection: &Connection, sandbox: &str) -> rusqlite::Result<u64> {
    let number = connection
        .prepare_cached("SELECT last_number FROM telemetry_counters WHERE sandbox = ?1")?
        .query_row([sandbox], |row| rows::fetched(row, 0))
        .optional()?;
    Ok(number.unwrap_or(0))
}

pub(super) fn read(
    connection: &Connection,
    sandbox: SandboxId,
    after: u64,
    limit: usize,
) -> Result<Vec<TelemetryEntry>, LogError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT number, at, kind, body FROM telemetry
             WHERE sandbox = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
        )
        .map_err(log_error)?;
    let key = (rows::text(&sandbox.uuid()), rows::stored(after), rows::stored(limit as u64));
    let found = statement.query_map(key, |row| {
        Ok(TelemetryEntry {
            number: rows::fetched(row, 0)?,
            at: rows::time(row, 1)?,
            kind: row.get(2)?,
            body: row.get(3)?,
        })
    });
    found.and_then(Iterator::collect).map_err(log_error)
}
