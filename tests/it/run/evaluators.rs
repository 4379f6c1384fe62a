//! Programs that judge an output after the gate.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::{AGENT_PHASES, Project};

/// A project whose policy has `script` judge the design.
fn judged(script: &str) -> (Project, String) {
    let project = Project::new();
    let path = project.path("agent/judge.sh");
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
    let asked = std::fs::read_to_string(project.path("agent/judge.sh.stdin")).unwrap();
    let asked: Value = serde_json::from_str(&asked).unwrap();
    assert_eq!(asked["phase"], "design");
    assert!(asked["output"]["components"].is_array(), "{asked}");
    project.is_sound();
    project.nothing_is_left();
}

/// It has judged nothing: the agent is not asked again, and a person is.
#[test]
fn an_evaluator_that_cannot_be_run_costs_the_agent_no_attempt_and_a_person_is_asked() {
    let (project, policy) = judged(
        "cat > /dev/null\n\
         if [ -e \"$0.mended\" ]; then echo '{\"passed\": true}'; exit; fi\n\
         echo x >> \"$0.asked\"; echo broken >&2; exit 3",
    );
    let said = project.run(&["--policy", &policy]);
    assert_eq!(said.code(), 3, "{said:?}");
    let paused = project.log().named("ExecutionPaused")[0].data().clone();
    let reason = paused["reason"].as_str().unwrap();
    assert!(reason.contains("evaluator house") && reason.contains("broken"), "{reason}");
    assert!(reason.contains("specline resume"), "{reason}");
    assert_eq!(std::fs::read_to_string(project.path("agent/judge.sh.asked")).unwrap(), "x\nx\nx\n");
    std::fs::write(project.path("agent/judge.sh.mended"), "").unwrap();
    let said = project.specline(&["resume", "--json"]);
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(project.agent.phases(), AGENT_PHASES);
    project.is_sound();
}

/// It may leave a child behind, write much before it reads, and try to change what it judges.
#[test]
fn an_evaluator_is_confined_and_ended_with_all_that_it_started() {
    let (project, policy) = judged(
        "head -c 200000 /dev/zero | tr '\\0' ' '\n\
         cat > \"$0.stdin\"\n\
         echo \"$ANY_SECRET\" > \"$0.env\"\n\
         touch here 2> /dev/null && echo written > \"$0.written\"\n\
         (setsid sleep 31536000 & echo $! > \"$0.pid\")\n\
         echo '{\"passed\": true}'",
    );
    let args = project.run_args(&["--policy", &policy]);
    let mut command = project.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    command.env("ANY_SECRET", "hunter2");
    assert_eq!(project.start(command).wait().code(), 0);
    assert_eq!(std::fs::read_to_string(project.path("agent/judge.sh.env")).unwrap(), "\n");
    let asked = std::fs::read_to_string(project.path("agent/judge.sh.stdin")).unwrap();
    let asked: Value = serde_json::from_str(&asked).unwrap();
    let repository = asked["repository"].as_str().unwrap();
    assert!(!std::path::Path::new(repository).exists(), "its copy is gone: {repository}");
    assert!(!project.path("agent/judge.sh.written").exists());
    let pid = std::fs::read_to_string(project.path("agent/judge.sh.pid")).unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{}", pid.trim())).exists());
}
