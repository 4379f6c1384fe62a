//! What REQUIREMENTS asks for, in EARS.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Priority;

/// Output of the requirements phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requirements {
    pub feature_name: String,
    pub requirements: Vec<Requirement>,
    pub assumptions: Vec<String>,
    pub out_of_scope: Vec<String>,
    pub open_questions: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requirement {
    /// `REQ-` and letters, digits or dashes.
    pub id: String,
    pub title: String,
    pub pattern: Pattern,
    /// One EARS sentence with exactly one SHALL.
    pub text: String,
    pub criteria: Vec<Criterion>,
    pub priority: Priority,
    pub category: Category,
    /// Ids of requirements that this one builds on. A list, and nothing else.
    pub depends_on: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Criterion {
    pub given: String,
    pub when: String,
    pub then: String,
}

/// The six patterns of EARS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pattern {
    Ubiquitous,
    Event,
    State,
    Optional,
    Unwanted,
    Complex,
}

impl Pattern {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ubiquitous => "ubiquitous",
            Self::Event => "event",
            Self::State => "state",
            Self::Optional => "optional",
            Self::Unwanted => "unwanted",
            Self::Complex => "complex",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    Functional,
    Performance,
    Security,
    Usability,
    Reliability,
    Constraint,
}

impl Category {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Functional => "functional",
            Self::Performance => "performance",
            Self::Security => "security",
            Self::Usability => "usability",
            Self::Reliability => "reliability",
            Self::Constraint => "constraint",
        }
    }
}
