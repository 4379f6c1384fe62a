//! The five phases of a spec, in their order.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A phase of a spec. The order of the variants is the order of the phases.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Explore,
    Requirements,
    Design,
    Tasks,
    Sync,
}

/// Whether a sandbox may only look, or also change things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Exploration,
    Implementation,
}

impl Mode {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exploration => "exploration",
            Self::Implementation => "implementation",
        }
    }
}

impl Phase {
    pub const ALL: [Self; 5] =
        [Self::Explore, Self::Requirements, Self::Design, Self::Tasks, Self::Sync];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Explore => "explore",
            Self::Requirements => "requirements",
            Self::Design => "design",
            Self::Tasks => "tasks",
            Self::Sync => "sync",
        }
    }

    /// The phase after this one; none after sync.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::Explore => Some(Self::Requirements),
            Self::Requirements => Some(Self::Design),
            Self::Design => Some(Self::Tasks),
            Self::Tasks => Some(Self::Sync),
            Self::Sync => None,
        }
    }

    #[must_use]
    pub const fn mode(self) -> Mode {
        match self {
            Self::Sync => Mode::Implementation,
            Self::Explore | Self::Requirements | Self::Design | Self::Tasks => Mode::Exploration,
        }
    }

    /// Whether an agent in a sandbox does this phase. Sync is the engine's own work.
    #[must_use]
    pub const fn needs_agent(self) -> bool {
        !matches!(self, Self::Sync)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No phase has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no phase is called {0:?}; the phases are explore, requirements, design, tasks, sync")]
pub struct UnknownPhase(String);

impl FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|phase| phase.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownPhase(text.chars().take(40).collect()))
    }
}
