//! What a gate says of an output.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A hard rule must pass; a soft one is weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Hard,
    Soft,
}

/// The result of one rule. Every rule leaves at least one, also when it passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The rule's stable name, `phase.rule`, such as `requirements.ears`.
    pub rule: String,
    pub severity: Severity,
    pub passed: bool,
    /// The rule was switched off by the policy; it counts neither way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// What was found, in one sentence.
    pub message: String,
    /// Where in the output, as a JSON pointer; empty for the whole of it.
    #[serde(default, rename = "where", skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// How to mend it; empty when it passed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mend: String,
}

/// A gate's judgement of one output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    pub passed: bool,
    /// Weighted share of the soft rules that passed, in parts per thousand (0 to 1000).
    pub score: u16,
    pub findings: Vec<Finding>,
    /// The output does not even have the phase's shape, so the other rules did not run.
    pub malformed: bool,
}

impl Judgement {
    /// The findings that did not pass, hard ones first.
    pub fn failed(&self) -> impl Iterator<Item = &Finding> {
        let hard = self.findings.iter().filter(|f| f.severity == Severity::Hard);
        let soft = self.findings.iter().filter(|f| f.severity == Severity::Soft);
        hard.chain(soft).filter(|f| !f.passed && !f.skipped)
    }
}
