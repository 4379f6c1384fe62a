//! The detail of a spec: phases, attempts, findings, checkpoints and cost in one document. The
//! outputs themselves are not in it.

mod document;
mod fold;
mod history;
mod tables;

use specline_aggregates::SpecId;

pub use document::{
    AttemptRecord, Checkpoint, LostSandbox, Outcome, PhaseDetail, PhaseStatus, SpecDetail, Totals,
};

use crate::framework::{Error, Of, Projection, ReadModels};
use fold::Details;

impl ReadModels {
    pub async fn spec_detail(&self, id: SpecId) -> Result<Option<SpecDetail>, Error> {
        self.row::<Details>(id).await
    }
}

pub(crate) fn model() -> Box<dyn Projection> {
    Of::<Details>::boxed()
}
