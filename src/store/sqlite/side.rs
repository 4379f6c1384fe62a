//! The trait `SideTables` on `SqliteLog`. Writes share the appends' transactions.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row};
use specline_aggregates::{InstanceId, SandboxId};
use uuid::Uuid;

use super::error::log_error;
use super::log::SqliteLog;
use super::{leases, rows, telemetry};
use crate::store::{Heartbeat, Lease, LeaseState, LogError, Position, SideTables, TelemetryEntry};

/// Bytes that a row of these tables takes, roughly.
const ROW_BYTES: usize = 300;

#[async_trait]
impl SideTables for SqliteLog {
    async fn claim_lease(&self, lease: Lease) -> Result<bool, LogError> {
        self.write(ROW_BYTES, move |batch| leases::claim(batch.connection, &lease, batch.now)).await
    }

    async fn set_lease(
        &self,
        sandbox: SandboxId,
        state: LeaseState,
        handle: Option<String>,
        engine: Uuid,
    ) -> Result<(), LogError> {
        self.write(ROW_BYTES, move |batch| {
            leases::set(batch.connection, sandbox, (state, handle.as_deref()), &engine)
        })
        .await
    }

    async fn take_lease(&self, sandbox: SandboxId, from: Uuid, to: Uuid) -> Result<bool, LogError> {
        self.write(ROW_BYTES, move |batch| leases::take(batch.connection, sandbox, (&from, &to)))
            .await
    }

    async fn attach_lease(
        &self,
        sandbox: SandboxId,
        instance: InstanceId,
    ) -> Result<bool, LogError> {
        self.write(ROW_BYTES, move |batch| leases::attach(batch.connection, sandbox, instance))
            .await
    }

    async fn lease(&self, sandbox: SandboxId) -> Result<Option<Lease>, LogError> {
        self.read(move |connection| leases::one(connection, sandbox)).await
    }

    async fn live_leases(&self) -> Result<Vec<Lease>, LogError> {
        self.read(leases::live).await
    }

    async fn heartbeat(&self, beats: Vec<Heartbeat>) -> Result<(), LogError> {
        self.write(ROW_BYTES * beats.len(), move |batch| {
            beats.iter().try_for_each(|beat| leases::heartbeat(batch.connection, beat, batch.now))
        })
        .await
    }

    async fn renew_all(&self) -> Result<(), LogError> {
        self.write(ROW_BYTES, |batch| leases::renew(batch.connection, None, batch.now)).await
    }

    async fn renew_of(&self, engine: Uuid) -> Result<(), LogError> {
        self.write(ROW_BYTES, move |batch| {
            leases::renew(batch.connection, Some(&engine), batch.now)
        })
        .await
    }

    async fn add_telemetry(
        &self,
        sandbox: SandboxId,
        entries: Vec<(String, String)>,
    ) -> Result<u64, LogError> {
        let weight = entries.iter().map(|(kind, body)| kind.len() + body.len()).sum();
        self.write(weight, move |batch| {
            telemetry::add(batch.connection, sandbox, &entries, batch.now)
        })
        .await
    }

    async fn telemetry(
        &self,
        sandbox: SandboxId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TelemetryEntry>, LogError> {
        self.read(move |connection| telemetry::read(connection, sandbox, after, limit)).await
    }

    async fn cursor(&self, duty: &str) -> Result<Position, LogError> {
        let duty = duty.to_owned();
        self.read(move |connection| {
            let sql = "SELECT position FROM cursors WHERE duty = ?1";
            let found = connection
                .prepare_cached(sql)
                .and_then(|mut statement| {
                    statement.query_row([&duty], |row| rows::fetched(row, 0)).optional()
                })
                .map_err(log_error)?;
            Ok(Position(found.unwrap_or(0)))
        })
        .await
    }

    async fn set_cursor(&self, duty: &str, position: Position) -> Result<(), LogError> {
        let duty = duty.to_owned();
        self.write(ROW_BYTES, move |batch| {
            let mut statement = batch.connection.prepare_cached(
                "INSERT INTO cursors (duty, position) VALUES (?1, ?2)
                 ON CONFLICT (duty) DO UPDATE SET position = max(position, excluded.position)",
            )?;
            statement.execute((&duty, rows::stored(position.0)))?;
            Ok(())
        })
        .await
    }

    async fn park(&self, duty: &str, position: Position, cause: &str) -> Result<(), LogError> {
        let (duty, cause) = (duty.to_owned(), cause.to_owned());
        self.write(ROW_BYTES + cause.len(), move |batch| {
            let mut statement = batch.connection.prepare_cached(
                "INSERT INTO parked (duty, position, cause) VALUES (?1, ?2, ?3)
                 ON CONFLICT (duty, position) DO UPDATE SET cause = excluded.cause",
            )?;
            statement.execute((&duty, rows::stored(position.0), &cause))?;
            Ok(())
        })
        .await
    }

    async fn parked(&self, duty: &str) -> Result<Vec<(Position, String)>, LogError> {
        let duty = duty.to_owned();
        self.read(move |connection| {
            let sql = "SELECT position, cause FROM parked WHERE duty = ?1 ORDER BY position";
            let mut statement = connection.prepare_cached(sql).map_err(log_error)?;
            let row = |row: &Row<'_>| Ok((Position(rows::fetched(row, 0)?), row.get(1)?));
            let found = statement.query_map([duty], row).map_err(log_error)?;
            found.collect::<rusqlite::Result<_>>().map_err(log_error)
        })
        .await
    }

    async fn unpark(&self, duty: &str, position: Position) -> Result<(), LogError> {
        let duty = duty.to_owned();
        self.write(ROW_BYTES, move |batch| {
            let sql = "DELETE FROM parked WHERE duty = ?1 AND position = ?2";
            let mut statement = batch.connection.prepare_cached(sql)?;
            statement.execute((&duty, rows::stored(position.0)))?;
            Ok(())
        })
        .await
    }

    async fn secret(&self) -> Result<[u8; 32], LogError> {
        Ok(self.secret_bytes())
    }
}
