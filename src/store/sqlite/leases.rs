//! The leases of sandboxes, as SQL. Every statement is one change, whole or not at all.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};
use specline_aggregates::{Epoch, InstanceId, SandboxId, Timestamp, Usage};
use uuid::Uuid;

use super::error::log_error;
use super::rows;
use crate::store::{Heartbeat, Lease, LeaseState, LogError};

/// In the order in which [`lease`] reads them.
pub(super) const COLUMNS: &str = "sandbox, owner, epoch, state, instance, engine, handle, lease_ms, \
     expires_at, last_heard, last_progress, \
     input_tokens, output_tokens, cost_micro_usd, duration_ms";

/// Longest lease: ten years, so that a sum of times always fits.
const MAX_LEASE_MS: u64 = 10 * 365 * 24 * 3_600_000;

pub(super) fn claim(
    connection: &Connection,
    lease: &Lease,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO leases (sandbox, owner, epoch, state, engine, handle, lease_ms, expires_at,
             last_heard, last_progress, input_tokens, output_tokens, cost_micro_usd, duration_ms)
         VALUES (?1, ?2, ?3, 'spawning', ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (sandbox) DO UPDATE SET
             owner = excluded.owner, epoch = excluded.epoch, instance = NULL,
             engine = excluded.engine, handle = excluded.handle, lease_ms = excluded.lease_ms,
             expires_at = excluded.expires_at, last_heard = excluded.last_heard,
             last_progress = excluded.last_progress
         WHERE leases.state = 'spawning' AND leases.engine <> excluded.engine",
    )?;
    let lease_ms = lease.lease_ms.min(MAX_LEASE_MS);
    let changed = statement.execute((
        rows::text(&lease.sandbox.uuid()),
        rows::text(&lease.owner),
        lease.epoch.0,
        rows::text(&lease.engine),
        &lease.handle,
        rows::stored(lease_ms),
        now.plus_ms(lease_ms).micros(),
        now.micros(),
        rows::stored(lease.usage.input_tokens),
        rows::stored(lease.usage.output_tokens),
        rows::stored(lease.usage.cost_micro_usd),
        rows::stored(lease.usage.duration_ms),
    ))?;
    Ok(changed > 0)
}

pub(super) fn set(
    connection: &Connection,
    sandbox: SandboxId,
    (state, handle): (LeaseState, Option<&str>),
    engine: &Uuid,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE leases SET state = ?2, handle = coalesce(?3, handle)
         WHERE sandbox = ?1 AND state <> 'ended' AND (engine = ?4 OR ?2 = 'ended')",
    )?;
    let key = rows::text(&sandbox.uuid());
    statement.execute((key, state_text(state), handle, rows::text(engine)))?;
    Ok(())
}

pub(super) fn take(
    connection: &Connection,
    sandbox: SandboxId,
    (from, to): (&Uuid, &Uuid),
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "UPDATE leases SET engine = ?3 WHERE sandbox = ?1 AND engine = ?2 AND state <> 'ended'",
    )?;
    let key = rows::text(&sandbox.uuid());
    Ok(statement.execute((key, rows::text(from), rows::text(to)))? > 0)
}

pub(super) fn attach(
    connection: &Connection,
    sandbox: SandboxId,
    instance: InstanceId,
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "UPDATE leases SET instance = ?2
         WHERE sandbox = ?1 AND state <> 'ended' AND (instance IS NULL OR instance = ?2)",
    )?;
    let changed = statement.execute((rows::text(&sandbox.uuid()), rows::text(&instance.uuid())))?;
    Ok(changed > 0)
}

pub(super) fn heartbeat(
    connection: &Connection,
    beat: &Heartbeat,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE leases SET
             expires_at = ?2 + lease_ms * 1000, last_heard = ?2,
             last_progress = CASE WHEN ?3 THEN ?2 ELSE last_progress END,
             input_tokens = ?4, output_tokens = ?5, cost_micro_usd = ?6, duration_ms = ?7
         WHERE sandbox = ?1 AND state <> 'ended'",
    )?;
    statement.execute((
        rows::text(&beat.sandbox.uuid()),
        now.micros(),
        beat.progressed,
        rows::stored(beat.usage.input_tokens),
        rows::stored(beat.usage.output_tokens),
        rows::stored(beat.usage.cost_micro_usd),
        rows::stored(beat.usage.duration_ms),
    ))?;
    Ok(())
}

