//! The log's identity and secret: drawn once, when the tables are made.

use std::fs::File;
use std::io::Read;

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{OpenError, rows};
use crate::store::LogIdentity;

pub(super) struct Identity {
    pub(super) log: LogIdentity,
    /// A copy into this log is under way.
    pub(super) copying: bool,
}

/// The identity, which the first to come draws.
pub(super) async fn load_or_create(connection: &mut PgConnection) -> Result<Identity, OpenError> {
    if let Some(identity) = load(connection).await? {
        return Ok(identity);
    }
    sqlx::query(
        "INSERT INTO log_identity (log_id, incarnation) VALUES ($1, 1)
         ON CONFLICT (only_row) DO NOTHING",
    )
    .bind(uuid::Builder::from_random_bytes(drawn()?).into_uuid())
    .execute(&mut *connection)
    .await
    .map_err(|error| OpenError::Schema { cause: error.to_string() })?;
    let lost = || OpenError::Damaged { cause: "its identity is not there".to_owned() };
    load(connection).await?.ok_or_else(lost)
}

/// The log's half of what tokens are made with, which the first to come draws: also where a dump
/// was loaded that left it out.
pub(super) async fn secret_or_create(connection: &mut PgConnection) -> Result<[u8; 32], OpenError> {
    if let Some(secret) = secret(connection).await? {
        return Ok(secret);
    }
    let sql = "INSERT INTO log_secret (secret) VALUES ($1) ON CONFLICT (only_row) DO NOTHING";
    let drawn: [u8; 32] = drawn()?;
    sqlx::query(sql).bind(drawn.as_slice()).execute(&mut *connection).await.map_err(damaged)?;
    let lost = || OpenError::Damaged { cause: "its secret is not there".to_owned() };
    secret(connection).await?.ok_or_else(lost)
}

/// None where there is none yet. A role that only reads the log's tables may not read it.
pub(super) async fn secret(connection: &mut PgConnection) -> Result<Option<[u8; 32]>, OpenError> {
    let row = sqlx::query("SELECT secret FROM log_secret").fetch_optional(connection).await;
    let Some(row) = row.map_err(damaged)? else { return Ok(None) };
    Ok(Some(*rows::digest(&row, 0).map_err(damaged)?.as_bytes()))
}

pub(super) async fn renew_secret(connection: &mut PgConnection) -> Result<(), OpenError> {
    let drawn: [u8; 32] = drawn()?;
    put_secret(connection, &drawn).await.map_err(damaged)
}

pub(super) async fn put_secret(
    connection: &mut PgConnection,
    secret: &[u8; 32],
) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO log_secret (secret) VALUES ($1)
               ON CONFLICT (only_row) DO UPDATE SET secret = excluded.secret";
    sqlx::query(sql).bind(secret.as_slice()).execute(connection).await.map(|_| ())
}

fn drawn<const N: usize>() -> Result<[u8; N], OpenError> {
    random().map_err(|error| OpenError::Damaged { cause: format!("no random numbers: {error}") })
}

#[expect(clippy::needless_pass_by_value, reason = "used as map_err(damaged)")]
fn damaged(error: sqlx::Error) -> OpenError {
    OpenError::Damaged { cause: error.to_string() }
}

pub(super) fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

pub(super) async fn load(connection: &mut PgConnection) -> Result<Option<Identity>, OpenError> {
    let sql = "SELECT log_id, incarnation, state FROM log_identity";
    let row = sqlx::query(sql).fetch_optional(connection).await.map_err(damaged)?;
    let Some(row) = row else { return Ok(None) };
    let log_id: Uuid = row.try_get(0).map_err(damaged)?;
    let incarnation: i32 = row.try_get(1).map_err(damaged)?;
    let state: String = row.try_get(2).map_err(damaged)?;
    let incarnation = u32::try_from(incarnation).unwrap_or(0);
    let log = LogIdentity { log_id, incarnation };
    Ok(Some(Identity { log, copying: state == "copying" }))
}
