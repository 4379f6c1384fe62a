//! `SideTables` in memory.

use async_trait::async_trait;
use specline_aggregates::{InstanceId, SandboxId, Timestamp};
use uuid::Uuid;

use super::MemoryLog;
use crate::store::{
    Heartbeat, Lease, LeaseState, LogError, MAX_TELEMETRY_ENTRIES, Position, SideTables,
    TelemetryEntry,
};

fn renew(lease: &mut Lease, now: Timestamp) {
    lease.expires_at = now.plus_ms(lease.lease_ms);
    lease.last_heard = now;
}

#[async_trait]
impl SideTables for MemoryLog {
    async fn claim_lease(&self, mut lease: Lease) -> Result<bool, LogError> {
        let mut state = self.state();
        let now = self.time(&state);
        if let Some(held) = state.leases.get(&lease.sandbox)
            && (held.state != LeaseState::Spawning || held.engine == lease.engine)
        {
            return Ok(false);
        }
        renew(&mut lease, now);
        lease.last_progress = now;
        lease.state = LeaseState::Spawning;
        lease.instance = None;
        state.leases.insert(lease.sandbox, lease);
        Ok(true)
    }

    async fn set_lease(
        &self,
        sandbox: SandboxId,
        state: LeaseState,
        handle: Option<String>,
        engine: Uuid,
    ) -> Result<(), LogError> {
        if let Some(lease) = self.state().leases.get_mut(&sandbox)
            && lease.state != LeaseState::Ended
            && (lease.engine == engine || state == LeaseState::Ended)
        {
            lease.state = state;
            lease.handle = handle.unwrap_or_else(|| lease.handle.clone());
        }
        Ok(())
    }

    async fn take_lease(&self, sandbox: SandboxId, from: Uuid, to: Uuid) -> Result<bool, LogError> {
        let mut state = self.state();
        let lease = state.leases.get_mut(&sandbox);
        let lease = lease.filter(|lease| lease.engine == from && lease.state != LeaseState::Ended);
        Ok(lease.map(|lease| lease.engine = to).is_some())
    }

    async fn attach_lease(
        &self,
        sandbox: SandboxId,
        instance: InstanceId,
    ) -> Result<bool, LogError> {
        let mut state = self.state();
        let Some(lease) = state.leases.get_mut(&sandbox) else { return Ok(false) };
        let free = lease.instance.is_none_or(|holder| holder == instance);
        let attached = free && lease.state != LeaseState::Ended;
        if attached {
            lease.instance = Some(instance);
        }
        Ok(attached)
    }

    async fn lease(&self, sandbox: SandboxId) -> Result<Option<Lease>, LogError> {
        Ok(self.state().leases.get(&sandbox).cloned())
    }

    async fn live_leases(&self) -> Result<Vec<Lease>, LogError> {
        let state = self.state();
        let live = state.leases.values().filter(|lease| lease.state != LeaseState::Ended);
        Ok(live.cloned().collect())
    }

    async fn heartbeat(&self, beats: Vec<Heartbeat>) -> Result<(), LogError> {
        let mut state = self.state();
        let now = self.time(&state);
        for beat in beats {
            let lease = state.leases.get_mut(&beat.sandbox);
            let Some(lease) = lease.filter(|lease| lease.state != LeaseState::Ended) else {
                continue;
            };
            renew(lease, now);
            lease.usage = beat.usage;
            if beat.progressed {
                lease.last_progress = now;
            }
        }
        Ok(())
    }

    async fn renew_all(&self) -> Result<(), LogError> {
        let mut state = self.state();
        let now = self.time(&state);
        let live = state.leases.values_mut().filter(|lease| lease.state != LeaseState::Ended);
        live.for_each(|lease| renew(lease, now));
        Ok(())
    }

    async fn renew_of(&self, engine: Uuid) -> Result<(), LogError> {
        let mut state = self.state();
        let now = self.time(&state);
        let live = |lease: &&mut Lease| lease.state != LeaseState::Ended && lease.engine == engine;
        state.leases.values_mut().filter(live).for_each(|lease| renew(lease, now));
        Ok(())
    }

    async fn add_telemetry(
        &self,
        sandbox: SandboxId,
        entries: Vec<(String, String)>,
    ) -> Result<u64, LogError> {
        let mut state = self.state();
        let at = self.time(&state);
        let kept = state.telemetry.entry(sandbox).or_default();
        let last = kept.last().map_or(0, |entry| entry.number);
        let numbered = (last + 1..).zip(entries);
        kept.extend(numbered.map(|(number, (kind, body))| TelemetryEntry {
            number,
            at,
            kind,
            body,
        }));
        let max = usize::try_from(MAX_TELEMETRY_ENTRIES).unwrap_or(usize::MAX);
        let dropped = kept.len().saturating_sub(max);
        kept.drain(..dropped);
        Ok(dropped as u64)
    }

    async fn telemetry(
        &self,
        sandbox: SandboxId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TelemetryEntry>, LogError> {
        let state = self.state();
        let kept = state.telemetry.get(&sandbox).map(Vec::as_slice).unwrap_or_default();
        Ok(kept.iter().filter(|entry| entry.number > after).take(limit).cloned().collect())
    }

    async fn cursor(&self, duty: &str) -> Result<Position, LogError> {
        Ok(self.state().cursors.get(duty).copied().unwrap_or_default())
    }

    async fn set_cursor(&self, duty: &str, position: Position) -> Result<(), LogError> {
        let mut state = self.state();
        let cursor = state.cursors.entry(duty.to_owned()).or_default();
        *cursor = position.max(*cursor);
        Ok(())
    }

    async fn park(&self, duty: &str, position: Position, cause: &str) -> Result<(), LogError> {
        let key = (duty.to_owned(), position);
        self.state().parked.insert(key, cause.to_owned());
        Ok(())
    }

    async fn parked(&self, duty: &str) -> Result<Vec<(Position, String)>, LogError> {
        let state = self.state();
        let of_duty = state.parked.iter().filter(|((of, _), _)| of == duty);
        Ok(of_duty.map(|((_, position), cause)| (*position, cause.clone())).collect())
    }

    async fn unpark(&self, duty: &str, position: Position) -> Result<(), LogError> {
        self.state().parked.remove(&(duty.to_owned(), position));
        Ok(())
    }

    async fn secret(&self) -> Result<[u8; 32], LogError> {
        Ok(*specline_aggregates::Digest::of(self.identity.log_id.as_bytes()).as_bytes())
    }
}
