//! The task queue: every task, and why it was or was not chosen.

mod fold;
mod row;

use specline_aggregates::{ProjectId, SpecId, TaskId, TicketId};

pub use row::TaskLine;

use crate::framework::{Error, Listing, Of, Order, Projection, Query, ReadModels};
use fold::{Queue, Row};

/// Which tasks to list; what is none is not asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Name of a status, such as `queued`.
    pub status: Option<String>,
    pub project: Option<ProjectId>,
    pub spec: Option<SpecId>,
    pub ticket: Option<TicketId>,
}

impl ReadModels {
    /// Tasks, oldest first. `after` is the `next` of the listing before.
    pub async fn tasks(
        &self,
        filter: &Filter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Listing<TaskLine>, Error> {
        let query = Query::of::<Queue>()
            .equal("status", filter.status.as_ref())
            .equal("project", filter.project)
            .equal("spec", filter.spec)
            .equal("ticket", filter.ticket);
        let listing: Listing<Row> = query.page(self, Order::Oldest, (after, limit)).await?;
        Ok(listing.filter_map(|row| row.line()))
    }

    pub async fn task(&self, id: TaskId) -> Result<Option<TaskLine>, Error> {
        Ok(self.row::<Queue>(id).await?.and_then(|row| row.line()))
    }
}

pub(crate) fn model() -> Box<dyn Projection> {
    Of::<Queue>::boxed()
}
