//! Sandboxes without processes: each is started by the engine's own duty, and what its worker would
//! be told is told to whoever started the server, who attaches and calls in the worker's place.

use std::io;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use specline_aggregates::{Epoch, SandboxId};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::cli::print;
use crate::protocol::env;
use crate::sandbox::provider::{Adopted, EXITS, Listed, OrderError, Outbox};
use crate::sandbox::{Exited, Handle, Provider, SpawnError, SpawnRequest};

/// What the server tells the load generator, a line each. It has no `Debug`: it holds tokens.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Line {
    /// The server answers, and everything is asked for.
    Ready { url: String, token: String, drafts: Vec<Uuid> },
    /// The spawner has started this one.
    Sandbox(Started),
}

/// A sandbox whose worker is the load generator.
#[derive(Serialize, Deserialize)]
pub(super) struct Started {
    pub sandbox: SandboxId,
    pub spec: Uuid,
    pub epoch: Epoch,
    pub token: String,
}

pub(super) struct Waiting {
    /// Held, so that the exits never end: no sandbox of these ends by itself.
    _exits: mpsc::Sender<Exited>,
    receiver: Mutex<Option<mpsc::Receiver<Exited>>>,
}

impl Waiting {
    pub(super) fn new() -> Self {
        let (exits, receiver) = mpsc::channel(EXITS);
        Self { _exits: exits, receiver: Mutex::new(Some(receiver)) }
    }
}

#[async_trait]
impl Provider for Waiting {
    /// The only kind that a policy can name.
    fn name(&self) -> &'static str {
        "process"
    }

    async fn spawn(&self, mut request: SpawnRequest) -> Result<Handle, SpawnError> {
        let token = request.env.remove(env::TOKEN).unwrap_or_default();
        let (sandbox, spec, epoch) = (request.sandbox, request.owner, request.epoch);
        print::json_line(&Line::Sandbox(Started { sandbox, spec, epoch, token }));
        Ok(Handle::from_json("{}".to_owned()))
    }

    async fn adopt(&self, _: SandboxId, _: &Handle) -> Result<Adopted, OrderError> {
        Ok(Adopted::Alive)
    }

    async fn terminate(&self, _: SandboxId, _: &Handle) -> Result<(), OrderError> {
        Ok(())
    }

    async fn remove(&self, _: SandboxId, _: Outbox) -> Result<(), OrderError> {
        Ok(())
    }

    fn exits(&self) -> Option<mpsc::Receiver<Exited>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn list(&self) -> Result<Vec<Listed>, io::Error> {
        Ok(Vec::new())
    }

    async fn hand_over(&self, _: SandboxId, _: SandboxId) -> io::Result<()> {
        Ok(())
    }
}
