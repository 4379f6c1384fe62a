//! The leases of sandboxes, as SQL. Every statement is one change, whole or not at all, by the
//! store's clock.

use specline_aggregates::{Epoch, InstanceId, SandboxId, Usage};
use specline_pg::Pool;
use sqlx::Row;
use sqlx::postgres::PgRow;
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

pub(super) async fn claim(pool: &Pool, lease: &Lease, now: Option<i64>) -> Result<bool, LogError> {
    let sql = "INSERT INTO leases AS l (sandbox, owner, epoch, state, engine, handle, lease_ms,
            expires_at, last_heard, last_progress,
            input_tokens, output_tokens, cost_micro_usd, duration_ms)
        SELECT $2, $3, $4, 'spawning', $5, $6, $7, t.now + $7 * 1000, t.now, t.now,
            $8, $9, $10, $11
        FROM specline_now($1) AS t (now)
        ON CONFLICT (sandbox) DO UPDATE SET
            owner = excluded.owner, epoch = excluded.epoch, instance = NULL,
            engine = excluded.engine, handle = excluded.handle, lease_ms = excluded.lease_ms,
            expires_at = excluded.expires_at, last_heard = excluded.last_heard,
            last_progress = excluded.last_progress
        WHERE l.state = 'spawning' AND l.engine <> excluded.engine
          AND NOT EXISTS (SELECT FROM nodes n
                          WHERE n.id = l.engine AND n.expires_at > excluded.last_heard)";
    let done = sqlx::query(sql)
        .bind(now)
        .bind(lease.sandbox.uuid())
        .bind(lease.owner)
        .bind(i64::from(lease.epoch.0))
        .bind(lease.engine)
        .bind(&lease.handle)
        .bind(rows::stored(lease.lease_ms.min(MAX_LEASE_MS)))
        .bind(rows::stored(lease.usage.input_tokens))
        .bind(rows::stored(lease.usage.output_tokens))
        .bind(rows::stored(lease.usage.cost_micro_usd))
        .bind(rows::stored(lease.usage.duration_ms))
        .execute(pool)
        .await
        .map_err(log_error)?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn set(
    pool: &Pool,
    sandbox: SandboxId,
    (state, handle): (LeaseState, Option<&str>),
    engine: Uuid,
) -> Result<(), LogError> {
    let sql = "UPDATE leases SET state = $2, handle = coalesce($3, handle)
               WHERE sandbox = $1 AND state <> 'ended' AND (engine = $4 OR $2 = 'ended')";
    let query = sqlx::query(sql).bind(sandbox.uuid()).bind(state_text(state)).bind(handle);
    query.bind(engine).execute(pool).await.map_err(log_error)?;
    Ok(())
}

pub(super) async fn take(
    pool: &Pool,
    sandbox: SandboxId,
    (from, to): (Uuid, Uuid),
) -> Result<bool, LogError> {
    let sql = "UPDATE leases SET engine = $3
               WHERE sandbox = $1 AND engine = $2 AND state <> 'ended'";
    let query = sqlx::query(sql).bind(sandbox.uuid()).bind(from).bind(to);
    Ok(query.execute(pool).await.map_err(log_error)?.rows_affected() > 0)
}

pub(super) async fn attach(
    pool: &Pool,
    sandbox: SandboxId,
    instance: InstanceId,
) -> Result<bool, LogError> {
    let sql = "UPDATE leases SET instance = $2
               WHERE sandbox = $1 AND state <> 'ended' AND (instance IS NULL OR instance = $2)";
    let query = sqlx::query(sql).bind(sandbox.uuid()).bind(instance.uuid());
    Ok(query.execute(pool).await.map_err(log_error)?.rows_affected() > 0)
}

