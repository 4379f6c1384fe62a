//! What may be added to a spec at any time, and what a person does to a sandbox.

use std::sync::Arc;

use specline_aggregates::spec::command::{Comment, LinkTicket, ReportSandboxLost};
use specline_aggregates::spec::{Command, LossCause, Spec};
use specline_aggregates::{SandboxId, SpecId, TaskId, TicketId, ticket};

use super::lookup::within;
use super::{Asked, Engine, EngineError};
use crate::commands::{Done, Order};
use crate::store::LeaseState;

type Result<T> = std::result::Result<T, EngineError>;

impl Engine {
    /// The spec as it was after event `version`, which it must have.
    pub async fn spec_as_of(&self, id: SpecId, version: u64) -> Result<Arc<Spec>> {
        let missing =
            || EngineError::NotFound { what: "version", id: format!("{version} of {id}") };
        if version == 0 {
            return Err(missing());
        }
        let loaded = self.spec_at(id, version).await?;
        if loaded.version() != version {
            return Err(missing());
        }
        Ok(loaded.state)
    }

    pub async fn comment(&self, id: SpecId, text: &str, asked: &Asked) -> Result<Done<Spec>> {
        let (by, text) = (asked.by.clone(), text.to_owned());
        self.ask(id, &Command::Comment(Comment { by, text }), asked).await
    }

    /// Links a spec and a ticket, each to the other.
    pub async fn link_ticket(
        &self,
        id: SpecId,
        ticket: TicketId,
        asked: &Asked,
    ) -> Result<Done<Spec>> {
        let known = self.commands().tickets.load_fresh(ticket.uuid()).await?;
        if known.head.is_none() {
            return Err(EngineError::NotFound { what: "ticket", id: ticket.to_string() });
        }
        let done = self.ask(id, &Command::LinkTicket(LinkTicket { ticket }), asked).await?;
        let origin = within(asked.origin(), &done.state).because(done.position.0);
        let link = ticket::Command::LinkSpec { spec: id };
        self.commands().ticket(ticket, &link, Order::from(&origin)).await?;
        Ok(done)
    }

    /// Ends a sandbox. Its spec counts it as lost, and asks for the next one where it goes on.
    pub async fn end_sandbox_of(&self, sandbox: SandboxId, asked: &Asked) -> Result<Done<Spec>> {
        let lease = self.lease(sandbox).await?;
        let cause = LossCause::Provider { message: format!("{} ended it", asked.by) };
        let command = Command::ReportLost(ReportSandboxLost {
            epoch: lease.epoch,
            cause,
            last_heard: Some(self.now().await?),
            reported: lease.usage,
            wait: self.wait().await?,
        });
        let done = self.ask(lease.owner.into(), &command, asked).await?;
        // Another node's is not wanted any more, and that node ends it.
        if lease.state != LeaseState::Ended && lease.engine == self.inner.id {
            self.end_sandbox(&lease);
        }
        Ok(done)
    }

    /// Why a task was or was not chosen, from the log itself.
    pub async fn why(&self, id: TaskId) -> Result<Why> {
        let loaded = self.commands().tasks.load_fresh(id.uuid()).await?;
        if loaded.head.is_none() {
            return Err(EngineError::NotFound { what: "task", id: id.to_string() });
        }
        let task = loaded.state;
        Ok(Why {
            id,
            status: task.status().as_str().to_owned(),
            blocked_by: task.blocked_by(),
            attempts: task.attempts(),
            version: task.version(),
        })
    }
}

/// Why a task stands where it stands.
#[derive(Debug, Clone, serde::Serialize, schemars::JsonSchema)]
#[schemars(rename = "TaskWhy")]
pub struct Why {
    pub id: TaskId,
    pub status: String,
    /// What stands in its way; none when nothing does.
    pub blocked_by: Option<String>,
    pub attempts: u32,
    pub version: u64,
}
