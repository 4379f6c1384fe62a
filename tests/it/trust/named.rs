//! Programs that the host knows by name: chosen by name, shown by name, run as the host says.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::borders::Served;
use crate::support::{Project, process};

/// Puts `text` where the user's own settings are.
fn configure(project: &Project, text: &str) {
    let folder = project.path("home/.config/specline");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), text).unwrap();
}

/// The scripted agent as `[agents.scripted]`, with `more` lines.
fn scripted(project: &Project, more: &str) -> String {
    let line = project.agent.line();
    let line = line.strip_prefix("command:").unwrap();
    format!("[agents.scripted]\ndriver = \"command\"\ncommand = {line:?}\n{more}\n")
}

fn launch(project: &Project, policy: &Value) -> Value {
    json!({
        "title": "Limit links",
        "description": "Limit how many links an API key may create.",
        "repository": project.repo(),
        "policy": policy,
    })
}

#[test]
fn a_key_chooses_an_agent_by_name_and_the_log_never_holds_its_command() {
    let project = Project::new();
    configure(&project, &scripted(&project, "env = [\"WORD\"]"));
    let mut command = project.command(&["serve"]);
    command.env("WORD", "from-the-host");
    let served = Served::start(&project, command);
    let key = served.key("ci", "operator", None);
    let body = launch(&project, &json!({ "agent": "scripted" }));
    let (status, launched) = served.post("/api/v1/specs/launch", &key, &body);
    assert_eq!(status, 202, "{launched}");
    let spec = launched["id"].as_str().unwrap();
    let log = project.log_when("the end", |log| log.count("SpecCompleted") == 1);
    assert_eq!(project.show(spec)["agent"], "scripted");
    let texts: Vec<String> = log.0.iter().map(|event| event.data().to_string()).collect();
    assert!(!texts.iter().any(|text| text.contains("agent.sh")), "{texts:#?}");
    let env = project.agent.env("explore", 1);
    assert!(env.contains(&"WORD=from-the-host".to_owned()), "{env:?}");
    served.stop();
}

/// What runs inside can call in its worker's place, and nobody there masks what it tells.
#[test]
fn what_the_host_gives_to_a_named_agent_is_masked_in_every_call() {
    const SECRET: &str = "hunter2-of-the-host";
    let project = Project::new();
    configure(&project, &scripted(&project, "env = [\"MODEL_API_KEY\"]"));
    project.agent.on("explore", "hold go");
    let mut command = project.command(&["serve"]);
    command.env("MODEL_API_KEY", SECRET);
    let served = Served::start(&project, command);
    let key = served.key("ci", "operator", None);
    let body = launch(&project, &json!({ "agent": "scripted" }));
    let (status, launched) = served.post("/api/v1/specs/launch", &key, &body);
    assert_eq!(status, 202, "{launched}");
    project.wait_for_call("explore");
    let log = project.log();
    let attached = log.named("SandboxAttached");
    let sandbox = attached[0].data()["sandbox"].as_str().unwrap();
    let token = process::token(project.root(), sandbox).unwrap();
    let step = json!({
        "phase": "explore", "attempt": 1, "number": 1, "name": "look",
        "result": { "seen": format!("key {SECRET}.") },
    });
    let told = served.post(&format!("/api/v1/sandboxes/{sandbox}/steps"), &token, &step);
    assert_eq!(told.0, 200, "{told:?}");
    let failure = json!({
        "phase": "explore", "attempt": 1, "kind": "agent_error", "message": SECRET,
    });
    let told = served.post(&format!("/api/v1/sandboxes/{sandbox}/failure"), &token, &failure);
    assert_eq!(told.0, 200, "{told:?}");
    project.agent.let_go("go");
    let log = project.log();
    let texts: Vec<String> = log.0.iter().map(|event| event.data().to_string()).collect();
    assert!(texts.iter().any(|text| text.contains("key ***.")), "{texts:#?}");
    assert!(!texts.iter().any(|text| text.contains(SECRET)), "{texts:#?}");
    served.stop();
}

