//! Duty: seals what was appended, within a minute.

use std::time::Duration;

use super::Engine;

/// The name of the duty, which one node does at a time.
pub(super) const DUTY: &str = "sealer";

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
        match engine.seal().await {
            Ok(Some(seal)) => sealed = seal.n,
            Ok(None) => sealed = engine.head(),
            Err(error) => tracing::error!(cause = %error, "the log cannot be sealed"),
        }
        if stop.is_cancelled() {
            return;
        }
    }
}
