//! What SYNC computes: never by a model.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, RequirementId, TaskId, TicketId};

/// Local ids to stored ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdMap {
    pub requirements: BTreeMap<String, RequirementId>,
    pub tickets: BTreeMap<String, TicketId>,
    pub tasks: BTreeMap<String, TaskId>,
}

/// One requirement, and what meets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    pub requirement: String,
    pub components: Vec<String>,
    pub tasks: Vec<String>,
}

/// A file that SYNC writes into the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportedFile {
    /// Relative to the repository root.
    pub path: String,
    pub digest: Digest,
}
