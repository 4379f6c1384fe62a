//! Requirements and traceability: what a spec asks for, and what meets it. One row a spec.

mod fold;
mod tables;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::output::{Category, Criterion, Pattern, Priority};
use specline_aggregates::{Digest, RequirementId, SpecId, TaskId};

use crate::framework::{Error, Of, Projection, ReadModels};
use fold::Catalogue;

/// How far a requirement is met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RequirementCoverage")]
#[serde(rename_all = "lowercase")]
pub enum Coverage {
    /// Nothing has been planned for it yet.
    #[default]
    None,
    /// SYNC has planned what meets it.
    Planned,
    /// What meets it is stored.
    Synced,
    /// A phase that it rests on was opened again.
    Stale,
}

/// A task that meets a requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskRef {
    pub local_id: String,
    pub id: Option<TaskId>,
}

/// A requirement, and what meets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequirementLine {
    pub spec: SpecId,
    /// The id that the phase output gave it, such as `REQ-001`.
    pub local_id: String,
    /// Its stored id, once SYNC has made it.
    pub id: Option<RequirementId>,
    pub title: String,
    pub text: String,
    /// The output was too large to stand in its event: title and text are in the blob with this
    /// digest, and empty here.
    pub blob: Option<Digest>,
    pub pattern: Option<Pattern>,
    pub priority: Option<Priority>,
    pub category: Option<Category>,
    pub criteria: Vec<Criterion>,
    pub depends_on: Vec<String>,
    pub coverage: Coverage,
    /// Names of the design's components that meet it.
    pub components: Vec<String>,
    pub tasks: Vec<TaskRef>,
    /// Position of the last event that changed the spec's requirements.
    pub position: u64,
}

impl ReadModels {
    /// The accepted requirements of a spec, in the order of the output.
    pub async fn requirements(&self, spec: SpecId) -> Result<Vec<RequirementLine>, Error> {
        Ok(self.row::<Catalogue>(spec).await?.map_or_else(Vec::new, fold::Row::into_lines))
    }
}

pub(crate) fn model() -> Box<dyn Projection> {
    Of::<Catalogue>::boxed()
}
