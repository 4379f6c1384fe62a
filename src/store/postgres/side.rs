//! The trait `SideTables` on `PgLog`.

use async_trait::async_trait;
use specline_aggregates::{InstanceId, SandboxId};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::error::log_error;
use super::log::PgLog;
use super::reading::patiently;
use super::{leases, nodes, rows, telemetry};
use crate::store::{
    Beat, Heartbeat, Lease, LeaseState, LogError, Node, Position, SideTables, TelemetryEntry,
};

#[async_trait]
impl SideTables for PgLog {
    async fn claim_lease(&self, lease: Lease) -> Result<bool, LogError> {
        self.writable()?;
        leases::claim(self.pool(), &lease, self.given_now()).await
    }

    async fn set_lease(
        &self,
        sandbox: SandboxId,
        state: LeaseState,
        handle: Option<String>,
        engine: Uuid,
    ) -> Result<(), LogError> {
        leases::set(self.pool(), sandbox, (state, handle.as_deref()), engine).await
    }

    async fn take_lease(&self, sandbox: SandboxId, from: Uuid, to: Uuid) -> Result<bool, LogError> {
        leases::take(self.pool(), sandbox, (from, to)).await
    }

    async fn attach_lease(
        &self,
        sandbox: SandboxId,
        instance: InstanceId,
    ) -> Result<bool, LogError> {
        leases::attach(self.pool(), sandbox, instance).await
    }

    async fn lease(&self, sandbox: SandboxId) -> Result<Option<Lease>, LogError> {
        patiently(|| leases::one(self.pool(), sandbox)).await
    }

    async fn live_leases(&self) -> Result<Vec<Lease>, LogError> {
        patiently(|| leases::live(self.pool())).await
    }

    async fn heartbeat(&self, beats: Vec<Heartbeat>) -> Result<(), LogError> {
        leases::heartbeat(self.pool(), &beats, self.given_now()).await
    }

    async fn renew_all(&self) -> Result<(), LogError> {
        leases::renew(self.pool(), None, self.given_now()).await
    }

    async fn renew_of(&self, engine: Uuid) -> Result<(), LogError> {
        leases::renew(self.pool(), Some(engine), self.given_now()).await
    }

    async fn beat(&self, node: &Node, duties: &[&str]) -> Result<Beat, LogError> {
        self.writable()?;
        nodes::beat(self.beats(), node, duties, self.given_now()).await
    }

    async fn leave(&self, node: Uuid) -> Result<(), LogError> {
        nodes::leave(self.pool(), node).await
    }

    async fn claim_work(
        &self,
        keys: &[String],
        owner: Uuid,
        for_ms: u64,
    ) -> Result<Vec<String>, LogError> {
        self.writable()?;
        nodes::claim(self.pool(), keys, (owner, for_ms), self.given_now()).await
    }

    async fn release_work(&self, key: &str, owner: Uuid) -> Result<(), LogError> {
        nodes::release(self.pool(), key, owner).await
    }

    async fn add_telemetry(
        &self,
        sandbox: SandboxId,
        entries: Vec<(String, String)>,
    ) -> Result<u64, LogError> {
        self.writable()?;
        telemetry::add(self.pool(), sandbox, &entries, self.given_now()).await
    }

    async fn telemetry(
        &self,
        sandbox: SandboxId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TelemetryEntry>, LogError> {
        telemetry::read(self.pool(), sandbox, after, limit).await
    }

    async fn cursor(&self, duty: &str) -> Result<Position, LogError> {
        let query = sqlx::query("SELECT position FROM cursors WHERE duty = $1").bind(duty);
        let row = query.fetch_optional(self.pool()).await.map_err(log_error)?;
        let position = row.map(|row| rows::fetched(&row, 0)).transpose().map_err(log_error)?;
        Ok(Position(position.unwrap_or(0)))
    }

    async fn set_cursor(&self, duty: &str, position: Position) -> Result<(), LogError> {
        let sql = "INSERT INTO cursors AS c (duty, position) VALUES ($1, $2)
                   ON CONFLICT (duty) DO UPDATE
                   SET position = greatest(c.position, excluded.position)";
        let query = sqlx::query(sql).bind(duty).bind(rows::stored(position.0));
        query.execute(self.pool()).await.map_err(log_error)?;
        Ok(())
    }

    async fn park(&self, duty: &str, position: Position, cause: &str) -> Result<(), LogError> {
        let sql = "INSERT INTO parked (duty, position, cause) VALUES ($1, $2, $3)
                   ON CONFLICT (duty, position) DO UPDATE SET cause = excluded.cause";
        let query = sqlx::query(sql).bind(duty).bind(rows::stored(position.0));
        let query = query.bind(rows::storable(cause).into_owned());
        query.execute(self.pool()).await.map(drop).map_err(log_error)
    }

    async fn parked(&self, duty: &str) -> Result<Vec<(Position, String)>, LogError> {
        let sql = "SELECT position, cause FROM parked WHERE duty = $1 ORDER BY position";
        let found = sqlx::query(sql).bind(duty).fetch_all(self.pool()).await.map_err(log_error)?;
        let read = |row: &PgRow| Ok((Position(rows::fetched(row, 0)?), row.try_get(1)?));
        found.iter().map(read).collect::<sqlx::Result<_>>().map_err(log_error)
    }

    async fn unpark(&self, duty: &str, position: Position) -> Result<(), LogError> {
        let sql = "DELETE FROM parked WHERE duty = $1 AND position = $2";
        let query = sqlx::query(sql).bind(duty).bind(rows::stored(position.0));
        query.execute(self.pool()).await.map(drop).map_err(log_error)
    }

    async fn secret(&self) -> Result<[u8; 32], LogError> {
        let cause = "this role may not read the log's secret";
        self.secret_bytes().ok_or_else(|| LogError::Transient { cause: cause.to_owned() })
    }
}
