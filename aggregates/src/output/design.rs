//! What DESIGN proposes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RawJson;

/// Output of the design phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Design {
    pub overview: String,
    pub components: Vec<Component>,
    pub data_models: Vec<DataModel>,
    pub api_endpoints: Vec<Endpoint>,
    pub error_handling: String,
    pub security: String,
    pub testing_strategy: String,
    pub decisions: Vec<Decision>,
    /// A Mermaid diagram.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagram: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Component {
    pub name: String,
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    pub responsibility: String,
    /// Names of components that this one uses. A list, and nothing else.
    pub depends_on: Vec<String>,
    /// Ids of the requirements that it meets.
    pub requirements: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataModel {
    pub name: String,
    pub fields: Vec<Field>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Field {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    pub method: String,
    pub path: String,
    pub description: String,
    /// The request's body or its description; any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub request: Option<RawJson>,
    /// The response's body or its description; any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub response: Option<RawJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    pub choice: String,
    pub alternatives: Vec<String>,
    pub why: String,
}
