//! One consistent set of outputs that passes every rule, for the tests: the examples that the
//! prompts show.

use serde_json::Value;

use super::{Earlier, judge, rules};
use crate::manifest::File;
use crate::{GatePolicy, Judgement, Manifest, Phase, RawJson};

const FILES: [&str; 8] = [
    "README.md",
    "package.json",
    "src/app.ts",
    "src/auth.ts",
    "src/config.ts",
    "src/routes/links.ts",
    "src/store.ts",
    "test/links.test.ts",
];

/// A rule's name, and what makes it fail.
pub(super) type Change<'a> = (&'a str, fn(&mut Value));

/// The output of `phase`.
pub(super) fn output(phase: Phase) -> Value {
    let text = match phase {
        Phase::Explore => include_str!("../../../src/prompts/example/explore.json"),
        Phase::Requirements => include_str!("../../../src/prompts/example/requirements.json"),
        Phase::Design => include_str!("../../../src/prompts/example/design.json"),
        Phase::Tasks => include_str!("../../../src/prompts/example/tasks.json"),
        Phase::Sync => panic!("sync has no example"),
    };
    serde_json::from_str(text).expect("an example is JSON")
}

pub(super) fn raw(value: &Value) -> RawJson {
    RawJson::of(value).expect("a value is JSON")
}

pub(super) fn manifest() -> Manifest {
    let file = |path: &&str| File { path: (*path).into(), bytes: 1, oid: "0".into() };
    Manifest::new("c0ffee".into(), FILES.iter().map(file).collect())
}

pub(super) fn earlier() -> Earlier {
    Earlier {
        explore: raw(&output(Phase::Explore)).decode().expect("an example has its shape"),
        requirements: raw(&output(Phase::Requirements)).decode().expect("it has its shape"),
        design: raw(&output(Phase::Design)).decode().expect("an example has its shape"),
        tasks: raw(&output(Phase::Tasks)).decode().expect("an example has its shape"),
    }
}

pub(super) fn judge_with(phase: Phase, output: &Value, manifest: &Manifest) -> Judgement {
    judge(phase, &raw(output), &earlier(), manifest, &GatePolicy::default())
}

/// Judges the sample of `phase` after `change`.
pub(super) fn judge_changed(phase: Phase, change: impl FnOnce(&mut Value)) -> Judgement {
    let mut output = output(phase);
    change(&mut output);
    judge_with(phase, &output, &manifest())
}

/// Judges the sample of `phase` as if no phase had been accepted before it.
pub(super) fn judge_alone(phase: Phase) -> Judgement {
    let policy = GatePolicy::default();
    judge(phase, &raw(&output(phase)), &Earlier::default(), &manifest(), &policy)
}

/// Asserts that the sample passes every rule, that after each change its rule fails, and that every
/// rule of `phase` has a change (but for the schema and the context, which have their own tests).
pub(super) fn each_rule_fails_alone(phase: Phase, changes: &[Change<'_>]) {
    let judged = judge_changed(phase, |_| {});
    assert!(judged.passed && judged.failed().next().is_none(), "{judged:?}");
    assert_eq!(judged.score, 1000);
    for (name, change) in changes {
        let judged = judge_changed(phase, change);
        let failed: Vec<_> = judged.failed().collect();
        let hit = failed.iter().filter(|finding| finding.rule == *name);
        let hit: Vec<_> = hit.collect();
        assert!(!hit.is_empty(), "{name} did not fail: {failed:?}");
        assert!(hit.iter().all(|f| !f.mend.is_empty() && !f.message.is_empty()), "{hit:?}");
        let hard = hit[0].severity == crate::Severity::Hard;
        assert_eq!(
            judged.score == 1000,
            failed.iter().all(|f| f.severity == crate::Severity::Hard)
        );
        assert!(!(hard && judged.passed), "{name} is hard, and the output passed");
    }
    let mut rules: Vec<_> = rules().iter().filter(|r| r.phase == phase).map(|r| r.name).collect();
    rules.retain(|name| !name.ends_with(".schema") && !name.ends_with(".context"));
    let tested: Vec<_> = changes.iter().map(|(name, _)| *name).collect();
    assert_eq!(rules, tested, "each rule has its failing test");
}
