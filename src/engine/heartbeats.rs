//! Writes heartbeats in batches, so that thousands of sandboxes cost one transaction a second.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Engine;
use crate::store::Heartbeat;

/// How long heartbeats are gathered: far below a third of the shortest lease (1 s).
const GATHER: Duration = Duration::from_millis(250);

/// Heartbeats that wait to be written: 5,000 sandboxes that beat within one gathering.
pub(super) const MAX_WAITING: usize = 8_192;

pub(super) async fn run(engine: Engine, mut beats: mpsc::Receiver<Heartbeat>) {
    let stop = engine.inner.stop.clone();
    loop {
        let first = tokio::select! {
            beat = beats.recv() => beat,
            () = stop.cancelled() => None,
        };
        let Some(first) = first else { return };
        let mut batch = BTreeMap::from([(first.sandbox, first)]);
        tokio::time::sleep(GATHER).await;
        while let Ok(beat) = beats.try_recv() {
            merge(&mut batch, &beat);
        }
        let batch: Vec<_> = batch.into_values().collect();
        let n = batch.len();
        let busy = engine.busy("heartbeats");
        if let Err(error) = engine.inner.side.heartbeat(batch).await {
            tracing::warn!(n, cause = %error, "heartbeats were not written");
        }
        drop(busy);
    }
}

fn merge(batch: &mut BTreeMap<specline_aggregates::SandboxId, Heartbeat>, beat: &Heartbeat) {
    let entry = batch.entry(beat.sandbox).or_insert_with(|| beat.clone());
    entry.progressed |= beat.progressed;
    entry.usage = beat.usage;
}
