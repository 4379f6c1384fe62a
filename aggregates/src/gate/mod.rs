//! The gates: lists of rules over a phase's output, the outputs before it, the repository's
//! manifest and the policy. Every rule leaves a finding, also when it passes. A phase passes when
//! all hard rules pass and the weighted soft rules reach the policy's threshold.

mod design;
mod explore;
mod graph;
mod path;
mod reference;
mod requirements;
mod rule;
mod shape;
mod sync;
mod task_files;
mod tasks;
mod text;
mod wording;

#[cfg(test)]
mod lessons;
#[cfg(test)]
mod sample;

pub use rule::RuleInfo;
pub use sync::{SyncEvidence, coverage, judge_sync};

use rule::{Case, Fault, OutputRule};
use serde::de::DeserializeOwned;

use crate::{GatePolicy, Judgement, Manifest, Phase, RawJson, output};

/// Changes when a rule changes its meaning, so that a verdict can be re-derived.
pub const RULES_VERSION: u32 = 2;

/// The accepted outputs of the phases before the one that is judged.
#[derive(Debug, Clone, Default)]
pub struct Earlier {
    pub explore: Option<output::Explore>,
    pub requirements: Option<output::Requirements>,
    pub design: Option<output::Design>,
    pub tasks: Option<output::Tasks>,
}

/// Judges `output` of `phase`. Sync has no output of an agent: see [`judge_sync`].
#[must_use]
pub fn judge(
    phase: Phase,
    output: &RawJson,
    earlier: &Earlier,
    manifest: &Manifest,
    policy: &GatePolicy,
) -> Judgement {
    let gate = Gate { phase, output, earlier, manifest, policy };
    match phase {
        Phase::Explore => gate.judge(explore::RULES),
        Phase::Requirements => gate.judge(requirements::RULES),
        Phase::Design => gate.judge(design::RULES),
        Phase::Tasks => gate.judge(tasks::RULES),
        Phase::Sync => {
            let message = "the engine does sync itself; no agent's output is read for it";
            shape::malformed(phase, vec![Fault::new("", message, "Submit nothing for sync.")])
        }
    }
}

/// All rules, in the order of the phases, and in each the order in which they run.
#[must_use]
pub fn rules() -> Vec<RuleInfo> {
    let mut all = vec![shape::rule(Phase::Explore)];
    all.extend(explore::RULES.iter().map(|rule| rule.info));
    all.push(shape::rule(Phase::Requirements));
    all.extend(requirements::RULES.iter().map(|rule| rule.info));
    all.push(shape::rule(Phase::Design));
    all.extend(design::RULES.iter().map(|rule| rule.info));
    all.push(shape::rule(Phase::Tasks));
    all.extend(tasks::RULES.iter().map(|rule| rule.info));
    all.push(shape::rule(Phase::Sync));
    all.extend(sync::RULES.iter().map(|rule| rule.info));
    all
}

/// One call of [`judge`].
struct Gate<'a> {
    phase: Phase,
    output: &'a RawJson,
    earlier: &'a Earlier,
    manifest: &'a Manifest,
    policy: &'a GatePolicy,
}

impl Gate<'_> {
    fn judge<T: DeserializeOwned>(&self, rules: &[OutputRule<T>]) -> Judgement {
        let output: T = match shape::read(self.phase, self.output) {
            Ok(output) => output,
            Err(malformed) => return malformed,
        };
        let case = Case { output: &output, earlier: self.earlier, manifest: self.manifest };
        rule::run(&shape::rule(self.phase), rules, self.policy, |check| check(&case))
    }
}
