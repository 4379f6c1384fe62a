//! What the routes of projects, keys and health answer with. Specs, tasks and sandboxes have theirs
//! with their handlers.

use schemars::JsonSchema;
use serde::Serialize;
use specline_aggregates::project::Settings;
use specline_aggregates::{AccessKeyId, Policy, ProjectId};
use specline_projections::access_keys::AccessKeyLine;
use specline_projections::projects::ProjectLine;
use specline_projections::{Failure, State, Status};

use crate::engine::{Check, Minted};

/// What a write on a project answers with.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProjectWritten {
    pub id: ProjectId,
    /// Give it as `at_least` to a read that has to see this write.
    pub position: u64,
    /// Give it as `If-Match` to a write that goes by this state.
    pub version: u64,
}

/// A page of projects.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProjectPage {
    pub projects: Vec<ProjectLine>,
    /// Give it as `cursor` for the page that follows; none at the end.
    pub next_cursor: Option<String>,
}

/// A project as it is now.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Project")]
pub(super) struct ProjectShown {
    pub id: ProjectId,
    pub name: String,
    pub repository: String,
    pub policy: Policy,
    pub version: u64,
}

impl ProjectShown {
    pub fn of(id: ProjectId, settings: &Settings, version: u64) -> Self {
        let Settings { name, repository, policy } = settings.clone();
        Self { id, name, repository, policy, version }
    }
}

/// A key that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct KeyMade {
    id: AccessKeyId,
    /// The whole key, which nothing can show again. None: the same request made it before.
    key: Option<String>,
    position: u64,
    version: u64,
}

impl From<Minted> for KeyMade {
    fn from(minted: Minted) -> Self {
        let Minted { id, key, done } = minted;
        Self { id, key, position: done.position.0, version: done.version }
    }
}

/// A page of keys, without their secrets.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct KeyPage {
    pub keys: Vec<AccessKeyLine>,
    /// Give it as `cursor` for the page that follows; none at the end.
    pub next_cursor: Option<String>,
}

/// What revoking a key answers with.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct KeyWritten {
    pub id: AccessKeyId,
    pub position: u64,
    pub version: u64,
}

/// How it goes, in a word.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(super) enum Word {
    #[serde(rename = "ok")]
    Ok,
    #[serde(rename = "not ready")]
    NotReady,
}

/// How it goes.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Health {
    pub status: Word,
    /// What was looked at; only for those who may read everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Vec<Check>>,
}

/// Where the read models stand.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProjectionList {
    /// The position of the log's last event.
    pub head: u64,
    pub projections: Vec<Projection>,
}

/// Where one read model stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Projection {
    name: String,
    /// Every event up to here is in it.
    position: u64,
    /// Events that it has not seen yet.
    lag: u64,
    /// Where its rebuilding stands, while that is under way.
    rebuilding: Option<u64>,
    /// Why it has stopped, and at which event.
    error: Option<Failure>,
}

impl Projection {
    pub fn of(status: &Status, head: u64) -> Self {
        let error = match &status.state {
            State::Running => None,
            State::Failed(failure) => Some(failure.clone()),
        };
        Self {
            name: status.model.to_owned(),
            position: status.position,
            lag: head.saturating_sub(status.position),
            rebuilding: status.rebuilding,
            error,
        }
    }
}
