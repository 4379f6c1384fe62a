//! The spec board: one line a spec, with what its tasks are doing.

mod fold;
mod row;

use specline_aggregates::{Phase, ProjectId, SpecId, spec};

pub use row::{SpecLine, Work};

use crate::framework::{Error, Listing, Order, Query, ReadModels, Value, like};
use fold::{Board, Row};

/// Which specs to list; what is none is not asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub project: Option<ProjectId>,
    pub status: Option<spec::Status>,
    pub phase: Option<Phase>,
    /// Part of the title or the slug, in any case.
    pub text: Option<String>,
}

impl ReadModels {
    /// Specs, newest first. `after` is the `next` of the listing before.
    pub async fn specs(
        &self,
        filter: &Filter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Listing<SpecLine>, Error> {
        let mut query = Query::of::<Board>()
            .equal("project", filter.project)
            .equal("status", filter.status)
            .equal("phase", filter.phase);
        if let Some(text) = &filter.text {
            query = query.when("search LIKE $ ESCAPE '!'", Value::Text(like(text)));
        }
        let listing = query.page(self, Order::Newest, (after, limit)).await?;
        Ok(listing.filter_map(Row::into_line))
    }

    pub async fn spec(&self, id: SpecId) -> Result<Option<SpecLine>, Error> {
        Ok(self.row::<Board>(id).await?.and_then(Row::into_line))
    }
}

pub(crate) fn model() -> Box<dyn crate::framework::Projection> {
    crate::framework::Of::<Board>::boxed()
}
