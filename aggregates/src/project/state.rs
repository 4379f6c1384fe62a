//! The state of a project, and its transition.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{Event, Settings};
use crate::{IllegalTransition, ProjectId};

/// A project. Made only by replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Project {
    pub(super) id: Option<ProjectId>,
    pub(super) version: u64,
    pub(super) settings: Option<Settings>,
    #[serde(default)]
    pub(super) broken: Option<String>,
}

impl Project {
    #[must_use]
    pub const fn id(&self) -> Option<ProjectId> {
        self.id
    }

    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    #[must_use]
    pub const fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    /// Applies one event. On an error the state is unchanged.
    pub fn evolve(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        let created = self.id.is_some();
        if created == matches!(event, Event::ProjectCreated { .. }) {
            let state = if created { "created" } else { "unknown" };
            return Err(IllegalTransition::new(state, event.name()));
        }
        self.version += 1;
        match event {
            Event::ProjectCreated { project, settings, .. } => {
                self.id = Some(*project);
                self.settings = Some((**settings).clone());
            }
            Event::ProjectRevised { settings, .. } => self.settings = Some((**settings).clone()),
        }
        Ok(())
    }
}
