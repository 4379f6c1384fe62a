//! What EXPLORE finds in the repository.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Output of the explore phase.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explore {
    /// What kind of project this is, such as "Rust web service".
    pub project_type: String,
    /// What the project does and how it is built, in a few sentences.
    pub summary: String,
    /// Languages, frameworks and stores in use.
    pub tech_stack: Vec<String>,
    /// Folder to what it holds.
    pub structure: BTreeMap<String, String>,
    pub key_files: Vec<KeyFile>,
    pub existing_models: Vec<ExistingModel>,
    /// Files where execution starts.
    pub entry_points: Vec<String>,
    pub conventions: Conventions,
    pub tests: Tests,
    pub related_to_feature: Vec<Related>,
    /// Files that were read.
    pub explored_files: Vec<String>,
    /// What a person should be asked.
    pub questions: Vec<Question>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyFile {
    pub path: String,
    pub purpose: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExistingModel {
    pub name: String,
    pub path: String,
    pub fields: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conventions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub naming: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub testing: Option<String>,
    pub patterns: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tests {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework: Option<String>,
    pub paths: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Related {
    pub path: String,
    pub why: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    pub category: String,
    pub question: String,
}
