//! Tests of the prompts.

use serde_json::{Value, json};
use specline_aggregates::gate::{Earlier, judge, rules};
use specline_aggregates::manifest::File;
use specline_aggregates::{GatePolicy, Manifest, RawJson};

use super::*;

const AGENT_PHASES: [Phase; 4] = [Phase::Explore, Phase::Requirements, Phase::Design, Phase::Tasks];
const REQUEST: &str = "Add rate limiting to the public API, {{ 60 }} calls a minute.";

fn raw(phase: Phase) -> RawJson {
    RawJson::parse(example(phase).expect("an example").to_owned()).expect("it is JSON")
}

fn value(phase: Phase) -> Value {
    raw(phase).decode().expect("it is JSON")
}

/// The imaginary repository that the examples are about.
fn manifest() -> Manifest {
    let explored = value(Phase::Explore)["explored_files"].clone();
    let explored: Vec<String> = serde_json::from_value(explored).expect("a list of paths");
    let file = |path| File { path, bytes: 1, oid: "0".into() };
    Manifest::new("c0ffee".into(), explored.into_iter().map(file).collect())
}

fn context(feedback: &Value) -> Value {
    json!({
        "spec": { "title": "Rate limiting", "description": REQUEST, "repository": { "location": "shop" } },
        "outputs": {
            "explore": { "summary": "the explored shop" },
            "requirements": { "feature_name": "the required limit" },
            "design": { "overview": "the designed limiter" },
        },
        "attempt": 2,
        "feedback": feedback,
        "steps": [],
    })
}

fn user(phase: Phase, context: &Value) -> String {
    render(phase, context).expect("it renders").user
}

#[test]
fn lesson_31_every_prompts_example_passes_its_own_gate_with_a_full_score() {
    let earlier = Earlier {
        explore: raw(Phase::Explore).decode().expect("the shape"),
        requirements: raw(Phase::Requirements).decode().expect("the shape"),
        design: raw(Phase::Design).decode().expect("the shape"),
        tasks: raw(Phase::Tasks).decode().expect("the shape"),
    };
    for phase in AGENT_PHASES {
        let judged = judge(phase, &raw(phase), &earlier, &manifest(), &GatePolicy::default());
        let failed: Vec<_> = judged.failed().collect();
        assert!(judged.passed && failed.is_empty(), "{phase}: {failed:?}");
        assert_eq!(judged.score, 1000, "{phase}");
        let shown = user(phase, &context(&Value::Null));
        assert!(shown.contains(example(phase).expect("an example").trim()), "{phase}");
    }
}

#[test]
fn lesson_34_a_retry_carries_the_original_task_and_all_that_was_wrong() {
    let feedback = json!({
        "previous_output": { "overview": "my first try" },
        "message": "The gate rejected attempt 1.",
        "findings": [
            { "rule": "x.hard", "severity": "hard", "passed": false, "message": "it is wrong",
              "where": "/a/0", "mend": "Do it right." },
            { "rule": "x.fine", "severity": "soft", "passed": true, "message": "it is fine" },
            { "rule": "x.off", "severity": "soft", "passed": false, "skipped": true,
              "message": "it is off" },
        ],
    });
    for phase in AGENT_PHASES {
        let first = user(phase, &context(&Value::Null));
        let retry = user(phase, &context(&feedback));
        for part in [REQUEST, "Title: Rate limiting", "Repository: shop"] {
            assert!(first.contains(part) && retry.contains(part), "{phase}: {part}");
        }
        assert_eq!(retry.matches(REQUEST).count(), 2, "again after the feedback");
        let finding = "- [hard] x.hard at /a/0: it is wrong To mend it: Do it right.";
        for part in ["my first try", "rejected attempt 1", "Attempt 2", finding] {
            assert!(retry.contains(part) && !first.contains(part), "{phase}: {part}\n{retry}");
        }
        assert!(!retry.contains("x.fine") && !retry.contains("x.off"));
        assert!(!retry.contains("NOT VALID JSON"));
    }
}

#[test]
fn lesson_33_an_answer_that_was_no_json_is_called_that() {
    let feedback = json!({ "previous_output": "Sure! {\"a\": 1", "findings": [], "message": null });
    let retry = user(Phase::Design, &context(&feedback));
    assert!(retry.contains("NOT VALID JSON (expected value at line 1 column 1)"), "{retry}");
    assert!(retry.contains("Sure! {\"a\": 1") && retry.contains(REQUEST));
    let empty = user(Phase::Design, &context(&json!({ "previous_output": "  " })));
    assert!(empty.contains("NOT VALID JSON (it was empty)"));
}

#[test]
fn a_prompt_carries_the_outputs_before_its_phase_and_no_others() {
    let parts = ["the explored shop", "the required limit", "the designed limiter"];
    for (n, phase) in AGENT_PHASES.into_iter().enumerate() {
        let user = user(phase, &context(&Value::Null));
        for (m, part) in parts.iter().enumerate() {
            assert_eq!(user.contains(part), m < n, "{phase}: {part}");
        }
    }
}

#[test]
fn a_prompt_carries_the_schema_and_every_rule_in_words() {
    for phase in AGENT_PHASES {
        let user = user(phase, &context(&Value::Null));
        assert!(user.contains(&format!("{:#}", specline_aggregates::output::schema(phase))));
        for rule in rules().into_iter().filter(|rule| rule.phase == phase) {
            assert!(user.contains(rule.name) && user.contains(rule.about), "{}", rule.name);
        }
    }
}

#[test]
fn recorded_steps_are_shown() {
    let mut context = context(&Value::Null);
    assert!(!user(Phase::Explore, &context).contains("already done"));
    context["steps"] = json!([{ "name": "read src", "result": { "files": 12 } }]);
    let user = user(Phase::Explore, &context);
    assert!(user.contains("already done") && user.contains("read src"));
}

#[test]
fn there_is_no_prompt_without_a_task() {
    for spec in [json!({}), json!({ "title": "", "description": " " }), Value::Null] {
        let error = render(Phase::Explore, &json!({ "spec": spec })).expect_err("no task");
        assert!(matches!(error, PromptError::Missing(_)), "{error}");
    }
    let title = json!({ "spec": { "title": "Add rate limiting" } });
    assert!(user(Phase::Explore, &title).contains("<request>\nAdd rate limiting\n</request>"));
}

#[test]
fn sync_asks_no_agent() {
    let error = render(Phase::Sync, &context(&Value::Null)).expect_err("no agent");
    assert!(matches!(error, PromptError::NoAgent(Phase::Sync)));
}

#[test]
fn the_skill_names_all_that_an_agent_does_by_itself() {
    for part in ["## 1. Explore", "EARS", "## 3. Architecture and design", "## 4. Tasks", "SHALL"] {
        assert!(SKILL.contains(part), "{part}");
    }
    assert!(SKILL.contains("all by yourself"));
}

#[test]
fn a_very_long_answer_is_cut_and_said_to_be() {
    let feedback = json!({ "previous_output": "é".repeat(300_000) });
    let retry = user(Phase::Tasks, &context(&feedback));
    assert!(retry.contains("… (cut here"));
    assert!(retry.chars().count() < 260_000);
}
