//! The policy of a spec: its limits and its choices. It stands in the spec's first event, so that
//! replay needs no configuration.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Phase, Usage};

/// Limits of one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Time limit of an attempt, in milliseconds.
    pub time_ms: u64,
    /// Agent turns at most in an attempt.
    pub turns: u32,
    /// Attempts at most.
    pub attempts: u32,
}

/// Backoff between attempts, in milliseconds: `first`, doubled each time, at most `cap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Backoff {
    pub first_ms: u64,
    pub cap_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first_ms: 2_000, cap_ms: 60_000 }
    }
}

impl Backoff {
    /// The wait after the `n`th failure (from 1) of a phase. `jitter` (0 to 1000, drawn by the
    /// caller) takes off up to a quarter.
    #[must_use]
    pub const fn wait_ms(self, n: u32, jitter: u16) -> u64 {
        let doublings = if n > 20 { 20 } else { n.saturating_sub(1) };
        let grown = self.first_ms.saturating_mul(1 << doublings);
        let wait = if grown < self.cap_ms { grown } else { self.cap_ms };
        wait - wait / 4 * (if jitter > 1000 { 1000 } else { jitter } as u64) / 1000
    }
}

/// What a whole spec may cost, over all phases and attempts. None = no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Budget {
    pub tokens: Option<u64>,
    pub cost_micro_usd: Option<u64>,
}

impl Budget {
    /// The bound that `used` is over, in words.
    #[must_use]
    pub fn exceeded_by(&self, used: Usage) -> Option<String> {
        if let Some(tokens) = self.tokens
            && used.tokens() > tokens
        {
            return Some(format!("{} tokens used, {tokens} allowed", used.tokens()));
        }
        match self.cost_micro_usd {
            Some(cost) if used.cost_micro_usd > cost => {
                Some(format!("{} micro-USD used, {cost} allowed", used.cost_micro_usd))
            }
            _ => None,
        }
    }
}

/// What the gates go by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GatePolicy {
    /// Least weighted soft score, in parts per thousand.
    pub threshold: u16,
    /// Names of rules that are switched off.
    pub rules_off: BTreeSet<String>,
}

impl Default for GatePolicy {
    fn default() -> Self {
        Self { threshold: 700, rules_off: BTreeSet::new() }
    }
}

/// A program that judges an output after the built-in gate has passed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluator {
    pub name: String,
    /// `PROGRAM ARG…`; it gets the output on stdin, and answers with a verdict on stdout. Empty:
    /// the program that the host knows by the name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// The phases that it judges; all that an agent does, when there are none.
    #[serde(default)]
    pub phases: BTreeSet<Phase>,
    /// How long it may take, in milliseconds; where the host says it of a name, that holds.
    #[serde(default = "Evaluator::default_time_ms")]
    pub time_ms: u64,
}

impl Evaluator {
    /// How long one may take when nobody says.
    #[must_use]
    pub const fn default_time_ms() -> u64 {
        60_000
    }

    /// Whether the host says which program it is.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.command.is_empty()
    }

    #[must_use]
    pub fn judges(&self, phase: Phase) -> bool {
        phase.needs_agent() && (self.phases.is_empty() || self.phases.contains(&phase))
    }
}

/// How strongly a sandbox must be kept apart from its machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IsolationNeed {
    /// As strongly as the machine can.
    #[default]
    Any,
    /// By bubblewrap or Landlock; where there is neither, nothing is started.
    Required,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The choices and limits of one spec. Every field has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Policy {
    /// Limits that differ from the defaults, by phase.
    pub limits: BTreeMap<Phase, Limits>,
    pub backoff: Backoff,
    pub gate: GatePolicy,
    /// `builtin`, a name that the host knows, or `command:PROGRAM ARG…`.
    pub agent: String,
    /// Names (never values) of the variables that the agent may see.
    pub agent_env: Vec<String>,
    /// `process` is the only provider so far.
    pub sandbox: String,
    /// What keeps a sandbox apart, at least.
    #[serde(skip_serializing_if = "is_default")]
    pub isolation: IsolationNeed,
    /// Phases whose output a person must approve.
    pub approvals: BTreeSet<Phase>,
    /// Programs that judge an output after the built-in gate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evaluators: Vec<Evaluator>,
    /// How long an approval may take before the spec is paused, in milliseconds. None = for ever.
    pub approval_deadline_ms: Option<u64>,
    pub budget: Budget,
    /// Length of a sandbox's lease, in milliseconds; it heartbeats every third of it.
    pub lease_ms: u64,
    /// Sandboxes that one phase may lose before the spec fails.
    pub max_sandbox_losses: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            limits: BTreeMap::new(),
            backoff: Backoff::default(),
            gate: GatePolicy::default(),
            agent: "builtin".into(),
            agent_env: Vec::new(),
            sandbox: "process".into(),
            isolation: IsolationNeed::Any,
            approvals: BTreeSet::new(),
            evaluators: Vec::new(),
            approval_deadline_ms: None,
            budget: Budget::default(),
            lease_ms: 30_000,
            max_sandbox_losses: 5,
        }
    }
}

/// Longest name of a program, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Whether `name` can be that of a program of the host's: letters, digits, `-`, `_` and `.`.
#[must_use]
pub fn is_program_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(fits)
}

/// Begins an agent that is a command line.
pub const COMMAND_PREFIX: &str = "command:";

impl Policy {
    /// The name by which the host knows the agent; none where it is the engine's own, or a command
    /// line.
    #[must_use]
    pub fn named_agent(&self) -> Option<&str> {
        let own = ["builtin", "noop"].contains(&self.agent.as_str());
        (!own && !self.agent.starts_with(COMMAND_PREFIX)).then_some(self.agent.as_str())
    }

    /// What of this policy names a program by itself, or what one may see: the first such field.
    #[must_use]
    pub fn raw_program(&self) -> Option<&'static str> {
        if self.agent.starts_with(COMMAND_PREFIX) {
            Some("policy.agent")
        } else if self.evaluators.iter().any(|evaluator| !evaluator.is_named()) {
            Some("policy.evaluators")
        } else if !self.agent_env.is_empty() {
            Some("policy.agent_env")
        } else {
            None
        }
    }

    /// The evaluators of `phase`.
    pub fn evaluators(&self, phase: Phase) -> impl Iterator<Item = &Evaluator> {
        self.evaluators.iter().filter(move |evaluator| evaluator.judges(phase))
    }

    /// The limits of `phase`: the policy's own, else the defaults of the domain.
    #[must_use]
    pub fn limits(&self, phase: Phase) -> Limits {
        self.limits.get(&phase).copied().unwrap_or(match phase {
            Phase::Explore => Limits { time_ms: 180_000, turns: 25, attempts: 3 },
            Phase::Requirements => Limits { time_ms: 300_000, turns: 20, attempts: 3 },
            Phase::Design => Limits { time_ms: 300_000, turns: 25, attempts: 3 },
            Phase::Tasks => Limits { time_ms: 180_000, turns: 15, attempts: 3 },
            Phase::Sync => Limits { time_ms: 120_000, turns: 0, attempts: 3 },
        })
    }
}
