//! Finds what a caller names: specs by id, sandboxes with their lease, and waits for read models.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use cqrs_es::Aggregate;
use specline_aggregates::spec::{Payload, Spec, Status};
use specline_aggregates::{Digest, Phase, RawJson, SandboxId, SpecId, Timestamp};
use tokio::sync::watch;

use super::{Engine, EngineError, Token};
use crate::commands::{Actor, Origin};
use crate::store::{Lease, LeaseState, Loaded, Position, StreamId};
use crate::view::EventView;

/// Longest that a reader waits for a read model.
pub const MAX_READ_WAIT: Duration = Duration::from_secs(10);

/// Sandboxes whose epoch a node remembers.
const MAX_EPOCHS: usize = 16_384;

impl Engine {
    /// The spec as it is now.
    pub async fn spec(&self, id: SpecId) -> Result<Arc<Spec>, EngineError> {
        Ok(self.loaded(id).await?.state)
    }

    /// The spec as it was after the event of `sequence`.
    pub async fn spec_at(&self, id: SpecId, sequence: u64) -> Result<Loaded<Spec>, EngineError> {
        let loaded = self.inner.commands.specs.load_at(id.uuid(), sequence).await?;
        known(id, loaded)
    }

    pub(super) async fn loaded(&self, id: SpecId) -> Result<Loaded<Spec>, EngineError> {
        let loaded = self.inner.commands.specs.load_fresh(id.uuid()).await;
        known(id, loaded.map_err(|error| self.heed(error.into()))?)
    }

    pub(super) async fn lease(&self, sandbox: SandboxId) -> Result<Lease, EngineError> {
        let lease = self.inner.side.lease(sandbox).await?;
        lease.ok_or_else(|| EngineError::NotFound { what: "sandbox", id: sandbox.to_string() })
    }

    /// The machine's own time, which keys expire by.
    #[must_use]
    pub fn wall_clock(&self) -> Timestamp {
        self.inner.log.wall_clock()
    }

    /// The log's time.
    pub async fn now(&self) -> Result<Timestamp, EngineError> {
        Ok(self.inner.log.now().await?)
    }

    /// Waits, bounded, until every healthy read model has passed `position`. False = not yet.
    pub async fn wait_for(&self, position: u64) -> bool {
        let mut projected = self.inner.projected.subscribe();
        let passed = projected.wait_for(|at| *at >= position);
        tokio::time::timeout(MAX_READ_WAIT, passed).await.is_ok_and(|waited| waited.is_ok())
    }
}

fn known(id: SpecId, loaded: Loaded<Spec>) -> Result<Loaded<Spec>, EngineError> {
    if loaded.state.status() == Status::Unknown {
        return Err(EngineError::NotFound { what: "spec", id: id.to_string() });
    }
    Ok(loaded)
}

/// A duty's own commands to a spec.
pub(super) fn by_duty(name: &'static str, spec: &Spec) -> Origin {
    let owner = spec.id().map(SpecId::uuid).unwrap_or_default();
    within(Origin::of(Actor::Duty(name), owner), spec)
}

/// Notes the spec's project in the origin.
pub(super) fn within(origin: Origin, spec: &Spec) -> Origin {
    match spec.brief() {
        Some(brief) => origin.within(brief.project),
        None => origin,
    }
}

/// Spreads retries: 0 to 1000, from the random part of a fresh id.
pub(super) fn jitter() -> u16 {
    let [.., high, low] = *uuid::Uuid::now_v7().as_bytes();
    u16::from_be_bytes([high, low]) % 1001
}

impl Engine {
    /// The output of `phase` that was accepted, or waits for a person.
    pub async fn output_of(
        &self,
        spec: &Spec,
        phase: Phase,
    ) -> Result<Option<Arc<RawJson>>, EngineError> {
        let state = spec.phase_state(phase);
        let pending = state.and_then(|state| state.pending.as_ref()).map(|p| &p.output);
        let accepted = state.and_then(|state| state.accepted.as_ref()).map(|a| &a.output);
        match pending.or(accepted) {
            None => Ok(None),
            Some(Payload::Inline(text)) => Ok(Some(Arc::clone(text))),
            Some(Payload::Blob { digest, .. }) => {
                Ok(Some(Arc::new(self.json_blob(*digest).await?)))
            }
        }
    }
}

