//! What keeps the processes of a sandbox together on this machine: a PID namespace through
//! bubblewrap where that works, else the supervisor as a subreaper.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The environment variable that forces one kind: `auto`, `bubblewrap` or `subreaper`.
pub const VARIABLE: &str = "SPECLINE_ISOLATION";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    Bubblewrap { program: PathBuf, version: String },
    Subreaper,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    #[default]
    Auto,
    Bubblewrap,
    Subreaper,
}

#[derive(Debug, thiserror::Error)]
#[error("bubblewrap is asked for and does not work here: {message}")]
pub struct Unavailable {
    message: String,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kind of isolation: auto, bubblewrap and subreaper are")]
pub struct UnknownChoice(String);

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
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
            "bubblewrap" => Ok(Self::Bubblewrap),
            "subreaper" => Ok(Self::Subreaper),
            _ => Err(UnknownChoice(text.to_owned())),
        }
    }
}

/// The strongest isolation that works here. It starts a process or two: ask once.
#[must_use]
pub fn probe() -> Isolation {
    bubblewrap().unwrap_or_else(|unavailable| {
        tracing::debug!(reason = %unavailable, "no bubblewrap");
        Isolation::Subreaper
    })
}

/// What `choice` comes to; one that is forced is never replaced by another.
pub fn choose(choice: Choice) -> Result<Isolation, Unavailable> {
    match choice {
        Choice::Auto => Ok(probe()),
        Choice::Bubblewrap => bubblewrap(),
        Choice::Subreaper => Ok(Isolation::Subreaper),
    }
}

impl Isolation {
    /// The words for `specline doctor` and a run's summary.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Bubblewrap { version, .. } => format!(
                "processes are contained by bubblewrap {version} (a PID namespace: none outlives \
                 its sandbox); files and network are yours: faults are isolated, malice is not"
            ),
            Self::Subreaper => "processes are contained by a supervisor (subreaper); without \
                                bubblewrap the agent runs as you: faults are isolated, malice is \
                                not"
            .to_owned(),
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bubblewrap { .. } => "bubblewrap",
            Self::Subreaper => "subreaper",
        })
    }
}

/// The flags that every sandbox has: the machine's files as they are, processes of its own, and an
/// end when the supervisor ends.
pub(super) const FLAGS: [&str; 7] =
    ["--die-with-parent", "--unshare-pid", "--dev-bind", "/", "/", "--proc", "/proc"];

fn bubblewrap() -> Result<Isolation, Unavailable> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|dir| dir.join("bwrap")).find(|p| p.is_file());
    let Some(program) = found else {
        return Err(Unavailable { message: "the program `bwrap` is not on PATH".to_owned() });
    };
    let version = said(&program, &["--version"])?;
    let flags: Vec<&str> = FLAGS.iter().copied().chain(["--", "true"]).collect();
    said(&program, &flags)?;
    let version = version.trim().trim_start_matches("bubblewrap ").to_owned();
    Ok(Isolation::Bubblewrap { program, version })
}

fn said(program: &Path, args: &[&str]) -> Result<String, Unavailable> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| Unavailable { message: error.to_string() })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Unavailable { message })
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
    fn both_kinds_are_honest_about_malice() {
        let bubblewrap = Isolation::Bubblewrap { program: "bwrap".into(), version: "1".to_owned() };
        for isolation in [bubblewrap, Isolation::Subreaper] {
            assert!(isolation.describe().ends_with("malice is not"));
        }
    }
}
