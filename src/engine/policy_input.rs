//! Policies as people write them: everything may be left out, and a name that is not known is
//! refused with the one that was meant. The tolerant form of a policy is for recorded events alone.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use specline_aggregates::{
    Backoff, Budget, Evaluator, GatePolicy, IsolationNeed, Limits, Phase, Policy,
};

use crate::config::nearest;

/// The choices and limits of a spec, as far as they differ from the defaults.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyInput {
    /// Limits that differ from the defaults, by phase.
    limits: BTreeMap<Phase, LimitsInput>,
    backoff: Backoff,
    gate: GatePolicy,
    /// `builtin`, or a name that `GET /api/v1/agents` lists. The local operator may also give
    /// `command:PROGRAM ARG…`.
    agent: Option<String>,
    /// Names (never values) of the variables that the agent may see; only the local operator says.
    agent_env: Vec<String>,
    /// `process` is the only provider so far.
    sandbox: Option<String>,
    /// `required`: nothing is started where neither bubblewrap nor Landlock works.
    isolation: IsolationNeed,
    /// Phases whose output a person must approve.
    approvals: BTreeSet<Phase>,
    /// Programs that judge an output after the built-in gate, by names that `GET /api/v1/agents`
    /// lists. Only the local operator may give a command.
    evaluators: Vec<Evaluator>,
    /// How long an approval may take before the spec is paused, in milliseconds. None = for ever.
    approval_deadline_ms: Option<u64>,
    budget: Budget,
    /// Length of a sandbox's lease, in milliseconds; it heartbeats every third of it.
    lease_ms: Option<u64>,
    /// Sandboxes that one phase may lose before the spec fails.
    max_sandbox_losses: Option<u32>,
}

/// Limits of one phase, as far as they differ from the defaults.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct LimitsInput {
    /// Time limit of an attempt, in milliseconds.
    time_ms: Option<u64>,
    /// Agent turns at most in an attempt.
    turns: Option<u32>,
    /// Attempts at most.
    attempts: Option<u32>,
}

/// What names a value may have within it.
enum Shape {
    Any,
    Names(&'static [(&'static str, Self)]),
    Phases(&'static Self),
    List(&'static Self),
}

const LIMITS: Shape =
    Shape::Names(&[("time_ms", Shape::Any), ("turns", Shape::Any), ("attempts", Shape::Any)]);

const EVALUATOR: Shape = Shape::Names(&[
    ("name", Shape::Any),
    ("command", Shape::Any),
    ("phases", Shape::Any),
    ("time_ms", Shape::Any),
]);

const POLICY: Shape = Shape::Names(&[
    ("limits", Shape::Phases(&LIMITS)),
    ("backoff", Shape::Names(&[("first_ms", Shape::Any), ("cap_ms", Shape::Any)])),
    ("gate", Shape::Names(&[("threshold", Shape::Any), ("rules_off", Shape::Any)])),
    ("agent", Shape::Any),
    ("agent_env", Shape::Any),
    ("sandbox", Shape::Any),
    ("isolation", Shape::Any),
    ("approvals", Shape::Any),
    ("evaluators", Shape::List(&EVALUATOR)),
    ("approval_deadline_ms", Shape::Any),
    ("budget", Shape::Names(&[("tokens", Shape::Any), ("cost_micro_usd", Shape::Any)])),
    ("lease_ms", Shape::Any),
    ("max_sandbox_losses", Shape::Any),
]);

impl PolicyInput {
    /// Reads a policy that somebody wrote.
    pub fn read(json: &str) -> Result<Policy, String> {
        let value: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
        POLICY.check(&value, "policy")?;
        let input: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Ok(input.into())
    }
}

impl From<PolicyInput> for Policy {
    fn from(input: PolicyInput) -> Self {
        let default = Self::default();
        let limits = input.limits.into_iter().map(|(phase, given)| {
            let usual = default.limits(phase);
            let limits = Limits {
                time_ms: given.time_ms.unwrap_or(usual.time_ms),
                turns: given.turns.unwrap_or(usual.turns),
                attempts: given.attempts.unwrap_or(usual.attempts),
            };
            (phase, limits)
        });
        Self {
            limits: limits.collect(),
            backoff: input.backoff,
            gate: input.gate,
            agent: input.agent.unwrap_or(default.agent),
            agent_env: input.agent_env,
            sandbox: input.sandbox.unwrap_or(default.sandbox),
            isolation: input.isolation,
            approvals: input.approvals,
            evaluators: input.evaluators,
            approval_deadline_ms: input.approval_deadline_ms,
            budget: input.budget,
            lease_ms: input.lease_ms.unwrap_or(default.lease_ms),
            max_sandbox_losses: input.max_sandbox_losses.unwrap_or(default.max_sandbox_losses),
        }
    }
}

impl Shape {
    fn check(&self, value: &Value, place: &str) -> Result<(), String> {
        match (self, value) {
            (Self::Names(known), Value::Object(fields)) => fields.iter().try_for_each(|field| {
                let (name, value) = field;
                let found = known.iter().find(|(known, _)| known == name);
                let known: Vec<&str> = known.iter().map(|(known, _)| *known).collect();
                let (_, shape) = found.ok_or_else(|| unknown(place, name, &known))?;
                shape.check(value, &format!("{place}.{name}"))
            }),
            (Self::Phases(shape), Value::Object(fields)) => {
                fields.iter().try_for_each(|(name, value)| {
                    let known = Phase::ALL.map(Phase::as_str);
                    if !known.contains(&name.as_str()) {
                        return Err(unknown(place, name, &known));
                    }
                    shape.check(value, &format!("{place}.{name}"))
                })
            }
            (Self::List(shape), Value::Array(items)) => {
                items.iter().try_for_each(|item| shape.check(item, place))
            }
            // Of another kind than it should be: whoever reads the type says so.
            (Self::Any | Self::Names(_) | Self::Phases(_) | Self::List(_), _) => Ok(()),
        }
    }
}

fn unknown(place: &str, name: &str, known: &[&str]) -> String {
    let hint = match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("it has {}", known.join(", ")),
    };
    format!("{place} has no field `{name}`; {hint}")
}