/// Renews the live leases of `engine`, or all.
pub(super) fn renew(
    connection: &Connection,
    engine: Option<&Uuid>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE leases SET expires_at = ?1 + lease_ms * 1000, last_heard = ?1
         WHERE state <> 'ended' AND engine = coalesce(?2, engine)",
    )?;
    statement.execute((now.micros(), engine.map(rows::text)))?;
    Ok(())
}

pub(super) fn one(connection: &Connection, sandbox: SandboxId) -> Result<Option<Lease>, LogError> {
    let sql = format!("SELECT {COLUMNS} FROM leases WHERE sandbox = ?1");
    let mut statement = connection.prepare_cached(&sql).map_err(log_error)?;
    let found = statement.query_row([rows::text(&sandbox.uuid())], lease);
    found.optional().map_err(log_error)
}

pub(super) fn live(connection: &Connection) -> Result<Vec<Lease>, LogError> {
    let sql = format!("SELECT {COLUMNS} FROM leases WHERE state <> 'ended' ORDER BY sandbox");
    let mut statement = connection.prepare_cached(&sql).map_err(log_error)?;
    let found = statement.query_map([], lease).map_err(log_error)?;
    found.collect::<rusqlite::Result<_>>().map_err(log_error)
}

pub(super) fn lease(row: &Row<'_>) -> rusqlite::Result<Lease> {
    let instance: Option<String> = row.get(4)?;
    let instance = match instance {
        Some(_) => Some(InstanceId::new(rows::uuid(row, 4)?)),
        None => None,
    };
    Ok(Lease {
        sandbox: SandboxId::new(rows::uuid(row, 0)?),
        owner: rows::uuid(row, 1)?,
        epoch: Epoch(row.get(2)?),
        state: state(row, 3)?,
        instance,
        engine: rows::uuid(row, 5)?,
        handle: row.get(6)?,
        lease_ms: rows::fetched(row, 7)?,
        expires_at: rows::time(row, 8)?,
        last_heard: rows::time(row, 9)?,
        last_progress: rows::time(row, 10)?,
        usage: Usage {
            input_tokens: rows::fetched(row, 11)?,
            output_tokens: rows::fetched(row, 12)?,
            cost_micro_usd: rows::fetched(row, 13)?,
            duration_ms: rows::fetched(row, 14)?,
        },
    })
}

/// Writes a lease as it is, unless the sandbox has one.
pub(super) fn put(connection: &Connection, lease: &Lease) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO leases ({COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT DO NOTHING"
    );
    connection.prepare_cached(&sql)?.execute((
        rows::text(&lease.sandbox.uuid()),
        rows::text(&lease.owner),
        lease.epoch.0,
        state_text(lease.state),
        lease.instance.map(|instance| rows::text(&instance.uuid())),
        rows::text(&lease.engine),
        &lease.handle,
        rows::stored(lease.lease_ms),
        lease.expires_at.micros(),
        lease.last_heard.micros(),
        lease.last_progress.micros(),
        rows::stored(lease.usage.input_tokens),
        rows::stored(lease.usage.output_tokens),
        rows::stored(lease.usage.cost_micro_usd),
        rows::stored(lease.usage.duration_ms),
    ))?;
    Ok(())
}

const fn state_text(state: LeaseState) -> &'static str {
    match state {
        LeaseState::Spawning => "spawning",
        LeaseState::Running => "running",
        LeaseState::Ending => "ending",
        LeaseState::Ended => "ended",
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a lease has the unknown state {0:?}")]
struct UnknownState(String);

fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<LeaseState> {
    let text = row.get_ref(column)?.as_str()?;
    match text {
        "spawning" => Ok(LeaseState::Spawning),
        "running" => Ok(LeaseState::Running),
        "ending" => Ok(LeaseState::Ending),
        "ended" => Ok(LeaseState::Ended),
        _ => Err(rows::unreadable(column, Type::Text, UnknownState(text.to_owned()))),
    }
}
