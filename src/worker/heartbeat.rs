//! Says every third of the lease that the worker lives, and obeys what it is told.

use std::fs::OpenOptions;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::{Client, Config};
use crate::protocol::{HeartbeatAnswer, HeartbeatReport, Orders};

/// What the heartbeat and the rest of the worker share.
pub(super) struct Pulse {
    /// Something was done since the last heartbeat.
    pub progressed: AtomicBool,
    pub stop: CancellationToken,
}

pub(super) async fn run(client: Arc<Client>, config: Config, pulse: Arc<Pulse>) {
    let mut pause = Duration::from_millis((config.lease_ms / 3).max(100));
    loop {
        let progressed = pulse.progressed.swap(false, Ordering::Relaxed);
        let report = HeartbeatReport { progressed, ..HeartbeatReport::default() };
        match client.post::<HeartbeatAnswer>("/heartbeat", &report, None).await {
            Ok(answer) => {
                touch(&config);
                pause = Duration::from_millis((answer.lease_ms / 3).max(100));
                if answer.orders == Orders::Stop {
                    pulse.stop.cancel();
                }
            }
            Err(error) if error.is_over() => pulse.stop.cancel(),
            Err(error) => tracing::warn!(cause = %error, "a heartbeat was not understood"),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = pulse.stop.cancelled() => return,
        }
    }
}

/// Tells the supervisor that the engine still wants this sandbox.
fn touch(config: &Config) {
    let Some(file) = &config.lease_file else { return };
    let touched = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .and_then(|file| file.set_modified(SystemTime::now()));
    if let Err(error) = touched {
        tracing::warn!(cause = %error, "the lease file cannot be touched");
    }
}
