//! The programs that this host knows by name, and which program a policy comes to when something
//! is run. The log holds names; what they stand for is said by the host alone, each time. A command
//! line of the policy's own is the local operator's.

use std::collections::BTreeMap;
use std::path::Path;

use cqrs_es::Aggregate as _;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use specline_aggregates::project::Project;
use specline_aggregates::spec::Spec;
use specline_aggregates::{Evaluator, Policy, ProjectId, SpecId};

use super::{Asked, Engine, EngineError, Trust};
use crate::agent::CommandLine;
use crate::store::StreamId;

/// Begins the agent of an assignment that cannot be carried out; the rest says why.
pub const MISSING: &str = "missing:";

/// Forks of forks that are followed to the draft they began with.
const MAX_FORKS: u32 = 1_000;

/// A program that the host knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// `PROGRAM ARG…`.
    pub command: String,
    /// Names of the variables of the engine's own that it may see.
    pub env: Vec<String>,
    /// How long one call may take, in milliseconds; none = as long as the policy says.
    pub time_ms: Option<u64>,
}

/// The programs that the host knows, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Programs {
    pub agents: BTreeMap<String, Program>,
    pub evaluators: BTreeMap<String, Program>,
}

/// Names that a policy can choose, and whether what they stand for can be started.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Programs")]
pub struct ProgramsShown {
    pub agents: Vec<ProgramShown>,
    pub evaluators: Vec<ProgramShown>,
}

/// One of them. Its command line is the host's own matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Program")]
pub struct ProgramShown {
    pub name: String,
    /// Whether there is a program to start, as far as this host sees.
    pub ready: bool,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<&'static str>,
}

/// What an assignment runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChosenAgent {
    /// `builtin`, `command:PROGRAM ARG…`, or `missing:WHY`.
    pub agent: String,
    pub env: Vec<String>,
    pub time_ms: Option<u64>,
}

/// What a judgement runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChosenEvaluator {
    /// `PROGRAM ARG…`.
    pub command: String,
    /// Names of the variables of the engine's own that it may see.
    pub env: Vec<String>,
    pub time_ms: u64,
}

type Result<T> = std::result::Result<T, EngineError>;

impl Programs {
    /// The names of agents, as a person reads them.
    fn agent_names(&self) -> String {
        let names = std::iter::once("builtin").chain(self.agents.keys().map(String::as_str));
        names.collect::<Vec<_>>().join(", ")
    }

    fn evaluator_names(&self) -> String {
        let names: Vec<&str> = self.evaluators.keys().map(String::as_str).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    /// Refuses a policy that names what this host does not know.
    fn check(&self, policy: &Policy) -> Result<()> {
        let invalid = |field, problem| Err(EngineError::InvalidInput { field, problem });
        if let Some(name) = policy.named_agent()
            && !self.agents.contains_key(name)
        {
            let known = self.agent_names();
            let problem = format!("no agent is called {name:?} here; known are {known}");
            return invalid("policy.agent", problem);
        }
        let mut named = policy.evaluators.iter().filter(|evaluator| evaluator.is_named());
        if let Some(unknown) = named.find(|named| !self.evaluators.contains_key(&named.name)) {
            let (name, known) = (&unknown.name, self.evaluator_names());
            let problem = format!("no evaluator is called {name:?} here; known are {known}");
            return invalid("policy.evaluators", problem);
        }
        Ok(())
    }

    /// What is known, and whether it is ready; looks at the file system.
    #[must_use]
    pub fn shown(&self) -> ProgramsShown {
        let row = |(name, program): (&String, &Program)| {
            let problem = problem_of(&program.command);
            ProgramShown { name: name.clone(), ready: problem.is_none(), problem }
        };
        let builtin = ProgramShown { name: "builtin".to_owned(), ready: true, problem: None };
        let mut agents: Vec<_> = self.agents.iter().map(row).chain([builtin]).collect();
        agents.sort_by(|a, b| a.name.cmp(&b.name));
        ProgramsShown { agents, evaluators: self.evaluators.iter().map(row).collect() }
    }
}

/// Why the program of `command` cannot be started; none where it can, as far as one sees.
fn problem_of(command: &str) -> Option<&'static str> {
    let Ok(line) = CommandLine::parse(command) else { return Some("its command has no program") };
    if line.program.contains('/') {
        return (!is_executable(Path::new(&line.program))).then_some("its program is not there");
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| is_executable(&dir.join(&line.program)));
    (!found).then_some("its program is not on the engine's PATH")
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let meta = path.metadata();
    meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

impl Engine {
    /// What this host knows by name.
    pub async fn programs(&self) -> Result<ProgramsShown> {
        let programs = self.inner.programs.clone();
        let shown = tokio::task::spawn_blocking(move || programs.shown()).await;
        shown.map_err(|error| EngineError::Internal {
            what: "the programs cannot be looked at",
            cause: error.to_string(),
        })
    }

    /// Refuses a policy that names a program where whoever gives it may only choose names, and one
    /// that names what is not here.
    pub(super) fn may_use(&self, policy: &Policy, asked: &Asked) -> Result<()> {
        if asked.trust == Trust::Guest
            && let Some(field) = policy.raw_program()
        {
            return Err(self.named_only(field));
        }
        self.inner.programs.check(policy)
    }

