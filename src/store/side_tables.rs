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

/// A node that has not beaten for this long is taken for dead: several beats, and less than a
/// person's patience.
pub const NODE_LASTS_MS: u64 = 4_000;

/// An engine process on a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub id: Uuid,
    /// Where its sandboxes are: engines of the same place can watch and end each other's.
    pub place: String,
    /// Where workers reach it.
    pub api_url: String,
    pub version: String,
}

/// An engine as another sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub node: Node,
    pub alive: bool,
}

/// What a beat brings back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beat {
    /// All that live, this one too, the oldest first, and dead ones for as long as a lease is
    /// theirs.
    pub peers: Vec<Peer>,
    /// The duties that this node does now.
    pub held: Vec<String>,
    /// Whether there is a live lease.
    pub leased: bool,
}

/// The tables beside the log, with the log's own durability but no history.
#[async_trait]
pub trait SideTables: Send + Sync {
    /// Claims an epoch for spawning: inserts the lease in state `Spawning` and says true. Says
    /// false, and changes nothing, when this sandbox already has a lease, except one that is
    /// `Spawning` and whose engine is another one: that engine died in the middle (a SQLite log has
    /// one engine at a time; in a shared store it is a node that does not beat), so its claim is
    /// taken over. The times of `lease` are replaced: now by
    /// the store's clock, `expires_at` = now + `lease_ms`.
    async fn claim_lease(&self, lease: Lease) -> Result<bool, LogError>;

    /// Replaces a live lease's state and handle, for the engine that looks after it. Any engine may
    /// end one; an ended lease stays ended.
    async fn set_lease(
        &self,
        sandbox: SandboxId,
        state: LeaseState,
        handle: Option<String>,
        engine: Uuid,
    ) -> Result<(), LogError>;

    /// Gives a live lease of engine `from` to engine `to`. False when it is not `from`'s any more.
    async fn take_lease(&self, sandbox: SandboxId, from: Uuid, to: Uuid) -> Result<bool, LogError>;

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

    /// The same for the live leases that `engine` looks after.
    async fn renew_of(&self, engine: Uuid) -> Result<(), LogError>;

    /// This engine lives. Renews its row and its claims for [`NODE_LASTS_MS`], tries for `duties`,
    /// each of which one engine does at a time, and tells of the others. A store that is not shared
    /// has one engine, which holds everything.
    async fn beat(&self, node: &Node, duties: &[&str]) -> Result<Beat, LogError> {
        let held = duties.iter().map(|&duty| duty.to_owned()).collect();
        Ok(Beat { peers: vec![Peer { node: node.clone(), alive: true }], held, leased: true })
    }

    /// This engine stops: what it held is free at once. Its leases stay.
    async fn leave(&self, _node: Uuid) -> Result<(), LogError> {
        Ok(())
    }

    /// Claims work for `owner`, for `for_ms` or until it is released; says which of `keys` it got.
    /// A claim that `owner` has already is renewed. A node's `beat` renews its claims.
    async fn claim_work(
        &self,
        keys: &[String],
        _owner: Uuid,
        _for_ms: u64,
    ) -> Result<Vec<String>, LogError> {
        Ok(keys.to_vec())
    }

    async fn release_work(&self, _key: &str, _owner: Uuid) -> Result<(), LogError> {
        Ok(())
    }

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

    /// Moves a duty's cursor forward; one that is further already stays.
    async fn set_cursor(&self, duty: &str, position: Position) -> Result<(), LogError>;

    /// Puts an event aside that a duty cannot act on; again with another cause, that one stands.
    async fn park(&self, duty: &str, position: Position, cause: &str) -> Result<(), LogError>;

    /// The events that a duty has put aside, and why, in the log's order.
    async fn parked(&self, duty: &str) -> Result<Vec<(Position, String)>, LogError>;

    /// Takes an event back that has been acted on.
    async fn unpark(&self, duty: &str, position: Position) -> Result<(), LogError>;

    /// 32 random bytes made once per store: the key of the sandboxes' tokens.
    async fn secret(&self) -> Result<[u8; 32], LogError>;
}
