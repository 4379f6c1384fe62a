//! What stands beside the log: leases of sandboxes, their telemetry, and durable cursors of duties.
//! None of it is an event or a read model; none of it is hashed or replayed.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use specline_aggregates::{Epoch, InstanceId, SandboxId, Timestamp, Usage};
use uuid::Uuid;

use super::{LogError, Position};

/// Where a leased sandbox stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseState {
    /// The spawner has claimed the epoch and is starting the process.
    Spawning,
    /// A process runs; it may or may not have attached yet.
    Running,
    /// Told to end; its process may still be there.
    Ending,
    /// Over: kept until the row is forgotten, so that a repeat finds it.
    Ended,
}

/// One sandbox's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub sandbox: SandboxId,
    /// The spec or task that it works for.
    pub owner: Uuid,
    pub epoch: Epoch,
    pub state: LeaseState,
    /// Set by the first attach.
    pub instance: Option<InstanceId>,
    /// Random id of the engine process that last looked after it.
    pub engine: Uuid,
    /// JSON that the sandbox provider needs to find it again (pid, start time, folder).
    pub handle: String,
    pub lease_ms: u64,
    pub expires_at: Timestamp,
    pub last_heard: Timestamp,
    pub last_progress: Timestamp,
    /// Cumulative usage as last reported.
    pub usage: Usage,
}

/// What a heartbeat says. Many are written in one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    pub sandbox: SandboxId,
    pub usage: Usage,
    /// Whether anything was done since the last one.
    pub progressed: bool,
}

/// One entry of a sandbox's telemetry. Bounded per sandbox: the oldest go first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TelemetryEntry {
    /// Per sandbox, from 1, assigned by the store.
    pub number: u64,
    pub at: Timestamp,
    /// `progress`, `message`, `tool_use`, `stderr`, or anything else: unknown kinds are kept.
    pub kind: String,
    /// JSON.
    pub body: String,
}

/// Telemetry entries kept per sandbox.
pub const MAX_TELEMETRY_ENTRIES: u64 = 2_000;

/// The tables beside the log, with the log's own durability but no history.
#[async_trait]
pub trait SideTables: Send + Sync {
    /// Claims an epoch for spawning: inserts the lease in state `Spawning` and says true. Says
    /// false, and changes nothing, when this sandbox already has a lease, except one that is
    /// `Spawning` and whose engine is another one: that engine died in the middle (a SQLite log has
    /// one engine at a time), so its claim is taken over. The times of `lease` are replaced: now by
    /// the store's clock, `expires_at` = now + `lease_ms`.
    async fn claim_lease(&self, lease: Lease) -> Result<bool, LogError>;

    /// Replaces a lease's state, handle and engine.
    async fn set_lease(
        &self,
        sandbox: SandboxId,
        state: LeaseState,
        handle: Option<String>,
        engine: Uuid,
    ) -> Result<(), LogError>;

    /// Records the first attach. False when another instance holds the lease already.
    async fn attach_lease(
        &self,
        sandbox: SandboxId,
        instance: InstanceId,
    ) -> Result<bool, LogError>;

    async fn lease(&self, sandbox: SandboxId) -> Result<Option<Lease>, LogError>;

    /// All leases that are not `Ended`.
    async fn live_leases(&self) -> Result<Vec<Lease>, LogError>;

    /// Renews leases in one transaction: `expires_at` = now + `lease_ms`, `last_heard` = now.
    /// Unknown and ended sandboxes are left alone.
    async fn heartbeat(&self, beats: Vec<Heartbeat>) -> Result<(), LogError>;

    /// Treats every live lease as renewed now: an engine starts, or has its store back.
    async fn renew_all(&self) -> Result<(), LogError>;

    /// Adds entries (their `number` and `at` are assigned here) and drops the oldest over the
    /// bound. Returns how many were dropped.
    async fn add_telemetry(
        &self,
        sandbox: SandboxId,
        entries: Vec<(String, String)>,
    ) -> Result<u64, LogError>;

    async fn telemetry(
        &self,
        sandbox: SandboxId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TelemetryEntry>, LogError>;

    /// A duty's durable cursor; position 0 when it has none.
    async fn cursor(&self, duty: &str) -> Result<Position, LogError>;

    async fn set_cursor(&self, duty: &str, position: Position) -> Result<(), LogError>;

    /// 32 random bytes made once per store: the key of the sandboxes' tokens.
    async fn secret(&self) -> Result<[u8; 32], LogError>;
}
