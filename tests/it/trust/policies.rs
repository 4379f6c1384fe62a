//! Policies from outside: what is unknown is refused, and everything may be left out.

use serde_json::{Value, json};
use specline::store::Position;

use crate::access::Caller;
use crate::support::{Lab, Project, Start};

/// A policy with a mistyped name, and what was meant.
fn mistyped() -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "aprovals": ["design"] }), "`approvals`"),
        (json!({ "limits": { "design": { "atempts": 5 } } }), "`attempts`"),
        (json!({ "limits": { "desing": { "attempts": 5 } } }), "`design`"),
        (json!({ "gate": { "treshold": 800 } }), "`threshold`"),
        (json!({ "backoff": { "first": 10 } }), "`first_ms`"),
        (json!({ "budget": { "token": 10 } }), "`tokens`"),
        (json!({ "evaluators": [{ "name": "a", "phase": ["design"] }] }), "`phases`"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_mistyped_is_refused_wherever_a_policy_comes_in() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let new = json!({ "name": "Links", "repository": lab.project.repo() });
    let made = caller.operate("POST", "/api/v1/projects", &new).await;
    let patch = format!("/api/v1/projects/{}", made.body["id"].as_str().unwrap());
    let before = recorded(&lab).await;
    for (policy, meant) in mistyped() {
        let draft = json!({
            "title": "Limit", "description": "Limit links an API key has.",
            "repository": lab.project.repo(), "policy": policy,
        });
        let other = json!({
            "name": "Other", "repository": lab.project.root(), "policy": policy,
        });
        for (method, path, body) in [
            ("POST", "/api/v1/specs", &draft),
            ("POST", "/api/v1/specs/launch", &draft),
            ("POST", "/api/v1/projects", &other),
            ("PATCH", patch.as_str(), &json!({ "policy": policy })),
        ] {
            let told = caller.operate(method, path, body).await;
            assert_eq!((told.status, told.code()), (422, "invalid_input"), "{policy}: {told:?}");
            assert!(told.body["detail"].as_str().unwrap().contains(meant), "{policy}: {told:?}");
        }
    }
    assert_eq!(recorded(&lab).await, before, "nothing was recorded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_may_be_left_out() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    for (policy, pointer, value) in [
        (json!({ "limits": { "design": { "attempts": 5 } } }), "/limits/design/turns", json!(25)),
        (json!({ "limits": { "tasks": {} } }), "/limits/tasks/time_ms", json!(180_000)),
        (json!({ "backoff": { "first_ms": 10 } }), "/backoff/cap_ms", json!(60_000)),
        (json!({ "gate": { "threshold": 800 } }), "/gate/rules_off", json!([])),
        (json!({ "budget": { "tokens": 100_000 } }), "/budget/cost_micro_usd", Value::Null),
        (json!({ "approval_deadline_ms": null }), "/lease_ms", json!(30_000)),
    ] {
        let draft = json!({
            "title": "Limit", "description": "Limit links an API key has.",
            "repository": lab.project.repo(), "policy": policy,
        });
        let told = caller.operate("POST", "/api/v1/specs", &draft).await;
        assert_eq!(told.status, 201, "{policy}: {told:?}");
        let id: specline_aggregates::SpecId = told.body["id"].as_str().unwrap().parse().unwrap();
        let events = lab.events(id).await;
        let drafted: Value = serde_json::from_str(&events[0].payload).unwrap();
        let found = find(&drafted, "policy").unwrap_or_else(|| panic!("{drafted}"));
        assert_eq!(found.pointer(pointer), Some(&value), "{policy}: {drafted}");
    }
}

/// How many events the log has.
pub async fn recorded(lab: &Lab) -> usize {
    lab.engine.log().read_all(Position(0), 10_000).await.unwrap().len()
}

/// The value under `name`, however deep.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object.get(name).or_else(|| object.values().find_map(|inner| find(inner, name)))
}

/// A misspelling used to switch approvals off without a word.
#[test]
fn a_file_is_as_strict() {
    let project = Project::new();
    for (policy, meant) in mistyped() {
        let said = project.run(&["--policy", &project.policy(&policy)]);
        assert_eq!(said.code(), 2, "{policy}: {said:?}");
        assert!(said.stderr.contains(meant), "{policy}: {said:?}");
    }
    assert!(project.agent.calls().is_empty());
    let limits = json!({ "limits": { "design": { "attempts": 5 } }, "approvals": ["explore"] });
    let said = project.run(&["--policy", &project.policy(&limits)]);
    assert_eq!(said.code(), 3, "a person must approve: {said:?}");
}
