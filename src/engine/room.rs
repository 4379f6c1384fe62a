//! How many sandboxes this node runs at a time. Those beyond wait for room, the longest due first:
//! a machine that starts all at once would finish none.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use specline_aggregates::SpecId;
use specline_projections::due_work::DueWork;
use tokio::sync::Notify;

use super::membership::Keeper;
use super::{Engine, EngineError};

/// The room of this node.
pub(super) struct Room {
    most: usize,
    /// Specs whose sandboxes are being started, and may have no lease yet.
    starting: Mutex<BTreeSet<SpecId>>,
    freed: Notify,
    /// Whether it was said that there is no room.
    told: Mutex<bool>,
}

/// A sandbox of the spec is being started for as long as this lives.
pub(super) struct Starting {
    engine: Engine,
    spec: SpecId,
}

impl Drop for Starting {
    fn drop(&mut self) {
        let room = &self.engine.inner.room;
        room.starting().remove(&self.spec);
        room.free();
    }
}

impl Room {
    pub(super) fn new(most: usize) -> Self {
        let (starting, told) = (Mutex::default(), Mutex::default());
        Self { most: most.max(1), starting, freed: Notify::new(), told }
    }

    /// A sandbox is gone, or was not started after all.
    pub(super) fn free(&self) {
        self.freed.notify_one();
    }

    /// Resolves when there may be more room than before.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    fn starting(&self) -> std::sync::MutexGuard<'_, BTreeSet<SpecId>> {
        self.starting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says once that there is no room, and once that all have it.
    fn tell(&self, waiting: usize) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, now) = (*told, waiting > 0);
        *told = now;
        if now && !before {
            let most = self.most;
            tracing::info!(
                most,
                waiting,
                "all sandboxes of this node are in use; more wait (sandbox.max_running)"
            );
        }
    }
}

impl Engine {
    pub(super) fn starts(&self, spec: SpecId) -> Starting {
        self.inner.room.starting().insert(spec);
        Starting { engine: self.clone(), spec }
    }

    /// Of those that want a sandbox, as many as there is room for.
    pub(super) async fn with_room(
        &self,
        wanted: Vec<DueWork>,
    ) -> Result<Vec<DueWork>, EngineError> {
        if wanted.is_empty() {
            self.inner.room.tell(0);
            return Ok(wanted);
        }
        let leases = self.inner.side.live_leases().await?;
        let ours = leases.iter().filter(|lease| self.keeper(lease.engine) == Keeper::Me);
        let ours: BTreeSet<SpecId> = ours.map(|lease| SpecId::new(lease.owner)).collect();
        let starting = self.inner.room.starting().clone();
        // One that has its claim already takes no more room than it has.
        let (has, new): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|row| ours.contains(&row.spec));
        let new: Vec<_> = new.into_iter().filter(|row| !starting.contains(&row.spec)).collect();
        let used = ours.union(&starting).count();
        let free = self.inner.room.most.saturating_sub(used);
        self.inner.room.tell(new.len().saturating_sub(free));
        Ok(has.into_iter().chain(new.into_iter().take(free)).collect())
    }
}
