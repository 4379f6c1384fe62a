//! Newtypes for identities. An id is a UUID: v7 when a person or an engine makes something new
//! (made outside this crate, which has no randomness), v5 when it can be derived, so that deriving
//! it twice gives the same id.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Namespace of every id that Specline derives.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_1f0e_8a57_5d0b_9c52_5bec_11ae_0001);

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            #[must_use]
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": "uuid" })
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )+};
}

uuid_id! {
    /// One spec: a request and its way through the phases.
    SpecId,
    /// One unit of queued work.
    TaskId,
    /// What a person asked for.
    TicketId,
    /// One sandbox: a process tree with a working copy.
    SandboxId,
    /// One project: a repository and its policy.
    ProjectId,
    /// The public part of an access key.
    AccessKeyId,
    /// A stored requirement of a spec.
    RequirementId,
    /// The nonce that a worker makes when it starts; it tells two workers of one epoch apart.
    InstanceId,
}

/// The v5 id of `parts` under Specline's namespace. The parts are length-prefixed, so that no two
/// different lists meet in one id.
#[must_use]
pub fn derive_id(parts: &[&str]) -> Uuid {
    let mut name = Vec::new();
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part.as_bytes());
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

impl ProjectId {
    /// The id of the project that stands for the repository at `location`.
    #[must_use]
    pub fn of_repository(location: &str) -> Self {
        Self(derive_id(&["project", location]))
    }
}

impl SpecId {
    /// The id of what this spec generates: `kind` is `requirement`, `ticket` or `task`, and `local`
    /// the id that the phase output gave it.
    #[must_use]
    pub fn derive(self, kind: &str, local: &str) -> Uuid {
        derive_id(&["spec", &self.0.to_string(), kind, local])
    }

    /// The id of the sandbox of one epoch of this spec.
    #[must_use]
    pub fn sandbox(self, epoch: Epoch) -> SandboxId {
        SandboxId(derive_id(&["sandbox", &self.0.to_string(), &epoch.to_string()]))
    }
}

/// Fencing number of a spec's or a task's sandbox: raised by every request for one. 0 = none yet.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct Epoch(pub u32);

impl Epoch {
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
