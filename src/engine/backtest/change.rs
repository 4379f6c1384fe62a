//! What of a gate is changed, and what a changed gate makes of a judgement.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specline_aggregates::gate::{self, RuleInfo};
use specline_aggregates::{Finding, GatePolicy, Judgement, Phase, Severity, Timestamp};

/// Weight of a soft rule that had none.
const DEFAULT_WEIGHT: u16 = 10;

/// A changed gate, and the verdicts that it is tried on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// Least weighted soft score, in parts per thousand; none = as each spec's policy has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u16>,
    /// By name: `off`, `on`, `hard`, `soft` or `soft:WEIGHT`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, RuleChange>,
    /// Only verdicts of this phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Only verdicts recorded then or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// What becomes of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum RuleChange {
    Off,
    /// As it is built in, also where a policy has switched it off.
    On,
    Hard,
    /// With this weight; none = its own, where it has one.
    Soft(Option<u16>),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChange {
    #[error("{0:?} is none of off, on, hard, soft, soft:WEIGHT")]
    Rule(String),
    #[error("there is no rule {name:?}; those of that phase are {known}")]
    UnknownRule { name: String, known: String },
    #[error("a threshold is 0 to 1000, in parts per thousand; {0} is not")]
    Threshold(u16),
    #[error("{0} is guarded by the engine itself: no policy changes what sync is judged by")]
    Sync(String),
}

impl FromStr for RuleChange {
    type Err = InvalidChange;

    fn from_str(text: &str) -> Result<Self, InvalidChange> {
        let weight = |text: &str| text.parse::<u16>().ok().filter(|weight| *weight > 0);
        match text.split_once(':') {
            None if text == "off" => Ok(Self::Off),
            None if text == "on" => Ok(Self::On),
            None if text == "hard" => Ok(Self::Hard),
            None if text == "soft" => Ok(Self::Soft(None)),
            Some(("soft", given)) if weight(given).is_some() => Ok(Self::Soft(weight(given))),
            _ => Err(InvalidChange::Rule(text.to_owned())),
        }
    }
}

impl TryFrom<String> for RuleChange {
    type Error = InvalidChange;

    fn try_from(text: String) -> Result<Self, InvalidChange> {
        text.parse()
    }
}

impl From<RuleChange> for String {
    fn from(change: RuleChange) -> Self {
        match change {
            RuleChange::Off => "off".to_owned(),
            RuleChange::On => "on".to_owned(),
            RuleChange::Hard => "hard".to_owned(),
            RuleChange::Soft(None) => "soft".to_owned(),
            RuleChange::Soft(Some(weight)) => format!("soft:{weight}"),
        }
    }
}

impl Change {
    /// Refuses what no gate could be.
    pub fn check(&self) -> Result<(), InvalidChange> {
        if let Some(threshold) = self.threshold.filter(|threshold| *threshold > 1000) {
            return Err(InvalidChange::Threshold(threshold));
        }
        let all = gate::rules();
        for name in self.rules.keys() {
            let Some(rule) = all.iter().find(|rule| rule.name == name) else {
                let phase = name.split('.').next().unwrap_or_default();
                let of_phase = |rule: &&RuleInfo| rule.phase.as_str() == phase;
                let mut known: Vec<&str> = all.iter().filter(of_phase).map(|r| r.name).collect();
                if known.is_empty() {
                    known = all.iter().map(|rule| rule.name).collect();
                }
                let known = known.join(", ");
                return Err(InvalidChange::UnknownRule { name: name.clone(), known });
            };
            if rule.phase == Phase::Sync {
                return Err(InvalidChange::Sync(name.clone()));
            }
        }
        Ok(())
    }

    /// Whether the gate stays as it is, so that verdicts are only derived again.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.threshold.is_none() && self.rules.is_empty()
    }

    /// `policy` with this change, as far as a policy can say it.
    pub(super) fn on(&self, policy: &GatePolicy) -> GatePolicy {
        let mut changed = policy.clone();
        changed.threshold = self.threshold.unwrap_or(policy.threshold);
        for (name, change) in &self.rules {
            if *change == RuleChange::Off {
                changed.rules_off.insert(name.clone());
            } else {
                changed.rules_off.remove(name);
            }
        }
        changed
    }

    /// What the changed severities and weights make of `judgement`.
    pub(super) fn weigh(&self, judgement: Judgement, threshold: u16) -> Judgement {
        let counts_anew =
            |change: &RuleChange| matches!(change, RuleChange::Hard | RuleChange::Soft(_));
        if judgement.malformed || !self.rules.values().any(counts_anew) {
            return judgement;
        }
        let (mut all, mut passed, mut hard) = (0_u32, 0_u32, true);
        for rule in gate::rules() {
            let Some(good) = result_of(&judgement.findings, rule.name) else { continue };
            match self.as_changed(&rule) {
                (Severity::Hard, _) => hard &= good,
                (Severity::Soft, share) => {
                    all += u32::from(share);
                    passed += if good { u32::from(share) } else { 0 };
                }
            }
        }
        let score = (passed * 1000).checked_div(all).unwrap_or(1000);
        let score = u16::try_from(score).unwrap_or(1000);
        Judgement { passed: hard && score >= threshold, score, ..judgement }
    }

    fn as_changed(&self, rule: &RuleInfo) -> (Severity, u16) {
        match self.rules.get(rule.name) {
            Some(RuleChange::Hard) => (Severity::Hard, 0),
            Some(RuleChange::Soft(Some(weight))) => (Severity::Soft, *weight),
            Some(RuleChange::Soft(None)) if rule.weight == 0 => (Severity::Soft, DEFAULT_WEIGHT),
            Some(RuleChange::Soft(None)) => (Severity::Soft, rule.weight),
            Some(RuleChange::Off | RuleChange::On) | None => (rule.severity, rule.weight),
        }
    }

    /// The rules that tell `was` and `now` apart: those that count otherwise, and did not pass.
    pub(super) fn because(&self, was: &Judgement, now: &Judgement) -> BTreeSet<String> {
        let worse = if now.passed { was } else { now };
        let failed: BTreeSet<String> = worse.failed().map(|it| it.rule.clone()).collect();
        let changed: BTreeSet<String> =
            failed.iter().filter(|rule| self.rules.contains_key(*rule)).cloned().collect();
        if changed.is_empty() { failed } else { changed }
    }
}

/// Whether a rule passed: all its findings did. None: it was not asked.
fn result_of(findings: &[Finding], rule: &str) -> Option<bool> {
    let mut own = findings.iter().filter(|finding| finding.rule == rule && !finding.skipped);
    let first = own.next()?;
    Some(first.passed && own.all(|finding| finding.passed))
}
