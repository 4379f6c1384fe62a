//! The log's identity and secret: drawn once, when the tables are made.

use std::fs::File;
use std::io::Read;

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{OpenError, rows};
use crate::store::LogIdentity;

pub(super) struct Identity {
    pub(super) log: LogIdentity,
    pub(super) secret: [u8; 32],
    /// A copy into this log is under way.
    pub(super) copying: bool,
}

/// The identity, which the first to come draws.
pub(super) async fn load_or_create(connection: &mut PgConnection) -> Result<Identity, OpenError> {
    if let Some(identity) = load(connection).await? {
        return Ok(identity);
    }
    let draw = || Ok((random::<16>()?, random::<32>()?));
    let (id, secret) = draw().map_err(|error: std::io::Error| OpenError::Damaged {
        cause: format!("no random numbers: {error}"),
    })?;
    sqlx::query(
        "INSERT INTO log_identity (log_id, incarnation, secret) VALUES ($1, 1, $2)
         ON CONFLICT (only_row) DO NOTHING",
    )
    .bind(uuid::Builder::from_random_bytes(id).into_uuid())
    .bind(secret.as_slice())
    .execute(&mut *connection)
    .await
    .map_err(|error| OpenError::Schema { cause: error.to_string() })?;
    let lost = || OpenError::Damaged { cause: "its identity is not there".to_owned() };
    load(connection).await?.ok_or_else(lost)
}

pub(super) async fn renew_secret(connection: &mut PgConnection) -> Result<(), OpenError> {
    let secret = random::<32>()
        .map_err(|error| OpenError::Damaged { cause: format!("no random numbers: {error}") })?;
    sqlx::query("UPDATE log_identity SET secret = $1")
        .bind(secret.as_slice())
        .execute(connection)
        .await
        .map_err(|error| OpenError::Damaged { cause: error.to_string() })?;
    Ok(())
}

pub(super) fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

pub(super) async fn load(connection: &mut PgConnection) -> Result<Option<Identity>, OpenError> {
    let failed = |error: sqlx::Error| OpenError::Damaged { cause: error.to_string() };
    let sql = "SELECT log_id, incarnation, secret, state FROM log_identity";
    let row = sqlx::query(sql).fetch_optional(connection).await.map_err(failed)?;
    let Some(row) = row else { return Ok(None) };
    let log_id: Uuid = row.try_get(0).map_err(failed)?;
    let incarnation: i32 = row.try_get(1).map_err(failed)?;
    let secret = *rows::digest(&row, 2).map_err(failed)?.as_bytes();
    let state: String = row.try_get(3).map_err(failed)?;
    let incarnation = u32::try_from(incarnation).unwrap_or(0);
    let log = LogIdentity { log_id, incarnation };
    Ok(Some(Identity { log, secret, copying: state == "copying" }))
}
