//! What keeps a sandbox apart from this machine: bubblewrap where it works, else Landlock, else
//! nothing but a supervisor that ends its processes, which is said wherever it matters.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::confine::{self, View};

/// The environment variable that forces one kind: `auto`, `required`, `bubblewrap`, `landlock` or
/// `subreaper`.
pub const VARIABLE: &str = "SPECLINE_ISOLATION";

/// What nothing keeps apart.
pub const WEAK: &str = "weak";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    Bubblewrap {
        program: PathBuf,
        version: String,
    },
    Landlock {
        /// This program, whose subcommand confines itself.
        program: PathBuf,
    },
    /// Weak: the agent is kept together, and kept from nothing.
    Subreaper,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// The strongest that works here.
    #[default]
    Auto,
    /// The same, and never a weak one.
    Required,
    Bubblewrap,
    Landlock,
    Subreaper,
}

#[derive(Debug, thiserror::Error)]
#[error("{wanted} is asked for and does not work here: {message}")]
pub struct Unavailable {
    wanted: &'static str,
    message: String,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kind of isolation: auto, required, bubblewrap, landlock and subreaper are")]
pub struct UnknownChoice(String);

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Required => "required",
            Self::Landlock { .. } => "landlock",
            Self::Bubblewrap => "bubblewrap",
            Self::Subreaper => "subreaper",
        })
    }
}

impl FromStr for Choice {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" | "auto" => Ok(Self::Auto),
            "required" => Ok(Self::Required),
            "landlock" => Ok(Self::Landlock),
            "bubblewrap" => Ok(Self::Bubblewrap),
            "subreaper" => Ok(Self::Subreaper),
            _ => Err(UnknownChoice(text.to_owned())),
        }
    }
}

/// The strongest isolation that works here. It starts a process or two: ask once.
#[must_use]
pub fn probe() -> Isolation {
    strong().unwrap_or_else(|unavailable| {
        tracing::debug!(reason = %unavailable, "weak isolation");
        Isolation::Subreaper
    })
}

/// What `choice` comes to; one that is forced is never replaced by another.
pub fn choose(choice: Choice) -> Result<Isolation, Unavailable> {
    match choice {
        Choice::Auto => Ok(probe()),
        Choice::Required => strong(),
        Choice::Bubblewrap => bubblewrap(),
        Choice::Landlock => landlock(),
        Choice::Subreaper => Ok(Isolation::Subreaper),
    }
}

fn strong() -> Result<Isolation, Unavailable> {
    let first = match bubblewrap() {
        Ok(isolation) => return Ok(isolation),
        Err(unavailable) => unavailable,
    };
    landlock().map_err(|second| Unavailable {
        wanted: "isolation",
        message: format!(
            "bubblewrap: {}; Landlock: {}. Install the package `bubblewrap`",
            first.message, second.message
        ),
    })
}

impl Isolation {
    /// Whether what runs inside is kept from nothing that its user may do.
    #[must_use]
    pub const fn is_weak(&self) -> bool {
        matches!(self, Self::Subreaper)
    }

    /// In one word, for events and lines.
    #[must_use]
    pub const fn strength(&self) -> &'static str {
        match self {
            Self::Bubblewrap { .. } => "bubblewrap",
            Self::Landlock { .. } => "landlock",
            Self::Subreaper => WEAK,
        }
    }

    /// The words for `specline doctor` and a run's summary.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Bubblewrap { version, .. } => format!(
                "bubblewrap {version}: an agent sees no process but its own and not Specline's \
                 files, and writes only to its own folders and the temporary folder; it may read \
                 what you may read, and use your network"
            ),
            Self::Landlock { .. } => {
                "Landlock, as bubblewrap does not work here: an agent cannot read Specline's \
                 files, and writes only to its own folders; it may read what you may read, see \
                 your processes and use your network"
                    .to_owned()
            }
            Self::Subreaper => "weak isolation: neither bubblewrap nor Landlock is used, and an \
                                agent may do whatever you may; faults are isolated, malice is \
                                not. Install the package `bubblewrap`"
                .to_owned(),
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bubblewrap { .. } => "bubblewrap",
            Self::Landlock { .. } => "landlock",
            Self::Subreaper => "subreaper",
        })
    }
}

fn bubblewrap() -> Result<Isolation, Unavailable> {
    let unavailable = |message| Unavailable { wanted: "bubblewrap", message };
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|dir| dir.join("bwrap")).find(|p| p.is_file());
    let Some(program) = found else {
        return Err(unavailable("the program `bwrap` is not on PATH".to_owned()));
    };
    let version = said(Command::new(&program).arg("--version")).map_err(unavailable)?;
    let version = version.trim().trim_start_matches("bubblewrap ").to_owned();
    works(Isolation::Bubblewrap { program, version }).map_err(unavailable)
}

fn landlock() -> Result<Isolation, Unavailable> {
    let unavailable = |message| Unavailable { wanted: "Landlock", message };
    let program = std::env::current_exe().map_err(|error| unavailable(error.to_string()))?;
    works(Isolation::Landlock { program }).map_err(unavailable)
}

/// Tried for real: a kernel, a container or a profile may refuse what the program promises.
fn works(isolation: Isolation) -> Result<Isolation, String> {
    said(&mut confine::command(&isolation, &View::default(), Path::new("/"), Path::new("true")))?;
    Ok(isolation)
}

fn said(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_and_an_unknown_one_refused() {
        assert_eq!("auto".parse(), Ok(Choice::Auto));
        assert_eq!("subreaper".parse(), Ok(Choice::Subreaper));
        assert_eq!("docker".parse::<Choice>(), Err(UnknownChoice("docker".to_owned())));
    }

    #[test]
    fn each_kind_says_what_it_does_not_keep() {
        let bubblewrap = Isolation::Bubblewrap { program: "bwrap".into(), version: "1".to_owned() };
        for isolation in [bubblewrap, Isolation::Landlock { program: "specline".into() }] {
            assert!(isolation.describe().ends_with("use your network") && !isolation.is_weak());
        }
        assert!(Isolation::Subreaper.is_weak());
        assert!(Isolation::Subreaper.describe().starts_with("weak isolation"));
    }
}
