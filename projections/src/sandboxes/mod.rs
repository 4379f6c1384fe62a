//! Sandboxes: one line each, from its request to its end.

mod fold;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::spec::{LossCause, ReleaseReason, SandboxReason};
use specline_aggregates::{Epoch, InstanceId, Phase, SandboxId, SpecId, TaskId, Timestamp};

use crate::framework::{Error, Listing, Of, Order, Projection, Query, ReadModels};
use fold::{Row, Sandboxes};

/// Whom a sandbox works for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SandboxOwner")]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    Spec(SpecId),
    Task(TaskId),
}

/// Where a sandbox stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SandboxState")]
#[serde(rename_all = "lowercase")]
pub enum State {
    Requested,
    Attached,
    /// It is no longer wanted.
    Released,
    Lost,
}

impl State {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Attached => "attached",
            Self::Released => "released",
            Self::Lost => "lost",
        }
    }
}

/// A sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SandboxLine {
    pub id: SandboxId,
    pub owner: Owner,
    pub epoch: Epoch,
    /// The phase that it was requested for; none for a task's.
    pub phase: Option<Phase>,
    /// Why it was requested; none for a task's.
    pub reason: Option<SandboxReason>,
    pub state: State,
    pub provider: Option<String>,
    pub worker_version: Option<String>,
    pub instance: Option<InstanceId>,
    pub requested_at: Timestamp,
    pub attached_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Why it was let go.
    pub released: Option<ReleaseReason>,
    /// How it was lost.
    pub cause: Option<LossCause>,
    pub position: u64,
}

/// Which sandboxes to list; what is none is not asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    pub owner: Option<Owner>,
    pub state: Option<State>,
}

impl ReadModels {
    /// Sandboxes, newest first. `after` is the `next` of the listing before.
    pub async fn sandboxes(
        &self,
        filter: Filter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Listing<SandboxLine>, Error> {
        let query = Query::of::<Sandboxes>()
            .equal("owner", filter.owner.map(Owner::id))
            .equal("state", filter.state.map(State::as_str));
        let listing = query.page(self, Order::Newest, (after, limit)).await?;
        Ok(listing.filter_map(Row::into_line))
    }

    pub async fn sandbox(&self, id: SandboxId) -> Result<Option<SandboxLine>, Error> {
        Ok(self.row::<Sandboxes>(id).await?.and_then(Row::into_line))
    }
}

impl Owner {
    fn id(self) -> String {
        match self {
            Self::Spec(id) => id.to_string(),
            Self::Task(id) => id.to_string(),
        }
    }
}

pub(crate) fn model() -> Box<dyn Projection> {
    Of::<Sandboxes>::boxed()
}
