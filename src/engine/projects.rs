//! Projects: naming them, revising them, and what a new spec takes from its own. A project stands
//! for a repository, and its id is derived from the repository's folder: a spec of a repository
//! that nobody has named yet belongs to the same project once somebody does.

use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::project::{Command, Project, Rejection, Settings};
use specline_aggregates::{Policy, ProjectId};

use super::policy_input::{PolicyInput, strict, strict_or_none};
use super::{Asked, DraftRequest, Engine, EngineError};
use crate::commands::{CommandError, Done, Order};

/// What a project is made of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    pub name: String,
    /// The repository's folder.
    pub repository: String,
    #[serde(default, deserialize_with = "strict")]
    #[schemars(with = "PolicyInput")]
    pub policy: Policy,
}

/// What changes in a project; what is none stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectRevision {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "strict_or_none")]
    #[schemars(with = "Option<PolicyInput>")]
    pub policy: Option<Policy>,
}

/// What a draft's request comes to.
pub(super) struct Settled {
    pub project: ProjectId,
    pub location: String,
    pub policy: Policy,
}

type Result<T> = std::result::Result<T, EngineError>;

impl Engine {
    pub async fn create_project(
        &self,
        new: NewProject,
        asked: &Asked,
    ) -> Result<(ProjectId, Done<Project>)> {
        self.may_use(&new.policy, asked)?;
        let location = canonical(&new.repository)?;
        let project = ProjectId::of_repository(&location);
        let NewProject { name, policy, .. } = new;
        let settings = Box::new(Settings { name, repository: location, policy });
        let command = Command::Create { project, settings, by: asked.by.clone() };
        Ok((project, self.ask_project(project, &command, asked).await?))
    }

    pub async fn revise_project(
        &self,
        id: ProjectId,
        revision: ProjectRevision,
        asked: &Asked,
    ) -> Result<Done<Project>> {
        let ProjectRevision { name, policy } = revision;
        if let Some(policy) = &policy {
            self.may_use(policy, asked)?;
        }
        let by = asked.by.clone();
        let command = Command::Revise { name, policy: policy.map(Box::new), by };
        self.ask_project(id, &command, asked).await
    }

    async fn ask_project(
        &self,
        id: ProjectId,
        command: &Command,
        asked: &Asked,
    ) -> Result<Done<Project>> {
        let origin = asked.origin().within(id);
        let order = Order::from(&origin).keyed(asked.keyed.as_ref()).expecting(asked.expected);
        let done = self.commands().project(id, command, order).await;
        done.map_err(|error| {
            let missing = matches!(error, CommandError::Rejected(Rejection::NotFound));
            if missing { unknown(id) } else { error.into() }
        })
    }

    /// The project as it is now.
    pub async fn project(&self, id: ProjectId) -> Result<Arc<Project>> {
        let loaded = self.commands().projects.load_fresh(id.uuid()).await?;
        if loaded.head.is_none() {
            return Err(unknown(id));
        }
        Ok(loaded.state)
    }

    /// The project that a draft would belong to.
    pub async fn project_of_draft(&self, request: &DraftRequest) -> Result<ProjectId> {
        Ok(self.settle(request).await?.project)
    }

    /// Finds what a draft leaves to its project.
    pub(super) async fn settle(&self, request: &DraftRequest) -> Result<Settled> {
        let named = match request.project {
            Some(id) => Some((id, self.settings(id).await?)),
            None => None,
        };
        let location = match (&named, request.repository.as_str()) {
            (Some((_, Some(settings))), "") => settings.repository.clone(),
            (_, location) => canonical(location)?,
        };
        let project = ProjectId::of_repository(&location);
        let settings = match named {
            Some((id, None)) if id != project => return Err(unknown(id)),
            Some((id, _)) if id != project => {
                let problem = format!("{location:?} is not the repository of project {id}");
                return Err(EngineError::InvalidInput { field: "repository", problem });
            }
            Some((_, settings)) => settings,
            None => self.settings(project).await?,
        };
        let default = || settings.map(|settings| settings.policy).unwrap_or_default();
        let policy = request.policy.clone().unwrap_or_else(default);
        Ok(Settled { project, location, policy })
    }

    /// What people said of a project; none when nobody named it.
    async fn settings(&self, id: ProjectId) -> Result<Option<Settings>> {
        let loaded = self.commands().projects.load_fresh(id.uuid()).await?;
        Ok(loaded.state.settings().cloned())
    }
}

fn unknown(id: ProjectId) -> EngineError {
    EngineError::NotFound { what: "project", id: id.to_string() }
}

fn canonical(location: &str) -> Result<String> {
    let invalid = |problem: String| EngineError::InvalidInput { field: "repository", problem };
    let path = Path::new(location)
        .canonicalize()
        .map_err(|error| invalid(format!("{location:?} cannot be opened: {error}")))?;
    if !path.is_dir() {
        return Err(invalid(format!("{location:?} is not a folder")));
    }
    let text = path.to_str().ok_or_else(|| invalid("its path is not UTF-8".to_owned()))?;
    Ok(text.to_owned())
}
