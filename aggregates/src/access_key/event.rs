//! The events of an access key. Names and fields are for ever, as those of a spec.

use std::collections::BTreeSet;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AccessKeyId, Digest, ProjectId, Timestamp, Upcast};

/// What a key allows. Every scope allows reading.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everything, also keys and projects.
    Admin,
    /// Drafting, starting and steering specs, and commenting on them.
    Operator,
    /// Deciding at the human gates.
    Approver,
    Reader,
}

/// Not the name of a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scope; there are admin, operator, approver and reader")]
pub struct UnknownScope(String);

impl Scope {
    pub const ALL: [Self; 4] = [Self::Admin, Self::Operator, Self::Approver, Self::Reader];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Reader => "reader",
        }
    }

    /// Whether this scope allows what needs `needed`.
    #[must_use]
    pub fn allows(self, needed: Self) -> bool {
        self == Self::Admin || self == needed || needed == Self::Reader
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        named.ok_or_else(|| UnknownScope(text.chars().take(40).collect()))
    }
}

/// What a key is good for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Grant {
    pub name: String,
    pub scopes: BTreeSet<Scope>,
    /// The only project that it sees; none = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// From then on it is good for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// What happened to an access key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    AccessKeyCreated { key: AccessKeyId, grant: Box<Grant>, secret_digest: Digest, by: String },
    AccessKeyRevoked { by: String, reason: String },
}

impl Event {
    /// Stable name, as stored.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AccessKeyCreated { .. } => "AccessKeyCreated",
            Self::AccessKeyRevoked { .. } => "AccessKeyRevoked",
        }
    }

    /// How stored events of earlier versions are read. A change of an event's shape adds a line,
    /// and a golden file of the new version; the old ones stay.
    pub const UPCASTS: [Upcast; 0] = [];

    /// Every name that `name` can give.
    pub const NAMES: [&'static str; 2] = ["AccessKeyCreated", "AccessKeyRevoked"];
}