    fn named_only(&self, field: &'static str) -> EngineError {
        let agents = self.inner.programs.agent_names();
        let evaluators = self.inner.programs.evaluator_names();
        let message = format!(
            "{field} names a program, and only the local operator may: put it as [agents.NAME] or \
             [evaluators.NAME] into the config.toml of the engine's user, and give the NAME here; \
             known agents: {agents}; known evaluators: {evaluators}"
        );
        EngineError::Refused { code: "programs_are_named", message, findings: Vec::new() }
    }

    /// The same for what a draft takes from its project. Of a project whose programs were named by
    /// an access key, before keys could not, not even the operator takes any.
    pub(super) async fn may_inherit(
        &self,
        policy: &Policy,
        (project, asked): (ProjectId, &Asked),
    ) -> Result<()> {
        self.may_use(policy, asked)?;
        let Some(field) = policy.raw_program() else { return Ok(()) };
        let stream =
            StreamId { aggregate_type: Project::TYPE.to_owned(), aggregate_id: project.uuid() };
        let (mut after, mut by_key, mut policy) = (0, false, Value::Null);
        loop {
            let page = self.inner.log.read_stream(&stream, after, 500).await?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            for event in &page {
                // Each event has all settings: whoever changed the policy is who gave it.
                let now = policy_in(&event.payload);
                if now != policy {
                    by_key = is_by_key(&event.metadata);
                    policy = now;
                }
            }
        }
        if by_key { Err(self.named_only(field)) } else { Ok(()) }
    }

    /// What runs the attempts of `spec`.
    pub(super) async fn agent_of(&self, spec: &Spec) -> Result<ChosenAgent> {
        let policy = spec.policy();
        let (agent, env) = (policy.agent.clone(), policy.agent_env.clone());
        if policy.raw_program().is_some() && !self.is_the_operators(spec).await? {
            let why = "an access key named the agent or its variables, which only the local \
                       operator may; have it put as [agents.NAME] into the config.toml of the \
                       engine's user, and draft the spec again with the NAME";
            let agent = format!("{MISSING}{why}");
            return Ok(ChosenAgent { agent, env: Vec::new(), time_ms: None });
        }
        let Some(name) = policy.named_agent() else {
            return Ok(ChosenAgent { agent, env, time_ms: None });
        };
        let Some(program) = self.inner.programs.agents.get(name) else {
            let known = self.inner.programs.agent_names();
            let why = format!(
                "this host has no [agents.{name}] in the config.toml of the engine's user; put it \
                 back and restart the engine; known are {known}"
            );
            return Ok(ChosenAgent { agent: format!("{MISSING}{why}"), env, time_ms: None });
        };
        let (mut env, mut more) = (env, program.env.clone());
        more.retain(|name| !env.contains(name));
        env.append(&mut more);
        let agent = format!("command:{}", program.command);
        Ok(ChosenAgent { agent, env, time_ms: program.time_ms })
    }

    /// What an evaluator of `spec` runs; else why there is nothing, in words for people.
    pub(super) async fn evaluator_of(
        &self,
        spec: &Spec,
        evaluator: &Evaluator,
    ) -> Result<std::result::Result<ChosenEvaluator, String>> {
        let name = &evaluator.name;
        if evaluator.is_named() {
            let known = self.inner.programs.evaluators.get(name);
            return Ok(match known {
                Some(program) => Ok(ChosenEvaluator {
                    command: program.command.clone(),
                    env: program.env.clone(),
                    time_ms: program.time_ms.unwrap_or(evaluator.time_ms),
                }),
                None => Err(format!(
                    "this host has no [evaluators.{name}] in the config.toml of the engine's \
                     user; put it back and restart the engine"
                )),
            });
        }
        if self.is_the_operators(spec).await? {
            return Ok(Ok(ChosenEvaluator {
                command: evaluator.command.clone(),
                env: Vec::new(),
                time_ms: evaluator.time_ms,
            }));
        }
        Ok(Err(format!(
            "an access key named the program of {name:?}, which only the local operator may; have \
             it put as [evaluators.{name}] into the config.toml of the engine's user"
        )))
    }

    /// Whether the spec's policy was given by the local operator: its own draft's, or that of the
    /// spec which it was forked from.
    async fn is_the_operators(&self, spec: &Spec) -> Result<bool> {
        let Some(mut id) = spec.id().map(SpecId::uuid) else { return Ok(false) };
        for _ in 0..MAX_FORKS {
            let stream = StreamId { aggregate_type: Spec::TYPE.to_owned(), aggregate_id: id };
            let first = self.inner.log.read_stream(&stream, 0, 1).await?;
            let Some(first) = first.first() else { return Ok(false) };
            let payload: Value = serde_json::from_str(&first.payload).unwrap_or_default();
            let source = payload["SpecForked"]["source"].as_str();
            match source.and_then(|source| source.parse::<SpecId>().ok()) {
                Some(source) => id = source.uuid(),
                None => return Ok(!is_by_key(&first.metadata)),
            }
        }
        Ok(false)
    }
}

/// Whether an access key was behind an event; what cannot be read is nobody's word.
fn is_by_key(metadata: &str) -> bool {
    let metadata: Value = serde_json::from_str(metadata).unwrap_or_default();
    metadata["actor"].as_str().is_none_or(|actor| actor.starts_with("key:"))
}

/// The policy that an event of a project has.
fn policy_in(payload: &str) -> Value {
    let payload: Value = serde_json::from_str(payload).unwrap_or_default();
    let event = payload.as_object().and_then(|event| event.values().next());
    event.and_then(|event| event.pointer("/settings/policy")).cloned().unwrap_or_default()
}
