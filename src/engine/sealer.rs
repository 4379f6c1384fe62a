//! Duty: seals what was appended, within a minute, and when an engine ends.

use std::time::Duration;

use super::{Engine, EngineError};
use crate::store::NODE_LASTS_MS;

/// The name of the duty, which one node does at a time.
pub(super) const DUTY: &str = "sealer";

/// Longest that an engine's end waits for the last seal.
const LAST_SEAL: Duration = Duration::from_secs(5);

/// From one seal to the next.
const EVERY: Duration = Duration::from_secs(30);

pub(super) async fn run(engine: Engine) {
    let stop = engine.inner.stop.clone();
    let mut head = engine.inner.log.watch_head();
    let mut sealed = 0;
    while engine.until_held(DUTY).await {
        tokio::select! {
            moved = head.wait_for(|head| head.0 > sealed) => if moved.is_err() { return },
            () = stop.cancelled() => {}
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => {}
        }
        // An engine that stops seals what it wrote.
        if !engine.holds(DUTY) {
            continue;
        }
        let busy = engine.busy("sealer");
        let done = engine.seal().await;
        drop(busy);
        match done {
            Ok(Some(seal)) => sealed = seal.n,
            Ok(None) => sealed = engine.head(),
            Err(error) => tracing::error!(cause = %error, "the log cannot be sealed"),
        }
        if stop.is_cancelled() {
            return;
        }
    }
}

impl Engine {
    /// Seals what an engine wrote that ends: also one that carried out a single command, whose
    /// events could be taken back unseen until the next one seals.
    pub(super) async fn seal_the_rest(&self) {
        match tokio::time::timeout(LAST_SEAL, self.seal_alone()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(cause = %error, "what was written is sealed by the next engine");
            }
            Err(_) => tracing::warn!("what was written is sealed by the next engine"),
        }
    }

    /// Unless another node has the duty: it seals within a minute.
    async fn seal_alone(&self) -> Result<(), EngineError> {
        if self.inner.log.audit().is_none() {
            return Ok(());
        }
        let (side, id) = (&self.inner.side, self.inner.id);
        if side.claim_work(&[DUTY.to_owned()], id, NODE_LASTS_MS).await?.is_empty() {
            return Ok(());
        }
        let sealed = self.seal().await;
        side.release_work(DUTY, id).await?;
        sealed.map(drop)
    }
}
