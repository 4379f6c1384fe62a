//! The clockwork: looks at the work that is due whenever the read models moved or the next due time
//! has come, and hands each row to its duty. The rows only suggest; every duty's command is decided
//! by the spec itself.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use specline_projections::due_work::{DueWork, Kind};

use super::{Engine, EngineError, UnderWay, evaluator, spawner, syncer, timers};
use tokio::time::Instant;

use crate::crash_point;
use crate::store::NODE_LASTS_MS;

/// Rows looked at in one go.
const MAX_ROWS: u32 = 500;

/// Longest sleep while nothing is due: a fall-back, since every change wakes the clockwork.
const IDLE: Duration = Duration::from_secs(30);

/// Shortest sleep, so that work which cannot be done yet is not looked at in a spin.
const SHORTEST: Duration = Duration::from_millis(20);

/// A row that could not be acted on is looked at again after this.
const AGAIN: Duration = Duration::from_millis(500);

/// The same for a row that only another machine can act on.
const NOT_HERE: Duration = Duration::from_secs(10);

pub(super) async fn run(engine: Engine) {
    let stop = engine.inner.stop.clone();
    let mut projected = engine.inner.projected.subscribe();
    loop {
        projected.borrow_and_update();
        let busy = engine.busy("clockwork");
        let sleep = match engine.look().await {
            Ok(sleep) => sleep,
            Err(error) => {
                tracing::warn!(cause = %error, "due work cannot be read");
                AGAIN
            }
        };
        drop(busy);
        tokio::select! {
            _ = projected.changed() => {}
            () = engine.inner.room.freed() => {}
            () = tokio::time::sleep(sleep) => {}
            () = stop.cancelled() => return,
        }
    }
}

impl Engine {
    /// Starts what is due, and says how long to sleep if nothing changes.
    async fn look(&self) -> Result<Duration, EngineError> {
        let now = self.now().await?;
        self.jumps().look(now, Instant::now());
        let mut due = self.inner.models.due(now, MAX_ROWS).await?;
        let spawns = self.inner.models.due_spawns(now, MAX_ROWS).await?;
        let waiting = !spawns.is_empty();
        due.extend(self.with_room(spawns).await?);
        self.start_duties(&due).await?;
        let next = self.inner.models.next_due(now).await?;
        let until = next.map_or(IDLE, |at| Duration::from_millis(at.ms_since(now)));
        let longest = if due.is_empty() && !waiting { IDLE } else { AGAIN };
        Ok(until.clamp(SHORTEST, longest))
    }

    /// Starts those that are not under way, here or on another node. A claim lasts for as long as
    /// this node beats, or until the duty is done.
    async fn start_duties(&self, due: &[DueWork]) -> Result<(), EngineError> {
        if self.inner.stop.is_cancelled() {
            return Ok(());
        }
        let begun: BTreeMap<String, (UnderWay, &DueWork)> = due
            .iter()
            .filter_map(|row| self.begin(&key(row)).map(|begun| (key(row), (begun, row))))
            .collect();
        let keys: Vec<String> = begun.keys().cloned().collect();
        if keys.is_empty() {
            return Ok(());
        }
        let claimed = self.inner.side.claim_work(&keys, self.inner.id, NODE_LASTS_MS).await?;
        for (key, (under_way, row)) in begun {
            if claimed.contains(&key) {
                self.start_duty(under_way, row.clone());
            }
        }
        Ok(())
    }

    fn start_duty(&self, under_way: UnderWay, row: DueWork) {
        let engine = self.clone();
        self.inner.tracker.spawn(async move {
            let key = &under_way.key;
            let started = tokio::time::Instant::now();
            // A panic is one row's trouble, as any other failure is.
            let starting = (row.kind == Kind::Spawn).then(|| engine.starts(row.spec));
            let acted = AssertUnwindSafe(engine.act(&row)).catch_unwind().await;
            drop(starting);
            let result = acted.unwrap_or_else(|panic| Err(EngineError::of_panic(&*panic)));
            engine.note_duty(&row, started.elapsed(), result.as_ref().err());
            if let Err(error) = engine.inner.side.release_work(key, engine.inner.id).await {
                tracing::debug!(cause = %error, "a claim runs out by itself");
            }
            if let Err(error) = result.map_err(|error| engine.heed(error)) {
                let spec = row.spec;
                tracing::warn!(spec.id = %spec, kind = ?row.kind, cause = %error, "a duty failed");
                // Its row stays due; do not take it up again at once.
                let pause = if let EngineError::NotHere(_) = error { NOT_HERE } else { AGAIN };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = engine.inner.stop.cancelled() => {}
                }
            }
        });
    }

    async fn act(&self, row: &DueWork) -> Result<(), EngineError> {
        crash_point::reach(&format!("duty:{}", word(row.kind)));
        match row.kind {
            Kind::Spawn => spawner::run(self, row).await,
            Kind::Attempt => timers::time_out(self, row).await,
            Kind::Approval => timers::expire_approval(self, row).await,
            Kind::Evaluate => evaluator::run(self, row).await,
            Kind::Sync => syncer::run(self, row).await,
        }
    }
}

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Spawn => "spawn",
        Kind::Attempt => "attempt",
        Kind::Approval => "approval",
        Kind::Evaluate => "evaluate",
        Kind::Sync => "sync",
    }
}

impl Engine {
    /// One line for each effect, and one number.
    fn note_duty(&self, row: &DueWork, took: Duration, error: Option<&EngineError>) {
        let kind = word(row.kind);
        let outcome = if error.is_some() { "failed" } else { "done" };
        self.metrics().duty(kind, outcome, took);
        if error.is_none() {
            let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            let (spec, phase) = (row.spec, row.phase);
            tracing::info!(spec.id = %spec, kind, %phase, duration_ms, "a duty acted");
        }
    }
}

fn key(row: &DueWork) -> String {
    format!("{:?}/{}/{}", row.kind, row.spec, row.epoch)
}
