//! Says every third of the lease that the worker lives, and obeys what it is told.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use specline_aggregates::Usage;
use tokio_util::sync::CancellationToken;

use super::{Client, Config};
use crate::agent;
use crate::protocol::{HeartbeatAnswer, HeartbeatReport, Orders};

/// How long an engine may take to answer a sign of life, whatever the lease is.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);
const MOST_PATIENCE: Duration = Duration::from_secs(5);

/// What this sandbox has used.
#[derive(Default)]
pub(super) struct Spent {
    /// By attempts whose end the engine was told.
    told: Usage,
    /// Scratch folder of the attempt that runs, where its agent says what it uses.
    pub running: Option<PathBuf>,
    /// By an attempt that failed, until the engine is told.
    pub failed: Usage,
}

impl Spent {
    fn total(&self) -> Usage {
        let running = self.running.as_deref().map(agent::told_usage).unwrap_or_default();
        self.told.plus(self.failed).plus(running)
    }

    pub fn add(&mut self, told: Usage) {
        self.told = self.told.plus(told);
    }
}

/// What the heartbeat and the rest of the worker share.
pub(super) struct Pulse {
    pub spent: Mutex<Spent>,
    /// Something was done since the last heartbeat.
    pub progressed: AtomicBool,
    pub stop: CancellationToken,
}

impl Pulse {
    pub fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn run(client: Arc<Client>, config: Config, pulse: Arc<Pulse>) {
    let mut pause = Duration::from_millis((config.lease_ms / 3).max(100));
    loop {
        let progressed = pulse.progressed.swap(false, Ordering::Relaxed);
        let report = HeartbeatReport { progressed, usage: pulse.spent().total() };
        let patience = pause.clamp(LEAST_PATIENCE, MOST_PATIENCE);
        match client.beat::<HeartbeatAnswer>("/heartbeat", &report, patience).await {
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