#[test]
fn an_unknown_name_is_refused_with_those_that_are_known() {
    let project = Project::new();
    configure(&project, &scripted(&project, "[evaluators.house]\ncommand = \"/bin/cat\""));
    for (policy, word) in [
        (json!({ "agent": "scriptet" }), "builtin, scripted"),
        (json!({ "evaluators": [{ "name": "hause" }] }), "house"),
    ] {
        let file = project.policy(&policy);
        let said = project.specline(&["run", "Limit links", "--policy", &file]);
        assert_ne!(said.code(), 0, "{said:?}");
        assert!(said.stderr.contains(word), "{policy}: {said:?}");
    }
    let said = project.specline(&["run", "Limit links", "--agent", "scriptet"]);
    assert!(said.stderr.contains("builtin, scripted"), "{said:?}");
    assert!(project.log().specs().is_empty());
}

#[test]
fn a_name_that_has_gone_is_a_failure_that_names_it() {
    let project = Project::new();
    configure(&project, &scripted(&project, ""));
    project.agent.on("requirements", "hold go");
    let policy = project.policy(&json!({
        "agent": "scripted", "backoff": { "first_ms": 10, "cap_ms": 10 },
    }));
    let running = project.start(project.command(&["run", "Limit links", "--policy", &policy]));
    project.wait_for_call("requirements");
    running.signal(rustix::process::Signal::INT);
    assert_eq!(running.wait().code(), 130);
    configure(&project, "");
    let said = project.specline(&["resume", "--json"]);
    assert_eq!(said.code(), 1, "{said:?}");
    let log = project.log();
    let failed = log.named("AttemptFailed");
    let gone = failed.iter().map(|event| event.data()).find(|data| data["kind"] == "configuration");
    let gone = gone.unwrap_or_else(|| panic!("{failed:?}"));
    assert!(gone["message"].as_str().unwrap().contains("scripted"), "{gone}");
}

#[test]
fn an_evaluator_is_chosen_by_name() {
    let project = Project::new();
    let path = project.path("judge.sh");
    // Its answer may begin with a byte order mark.
    let says = "printf '\\357\\273\\277{\"passed\": true}\\n'";
    fs::write(&path, format!("#!/bin/sh\ncat > /dev/null\n{says}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let line = format!("[evaluators.house]\ncommand = {:?}\ntime_s = 20\n", path.display());
    configure(&project, &line);
    let policy = json!({ "evaluators": [{ "name": "house", "phases": ["design"] }] });
    let said = project.run(&["--policy", &project.policy(&policy)]);
    assert_eq!(said.code(), 0, "{said:?}");
    let log = project.log();
    let verdicts = log.named("VerdictRecorded");
    let by_house = verdicts.iter().filter(|event| event.data()["evaluator"] == "house");
    assert_eq!(by_house.count(), 1);
}

#[test]
fn the_names_and_whether_they_are_ready_are_told_and_their_commands_are_not() {
    let project = Project::new();
    let text = "[agents.here]\ncommand = \"sh -c 'exit 0' s3cret\"\n\
                [agents.gone]\ncommand = \"/no/such/agent --key s3cret\"\n\
                [evaluators.house]\ncommand = \"no-such-judge s3cret\"\n";
    configure(&project, text);
    let served = Served::start(&project, project.command(&["serve"]));
    let key = served.key("eyes", "reader", None);
    let (status, told) = served.get("/api/v1/agents", &key);
    assert_eq!(status, 200, "{told}");
    let ready = |list: &str| -> Vec<(String, bool)> {
        let rows = told[list].as_array().unwrap_or_else(|| panic!("{told}")).iter();
        let row = |row: &Value| {
            (row["name"].as_str().unwrap().to_owned(), row["ready"].as_bool().unwrap())
        };
        rows.map(row).collect()
    };
    let of = |name: &str, ready| (name.to_owned(), ready);
    assert_eq!(ready("agents"), [of("builtin", true), of("gone", false), of("here", true)]);
    assert_eq!(ready("evaluators"), [of("house", false)]);
    assert!(!told.to_string().contains("s3cret"), "{told}");
    assert_eq!(served.get("/api/v1/agents", "nobody").0, 401);
    served.stop();
    let said = project.ok(&["config", "show"]);
    assert!(said.stdout.contains("agents.here.command"), "{said:?}");
}
