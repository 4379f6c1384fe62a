//! Programs that judge an output after the gate.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::{AGENT_PHASES, Project};

/// A project whose policy has `script` judge the design.
fn judged(script: &str) -> (Project, String) {
    let project = Project::new();
    let path = project.path("judge.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let policy = project.policy(&json!({
        "evaluators": [{ "name": "house", "command": path, "phases": ["design"] }],
        "backoff": { "first_ms": 10, "cap_ms": 10 },
    }));
    (project, policy)
}

fn verdicts(project: &Project) -> Vec<Value> {
    let log = project.log();
    let all = log.named("VerdictRecorded").into_iter().map(|event| event.data().clone());
    all.filter(|verdict| verdict["evaluator"] == "house").collect()
}

#[test]
fn an_evaluator_sends_an_output_back_and_then_passes_it() {
    let (project, policy) = judged(
        "cat > \"$0.stdin\"\n\
         if [ -e \"$0.seen\" ]; then echo '{\"passed\": true, \"score\": 800}'; exit; fi\n\
         touch \"$0.seen\"\n\
         echo '{\"passed\": false, \"findings\": [{\"message\": \"name the owner\"}]}'",
    );
    let said = project.run(&["--policy", &policy]);
    assert_eq!(said.code(), 0, "{said:?}");
    let verdicts = verdicts(&project);
    let passed: Vec<_> = verdicts.iter().map(|verdict| verdict["passed"].clone()).collect();
    assert_eq!(passed, [json!(false), json!(true)]);
    assert_eq!(verdicts[0]["findings"][0]["rule"], "house.finding");
    let again = project.agent.request("design", 2);
    assert!(again["prompt"].as_str().unwrap().contains("name the owner"), "{again}");
    let asked = std::fs::read_to_string(project.path("judge.sh.stdin")).unwrap();
    let asked: Value = serde_json::from_str(&asked).unwrap();
    assert_eq!(asked["phase"], "design");
    assert!(asked["output"]["components"].is_array(), "{asked}");
    project.is_sound();
    project.nothing_is_left();
}

#[test]
fn an_evaluator_that_cannot_be_run_passes_nothing_and_says_so() {
    let (project, policy) = judged("echo broken >&2; exit 3");
    let said = project.run(&["--policy", &policy]);
    assert_eq!(said.code(), 1, "{said:?}");
    let error = said.json()["error"].clone();
    assert_eq!(error["phase"], "design");
    assert!(error["reason"].as_str().unwrap().contains("broken"), "{error}");
    assert_eq!(project.log().count("SpecFailed"), 1);
    let phases = project.agent.phases();
    assert_eq!(phases[..2], AGENT_PHASES[..2]);
    assert_eq!(phases.iter().filter(|phase| *phase == "design").count(), 3, "{phases:?}");
}
