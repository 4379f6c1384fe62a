//! What a back-test found.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use specline_aggregates::{Judgement, Phase, SpecId, Timestamp};

use super::Change;

/// Verdicts that a report tells of one by one; all are counted.
pub(super) const MAX_TOLD: usize = 1_000;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Report {
    pub change: Change,
    /// Verdicts of the gate that were looked at.
    pub verdicts: u64,
    /// Those that the unchanged gate gives again, finding by finding.
    pub derived: u64,
    /// Those that it does not: nothing is said of them. At most 1,000 are named.
    pub n_underivable: u64,
    pub underivable: Vec<Underivable>,
    /// Verdicts of evaluators, which are programs of their own: they are not run again.
    pub by_evaluators: u64,
    /// Verdicts that would pass and did not, and the other way round.
    pub would_pass: u64,
    pub would_fail: u64,
    /// Those whose score alone would be another.
    pub other_score: u64,
    /// At most 1,000 of `would_pass` and `would_fail`.
    pub different: Vec<Difference>,
    /// Different verdicts by the rules that make the difference.
    pub by_rule: BTreeMap<String, u64>,
    pub by_spec: BTreeMap<SpecId, BySpec>,
}

/// Different verdicts of one spec.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BySpec {
    pub title: String,
    pub would_pass: u64,
    pub would_fail: u64,
}

/// Which verdict is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    pub position: u64,
    pub recorded_at: Timestamp,
    pub spec: SpecId,
    pub phase: Phase,
    pub attempt: u32,
}

/// A verdict that the unchanged gate does not give again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Underivable {
    #[serde(flatten)]
    pub place: Place,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outcome {
    pub passed: bool,
    /// In parts per thousand.
    pub score: u16,
}

/// A verdict that would have been another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    #[serde(flatten)]
    pub place: Place,
    pub was: Outcome,
    pub would_be: Outcome,
    /// The rules that make the difference.
    pub rules: BTreeSet<String>,
}

impl From<&Judgement> for Outcome {
    fn from(judgement: &Judgement) -> Self {
        Self { passed: judgement.passed, score: judgement.score }
    }
}

impl Report {
    pub(super) fn no(&mut self, place: Place, why: impl Into<String>) {
        self.n_underivable += 1;
        if self.underivable.len() < MAX_TOLD {
            self.underivable.push(Underivable { place, why: why.into() });
        }
    }

    /// The unchanged gate gave `was` again; the changed one gives `now`.
    pub(super) fn compare(
        &mut self,
        (place, title): (Place, &str),
        was: &Judgement,
        now: &Judgement,
    ) {
        if was.passed == now.passed {
            self.other_score += u64::from(was.score != now.score);
            return;
        }
        let of_spec = self.by_spec.entry(place.spec).or_default();
        title.clone_into(&mut of_spec.title);
        if now.passed {
            self.would_pass += 1;
            of_spec.would_pass += 1;
        } else {
            self.would_fail += 1;
            of_spec.would_fail += 1;
        }
        let rules = self.change.because(was, now);
        for rule in &rules {
            *self.by_rule.entry(rule.clone()).or_default() += 1;
        }
        if self.different.len() < MAX_TOLD {
            let (was, would_be) = (was.into(), now.into());
            self.different.push(Difference { place, was, would_be, rules });
        }
    }
}
