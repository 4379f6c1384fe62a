//! Who asked for a command, and why: what stands in the metadata of its events.

use std::collections::BTreeMap;
use std::fmt;

use specline_aggregates::{Epoch, ProjectId, SandboxId};
use uuid::Uuid;

use crate::request::{self, Request};

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A person, by name.
    Person(String),
    /// A program or person behind an access key, by the key's name.
    Key(String),
    /// A worker in a sandbox.
    Sandbox(SandboxId, Epoch),
    /// A duty of the engine.
    Duty(&'static str),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(name) => write!(f, "person:{name}"),
            Self::Key(name) => write!(f, "key:{name}"),
            Self::Sandbox(id, _) => write!(f, "sandbox:{id}"),
            Self::Duty(name) => write!(f, "engine:{name}"),
        }
    }
}

/// Where a command comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    pub actor: Actor,
    /// Ties together everything that one request led to.
    pub correlation: Uuid,
    /// Position of the event that this command answers.
    pub causation: Option<u64>,
    pub project: Option<ProjectId>,
    /// The request that it answers; none for a duty.
    pub request: Option<Request>,
}

impl Origin {
    /// A new chain of causes.
    #[must_use]
    pub fn new(actor: Actor) -> Self {
        Self::of(actor, Uuid::now_v7())
    }

    /// A command of a spec's or task's own life: its id correlates.
    #[must_use]
    pub fn of(actor: Actor, owner: Uuid) -> Self {
        let request = request::current();
        Self { actor, correlation: owner, causation: None, project: None, request }
    }

    #[must_use]
    pub const fn because(mut self, position: u64) -> Self {
        self.causation = Some(position);
        self
    }

    #[must_use]
    pub const fn within(mut self, project: ProjectId) -> Self {
        self.project = Some(project);
        self
    }

    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        let mut metadata = BTreeMap::from([
            ("actor".to_owned(), self.actor.to_string()),
            ("correlation_id".to_owned(), self.correlation.to_string()),
        ]);
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                metadata.insert(name.to_owned(), value);
            }
        };
        put("causation_id", self.causation.map(|position| position.to_string()));
        put("project_id", self.project.map(|project| project.to_string()));
        if let Some(Request { id, key }) = &self.request {
            put("request_id", Some(id.clone()));
            put("key_id", key.map(|key| key.to_string()));
        }
        put("traceparent", crate::telemetry::trace::current());
        if let Actor::Sandbox(sandbox, epoch) = &self.actor {
            put("sandbox_id", Some(sandbox.to_string()));
            put("epoch", Some(epoch.to_string()));
        }
        metadata
    }
}