impl Engine {
    /// Position of the last event.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.inner.log.watch_head().borrow().0
    }

    /// Says whenever an event was appended.
    #[must_use]
    pub fn appends(&self) -> watch::Receiver<Position> {
        self.inner.log.watch_head()
    }

    /// Events of a spec after sequence `after`; waits for the first, at most for `wait`.
    pub async fn spec_events(
        &self,
        id: SpecId,
        (after, limit): (u64, usize),
        wait: Duration,
    ) -> Result<Vec<EventView>, EngineError> {
        let stream = StreamId { aggregate_type: Spec::TYPE.to_owned(), aggregate_id: id.uuid() };
        let end = tokio::time::Instant::now() + wait;
        let mut head = self.inner.log.watch_head();
        let rows = loop {
            head.borrow_and_update();
            let rows = self.inner.log.read_stream(&stream, after, limit).await?;
            if !rows.is_empty() || tokio::time::Instant::now() >= end {
                break rows;
            }
            tokio::select! {
                changed = head.changed() => if changed.is_err() { break rows },
                () = tokio::time::sleep_until(end) => {}
                () = self.stopped() => break rows,
            }
        };
        let events = rows.into_iter().map(EventView::try_from).collect::<Result<Vec<_>, _>>();
        events.map_err(|error| EngineError::Corrupt(error.to_string()))
    }

    /// A context that was too large for an environment variable.
    pub async fn stored_context(
        &self,
        sandbox: SandboxId,
        digest: Digest,
    ) -> Result<RawJson, EngineError> {
        if self.lease(sandbox).await?.state == LeaseState::Ended {
            return Err(super::worker_calls::let_go());
        }
        // It is the caller who names it: what is not there is not missing from the log.
        if self.inner.log.blob(&digest).await?.is_none() {
            return Err(EngineError::NotFound { what: "context", id: digest.to_string() });
        }
        self.json_blob(digest).await
    }

    /// The token of a sandbox that this engine knows.
    pub async fn sandbox_token(&self, id: SandboxId) -> Result<Option<Token>, EngineError> {
        let epochs = || self.inner.epochs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut epoch = epochs().get(&id).copied();
        if epoch.is_none() {
            // A sandbox's id says its epoch, so whatever becomes of the lease, this stays true.
            epoch = self.inner.side.lease(id).await?.map(|lease| lease.epoch);
            let mut epochs = epochs();
            if epochs.len() >= MAX_EPOCHS {
                epochs.clear();
            }
            epochs.extend(epoch.map(|epoch| (id, epoch)));
        }
        Ok(epoch.map(|epoch| Token::of(&self.inner.secret, id, epoch)))
    }

    /// The token by which whoever may read the engine's file commands it.
    #[must_use]
    pub fn operator_token(&self) -> String {
        let mut mac = blake3::Hasher::new_keyed(&self.inner.secret);
        mac.update(b"specline operator token v1");
        mac.finalize().to_hex().to_string()
    }

    /// Whether nothing is left to do for `spec`: no living sandbox, no event without its
    /// follow-ups, no read model behind.
    pub async fn is_settled(&self, spec: SpecId) -> bool {
        let Ok(leases) = self.inner.side.live_leases().await else { return false };
        let sandboxes = leases.iter().any(|lease| lease.owner == spec.uuid());
        !sandboxes && self.has_caught_up().await
    }

    /// Whether every event of the log is in the read models, and followed up.
    pub async fn has_caught_up(&self) -> bool {
        let head = *self.inner.log.watch_head().borrow();
        let projected = *self.inner.projected.borrow() >= head.0;
        projected && self.reacted_to(head).await
    }

    /// Seals what was written, and closes the read models. The log closes with its last handle.
    pub async fn close(&self) {
        self.seal_the_rest().await;
        self.inner.models.close().await;
    }
}