/// All beats in one statement, in the order of their ids: two nodes that write the same rows wait
/// for each other, and never in a circle.
pub(super) async fn heartbeat(
    pool: &Pool,
    beats: &[Heartbeat],
    now: Option<i64>,
) -> Result<(), LogError> {
    let sql = "UPDATE leases l SET
            expires_at = t.now + l.lease_ms * 1000, last_heard = t.now,
            last_progress = CASE WHEN b.progressed THEN t.now ELSE l.last_progress END,
            input_tokens = b.input, output_tokens = b.output, cost_micro_usd = b.cost,
            duration_ms = b.duration
        FROM specline_now($1) AS t (now), (
            SELECT b.* FROM unnest($2::uuid[], $3::boolean[], $4::bigint[], $5::bigint[],
                                   $6::bigint[], $7::bigint[])
                AS b (sandbox, progressed, input, output, cost, duration)
            JOIN leases h ON h.sandbox = b.sandbox
            ORDER BY b.sandbox FOR UPDATE OF h
        ) b
        WHERE l.sandbox = b.sandbox AND l.state <> 'ended'";
    let each = |of: fn(&Usage) -> u64| {
        beats.iter().map(|beat| rows::stored(of(&beat.usage))).collect::<Vec<_>>()
    };
    sqlx::query(sql)
        .bind(now)
        .bind(beats.iter().map(|beat| beat.sandbox.uuid()).collect::<Vec<_>>())
        .bind(beats.iter().map(|beat| beat.progressed).collect::<Vec<_>>())
        .bind(each(|usage| usage.input_tokens))
        .bind(each(|usage| usage.output_tokens))
        .bind(each(|usage| usage.cost_micro_usd))
        .bind(each(|usage| usage.duration_ms))
        .execute(pool)
        .await
        .map_err(log_error)?;
    Ok(())
}

/// Renews the live leases of `engine`, or all.
pub(super) async fn renew(
    pool: &Pool,
    engine: Option<Uuid>,
    now: Option<i64>,
) -> Result<(), LogError> {
    let sql = "UPDATE leases SET expires_at = t.now + lease_ms * 1000, last_heard = t.now
               FROM specline_now($1) AS t (now)
               WHERE state <> 'ended' AND engine = coalesce($2, engine)";
    sqlx::query(sql).bind(now).bind(engine).execute(pool).await.map_err(log_error)?;
    Ok(())
}

pub(super) async fn one(pool: &Pool, sandbox: SandboxId) -> Result<Option<Lease>, LogError> {
    let sql = format!("SELECT {COLUMNS} FROM leases WHERE sandbox = $1");
    let query = sqlx::query(&sql).bind(sandbox.uuid());
    let found = query.fetch_optional(pool).await.map_err(log_error)?;
    found.as_ref().map(lease).transpose().map_err(log_error)
}

pub(super) async fn live(pool: &Pool) -> Result<Vec<Lease>, LogError> {
    let sql = format!("SELECT {COLUMNS} FROM leases WHERE state <> 'ended' ORDER BY sandbox");
    let found = sqlx::query(&sql).fetch_all(pool).await.map_err(log_error)?;
    found.iter().map(lease).collect::<sqlx::Result<_>>().map_err(log_error)
}

pub(super) fn lease(row: &PgRow) -> sqlx::Result<Lease> {
    let instance: Option<Uuid> = row.try_get(4)?;
    let epoch = u32::try_from(rows::fetched(row, 2)?);
    Ok(Lease {
        sandbox: SandboxId::new(row.try_get(0)?),
        owner: row.try_get(1)?,
        epoch: Epoch(epoch.map_err(|error| sqlx::Error::Decode(Box::new(error)))?),
        state: state(row.try_get(3)?)?,
        instance: instance.map(InstanceId::new),
        engine: row.try_get(5)?,
        handle: row.try_get(6)?,
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

pub(super) const fn state_text(state: LeaseState) -> &'static str {
    match state {
        LeaseState::Spawning => "spawning",
        LeaseState::Running => "running",
        LeaseState::Ending => "ending",
        LeaseState::Ended => "ended",
    }
}

fn state(text: &str) -> sqlx::Result<LeaseState> {
    match text {
        "spawning" => Ok(LeaseState::Spawning),
        "running" => Ok(LeaseState::Running),
        "ending" => Ok(LeaseState::Ending),
        "ended" => Ok(LeaseState::Ended),
        other => {
            let cause = format!("a lease has the unknown state {other:?}");
            Err(sqlx::Error::Decode(cause.into()))
        }
    }
}
