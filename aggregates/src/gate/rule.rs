//! What a rule is, how a list of them is run, and how their results are weighed. All arithmetic is
//! in integers.

use crate::{Finding, GatePolicy, Judgement, Manifest, Phase, Severity};

use super::Earlier;

/// Faults that one rule reports at most; the rest is counted in one more finding.
pub(super) const MAX_FAULTS: usize = 20;

/// What a rule is about, for prompts and documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleInfo {
    /// `phase.rule`, stable.
    pub name: &'static str,
    pub phase: Phase,
    pub severity: Severity,
    /// Its share of the soft score; 0 for a hard rule.
    pub weight: u16,
    /// What it asks for, in words that a prompt can show.
    pub about: &'static str,
}

/// One thing that a rule found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub message: String,
    /// A JSON pointer into the output.
    pub place: String,
    pub mend: String,
}

impl Fault {
    pub fn new(
        place: impl Into<String>,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { message: message.into(), place: place.into(), mend: mend.into() }
    }
}

/// What the rules of a phase look at.
pub(super) struct Case<'a, T> {
    pub output: &'a T,
    pub earlier: &'a Earlier,
    pub manifest: &'a Manifest,
}

/// A rule: no faults means that it passes.
pub(super) struct Rule<F> {
    pub info: RuleInfo,
    pub check: F,
}

/// A rule over a phase's output of type `T`.
pub(super) type OutputRule<T> = Rule<fn(&Case<'_, T>) -> Vec<Fault>>;

pub(super) const fn hard<F: Copy>(
    phase: Phase,
    name: &'static str,
    about: &'static str,
    check: F,
) -> Rule<F> {
    Rule { info: RuleInfo { name, phase, severity: Severity::Hard, weight: 0, about }, check }
}

pub(super) const fn soft<F: Copy>(
    phase: Phase,
    (name, weight): (&'static str, u16),
    about: &'static str,
    check: F,
) -> Rule<F> {
    Rule { info: RuleInfo { name, phase, severity: Severity::Soft, weight, about }, check }
}

/// Runs every rule that the policy leaves on, and weighs the results. The output's shape was found
/// good before.
pub(super) fn run<F: Copy>(
    schema: &RuleInfo,
    rules: &[Rule<F>],
    policy: &GatePolicy,
    check: impl Fn(F) -> Vec<Fault>,
) -> Judgement {
    let mut findings = vec![passed(schema)];
    let mut weights = Weights::default();
    let mut hard_passed = true;
    for rule in rules {
        if policy.rules_off.contains(rule.info.name) {
            findings.push(skipped(&rule.info));
            continue;
        }
        let faults = check(rule.check);
        weights.add(&rule.info, &faults);
        hard_passed &= rule.info.severity == Severity::Soft || faults.is_empty();
        findings.extend(report(&rule.info, faults));
    }
    let score = weights.score();
    let passed = hard_passed && score >= policy.threshold;
    Judgement { passed, score, findings, malformed: false }
}

/// Sum of the soft rules' weights, and of those that passed.
#[derive(Default)]
struct Weights {
    all: u32,
    passed: u32,
}

impl Weights {
    fn add(&mut self, info: &RuleInfo, faults: &[Fault]) {
        if info.severity == Severity::Soft {
            let weight = u32::from(info.weight);
            self.all += weight;
            self.passed += if faults.is_empty() { weight } else { 0 };
        }
    }

    /// Parts per thousand, rounded down; 1000 exactly when everything passed.
    fn score(&self) -> u16 {
        let score = (self.passed * 1000).checked_div(self.all).unwrap_or(1000);
        u16::try_from(score).expect("the passed weights are among all weights, so at most 1000")
    }
}

/// The findings of one rule: one when it passes, else one a fault, up to the cap.
pub(super) fn report(info: &RuleInfo, faults: Vec<Fault>) -> Vec<Finding> {
    if faults.is_empty() {
        return vec![passed(info)];
    }
    let more = faults.len().saturating_sub(MAX_FAULTS);
    let mut findings: Vec<Finding> =
        faults.into_iter().take(MAX_FAULTS).map(|fault| failed(info, fault)).collect();
    if more > 0 {
        let message = format!("and {more} more of the same kind");
        findings.push(failed(info, Fault::new("", message, "Mend them in the same way.")));
    }
    findings
}

fn finding(info: &RuleInfo, message: String) -> Finding {
    Finding {
        rule: info.name.to_owned(),
        severity: info.severity,
        passed: false,
        skipped: false,
        message,
        place: String::new(),
        mend: String::new(),
    }
}

fn passed(info: &RuleInfo) -> Finding {
    Finding { passed: true, ..finding(info, info.about.to_owned()) }
}

fn skipped(info: &RuleInfo) -> Finding {
    Finding { skipped: true, ..finding(info, "switched off by the policy".to_owned()) }
}

fn failed(info: &RuleInfo, fault: Fault) -> Finding {
    Finding { place: fault.place, mend: fault.mend, ..finding(info, fault.message) }
}
