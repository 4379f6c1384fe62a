//! The contract's variables, and which of the three paths they ask for.

use std::path::PathBuf;

use specline_aggregates::{Epoch, Phase, SandboxId, SpecId, TaskId};

use crate::protocol::env;

/// How the worker is to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Path 2: the state machine drives the phases of a spec.
    StateMachine { spec: SpecId, phase: Phase },
    /// Path 1: the agent drives itself, with the spec-driven skill in its prompt.
    PromptInjection { task: TaskId },
    /// A plain task.
    PlainTask { task: TaskId },
}

/// What the worker goes by.
#[derive(Clone)]
pub struct Config {
    pub path: Path,
    /// One or more base addresses of the API, tried in turn.
    pub api: Vec<String>,
    /// File with the API's address of the moment.
    pub api_file: Option<PathBuf>,
    pub sandbox: SandboxId,
    pub epoch: Epoch,
    pub token: String,
    pub lease_ms: u64,
    /// Touched whenever the engine answered a heartbeat.
    pub lease_file: Option<PathBuf>,
    pub outbox: Option<PathBuf>,
    pub project: String,
}

/// Why the worker cannot start. One line, and it says which variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEnvironment {
    #[error("{0} is not set")]
    Missing(&'static str),
    #[error("{name}={value:?} is not {wanted}")]
    Invalid { name: &'static str, value: String, wanted: &'static str },
    #[error("{0}")]
    Contradiction(String),
}

/// Lease when the variable is not there.
const DEFAULT_LEASE_MS: u64 = 30_000;

impl Config {
    /// Reads the variables through `get`.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidEnvironment> {
        let get = |name: &'static str| get(name).filter(|value| !value.trim().is_empty());
        let need = |name| get(name).ok_or(InvalidEnvironment::Missing(name));
        let path = path(&get)?;
        let lease = match get(env::LEASE_MS) {
            Some(value) => parse(env::LEASE_MS, &value, "a number of milliseconds")?,
            None => DEFAULT_LEASE_MS,
        };
        let project = get(env::PROJECT_ID).or_else(|| get(env::OMOIOS_PROJECT_ID));
        Ok(Self {
            path,
            api: need(env::OMOIOS_API_URL)?
                .split(',')
                .map(|url| url.trim().trim_end_matches('/').to_owned())
                .filter(|url| !url.is_empty())
                .collect(),
            api_file: get(env::API_FILE).map(PathBuf::from),
            sandbox: parse(env::SANDBOX_ID, &need(env::SANDBOX_ID)?, "a UUID")?,
            epoch: Epoch(parse(env::EPOCH, &need(env::EPOCH)?, "a number")?),
            token: need(env::TOKEN)?,
            lease_ms: lease,
            lease_file: get(crate::sandbox::process::LEASE_FILE).map(PathBuf::from),
            outbox: get(env::OUTBOX).map(PathBuf::from),
            project: project.unwrap_or_default(),
        })
    }
}

fn parse<T: std::str::FromStr>(
    name: &'static str,
    value: &str,
    wanted: &'static str,
) -> Result<T, InvalidEnvironment> {
    value.trim().parse().map_err(|_| InvalidEnvironment::Invalid {
        name,
        value: value.to_owned(),
        wanted,
    })
}

fn path(get: &impl Fn(&'static str) -> Option<String>) -> Result<Path, InvalidEnvironment> {
    match (get(env::SPEC_ID), get(env::SPEC_PHASE)) {
        (Some(spec), Some(phase)) => Ok(Path::StateMachine {
            spec: parse(env::SPEC_ID, &spec, "a UUID")?,
            phase: parse(env::SPEC_PHASE, &phase, "explore, requirements, design, tasks or sync")?,
        }),
        (Some(_), None) if get(env::TASK_ID).is_none() => Err(InvalidEnvironment::Contradiction(
            format!("{} is set without {}: a spec run needs both", env::SPEC_ID, env::SPEC_PHASE),
        )),
        (None, Some(_)) => Err(InvalidEnvironment::Contradiction(format!(
            "{} is set without {}: a spec run needs both",
            env::SPEC_PHASE,
            env::SPEC_ID
        ))),
        (_, None) => task_path(get),
    }
}

/// Without a spec to drive, both variables must ask for the skill; one alone is not enough.
fn task_path(get: &impl Fn(&'static str) -> Option<String>) -> Result<Path, InvalidEnvironment> {
    let task = get(env::TASK_ID).ok_or_else(|| {
        InvalidEnvironment::Contradiction(format!(
            "neither {} with {} nor {} is set: there is nothing to work on",
            env::SPEC_ID,
            env::SPEC_PHASE,
            env::TASK_ID
        ))
    })?;
    let task = parse(env::TASK_ID, &task, "a UUID")?;
    let mode = get(env::EXECUTION_MODE).ok_or(InvalidEnvironment::Missing(env::EXECUTION_MODE))?;
    if mode != "exploration" && mode != "implementation" {
        let wanted = "exploration or implementation";
        return Err(InvalidEnvironment::Invalid { name: env::EXECUTION_MODE, value: mode, wanted });
    }
    let skill = get(env::REQUIRE_SPEC_SKILL).is_some_and(|value| value == "true");
    if mode == "exploration" && skill {
        Ok(Path::PromptInjection { task })
    } else {
        Ok(Path::PlainTask { task })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const ID: &str = "018f0000-0000-7000-8000-000000000001";

    fn read(pairs: &[(&str, &str)]) -> Result<Config, InvalidEnvironment> {
        let all = [
            (env::OMOIOS_API_URL, "http://127.0.0.1:1/"),
            (env::SANDBOX_ID, ID),
            (env::EPOCH, "3"),
            (env::TOKEN, "token"),
        ];
        let vars: BTreeMap<&str, &str> = all.iter().chain(pairs).copied().collect();
        Config::read(|name| vars.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn a_spec_and_its_phase_ask_for_the_state_machine() {
        let config = read(&[(env::SPEC_ID, ID), (env::SPEC_PHASE, "design")]).unwrap();
        let Path::StateMachine { phase, .. } = config.path else { panic!("{:?}", config.path) };
        assert_eq!(
            (phase, config.epoch, config.api),
            (Phase::Design, Epoch(3), vec!["http://127.0.0.1:1".to_owned()])
        );
    }

    #[test]
    fn the_skill_needs_both_variables() {
        let task = (env::TASK_ID, ID);
        let explore = (env::EXECUTION_MODE, "exploration");
        let skill = (env::REQUIRE_SPEC_SKILL, "true");
        let path = |pairs: &[(&str, &str)]| read(pairs).unwrap().path;
        assert!(matches!(path(&[task, explore, skill]), Path::PromptInjection { .. }));
        assert!(matches!(path(&[task, explore]), Path::PlainTask { .. }));
        let implement = (env::EXECUTION_MODE, "implementation");
        assert!(matches!(path(&[task, implement, skill]), Path::PlainTask { .. }));
    }

    #[test]
    fn what_is_missing_or_contradicts_is_named() {
        let said = |pairs: &[(&str, &str)]| read(pairs).err().unwrap().to_string();
        assert!(said(&[]).contains("TASK_ID"));
        assert!(said(&[(env::SPEC_PHASE, "design")]).contains("SPEC_ID"));
        assert!(said(&[(env::SPEC_ID, ID)]).contains("SPEC_PHASE"));
        assert!(said(&[(env::SPEC_ID, ID), (env::SPEC_PHASE, "bogus")]).contains("SPEC_PHASE"));
        assert!(said(&[(env::TASK_ID, ID)]).contains("EXECUTION_MODE"));
    }
}