/// A policy within a request.
pub(super) fn strict<'de, D: Deserializer<'de>>(from: D) -> Result<Policy, D::Error> {
    let raw = Box::<RawValue>::deserialize(from)?;
    PolicyInput::read(raw.get()).map_err(D::Error::custom)
}

/// The same where there may be none.
pub(super) fn strict_or_none<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Policy>, D::Error> {
    let raw = Option::<Box<RawValue>>::deserialize(from)?;
    raw.map(|raw| PolicyInput::read(raw.get()).map_err(D::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use specline_aggregates::{Phase, Policy};

    use super::{POLICY, PolicyInput, Shape};

    #[test]
    fn what_is_left_out_is_as_it_always_is() {
        assert_eq!(PolicyInput::read("{}"), Ok(Policy::default()));
        let text = r#"{ "limits": { "design": { "attempts": 5 } } }"#;
        let usual = Policy::default().limits(Phase::Design);
        let limits = PolicyInput::read(text).unwrap().limits(Phase::Design);
        assert_eq!((limits.attempts, limits.turns), (5, usual.turns));
    }

    #[test]
    fn a_whole_policy_is_read_as_it_was_written() {
        let policy = json!({
            "limits": { "explore": { "time_ms": 1, "turns": 2, "attempts": 3 } },
            "backoff": { "first_ms": 1, "cap_ms": 2 },
            "gate": { "threshold": 1, "rules_off": ["a"] },
            "agent": "mine", "agent_env": ["A"], "sandbox": "process", "approvals": ["design"],
            "evaluators": [{ "name": "house", "phases": ["tasks"], "time_ms": 7 }],
            "approval_deadline_ms": 9, "budget": { "tokens": 1, "cost_micro_usd": 2 },
            "lease_ms": 5000, "max_sandbox_losses": 2,
        });
        let read = PolicyInput::read(&policy.to_string()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), policy);
    }

    /// A field that is added to the type and not here would be refused.
    #[test]
    fn every_field_is_known() {
        let all = serde_json::to_value(Policy::default()).unwrap();
        let Shape::Names(known) = POLICY else { panic!("a policy has names") };
        for name in all.as_object().unwrap().keys() {
            assert!(known.iter().any(|(known, _)| known == name), "{name}");
        }
        let schema = serde_json::to_value(schemars::schema_for!(PolicyInput)).unwrap();
        let fields = schema["properties"].as_object().unwrap();
        assert_eq!(fields.len(), known.len());
        assert!(known.iter().all(|(name, _)| fields.contains_key(*name)));
    }

    #[test]
    fn what_is_not_near_anything_gets_the_list() {
        let told = |policy: Value| PolicyInput::read(&policy.to_string()).unwrap_err();
        let error = told(json!({ "backoff": { "colour": 1 } }));
        assert_eq!(error, "policy.backoff has no field `colour`; it has first_ms, cap_ms");
        let error = told(json!({ "limits": { "desing": {} } }));
        assert_eq!(error, "policy.limits has no field `desing`; did you mean `design`?");
    }
}
