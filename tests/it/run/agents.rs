//! What a command agent may do wrong, and what it is told.

use std::fs;

use serde_json::{Value, json};

use crate::support::{AGENT_PHASES, Project, Said};

/// Finds the request's `output_path`.
const OUTPUT_PATH: &str = "out=$(grep -o '\"output_path\":\"[^\"]*\"' \
     \"$here/request.$phase.$attempt\" | cut -d '\"' -f 4)\n";

/// A run under a policy with short waits between attempts.
fn run_under(project: &Project, policy: &Value) -> Said {
    let mut policy = policy.clone();
    policy["backoff"] = json!({ "first_ms": 10, "cap_ms": 20 });
    project.run(&["--policy", &project.policy(&policy)])
}

/// The prompt of the second attempt in `phase`, which holds the first one's.
fn second_prompt(project: &Project, phase: &str) -> String {
    let [first, second] = [1, 2].map(|attempt| project.agent.request(phase, attempt));
    let request = "Limit how many links an API key may create";
    for asked in [&first, &second] {
        let prompt = asked["prompt"].as_str().unwrap();
        assert!(prompt.contains(request), "the original request stands in every attempt");
    }
    assert_eq!((&first["attempt"], &second["attempt"]), (&json!(1), &json!(2)));
    assert_eq!(first["context"]["feedback"], Value::Null);
    second["prompt"].as_str().unwrap().to_owned()
}

#[test]
fn lesson_33_the_agent_is_told_that_its_json_was_invalid() {
    let project = Project::new();
    project.agent.on("design", "once bad eval 'echo \"Sure! { broken\"; exit 0'\n");
    let said = run_under(&project, &json!({}));
    assert_eq!(said.code(), 0, "{said:?}");
    let prompt = second_prompt(&project, "design");
    assert!(prompt.contains("not valid JSON"), "{prompt}");
    assert!(prompt.contains("Sure! { broken"), "it sees what it said");
    let log = project.log();
    assert_eq!(log.named("AttemptFailed")[0].data()["kind"], "invalid_output");
    assert_eq!(project.agent.phases().iter().filter(|phase| *phase == "design").count(), 2);
}

#[test]
fn lesson_34_a_retry_carries_the_task_the_last_output_and_its_findings() {
    let project = Project::new();
    let bad = project.agent.path("bad.json");
    let mut output = crate::support::Agent::answer("requirements");
    output["requirements"][1]["text"] = json!("Retry-After would be nice to have.");
    fs::write(&bad, output.to_string()).unwrap();
    project.agent.on("requirements", "once bad eval 'cat \"$here/bad.json\"; exit 0'\n");
    let said = run_under(&project, &json!({}));
    assert_eq!(said.code(), 0, "{said:?}");
    let prompt = second_prompt(&project, "requirements");
    assert!(prompt.contains("Retry-After would be nice to have."), "its own last answer");
    let feedback = &project.agent.request("requirements", 2)["context"]["feedback"];
    let failed: Vec<_> = feedback["findings"].as_array().unwrap().iter().collect();
    let failed: Vec<_> = failed.into_iter().filter(|finding| finding["passed"] == false).collect();
    assert!(!failed.is_empty(), "{feedback}");
    for finding in failed {
        assert!(prompt.contains(finding["rule"].as_str().unwrap()), "{finding}");
    }
    assert_eq!(project.log().named("AttemptFailed")[0].data()["kind"], "gate");
}

#[test]
fn lesson_26_a_missing_agent_is_a_failure_and_nothing_else() {
    let project = Project::new();
    let said = project.specline(&["run", "x", "--agent", "command:/no/such/agent", "--json"]);
    assert_eq!(said.code(), 1, "{said:?}");
    let view = said.json();
    assert_eq!(view["error"]["kind"], "configuration");
    assert!(view["error"]["reason"].as_str().unwrap().contains("/no/such/agent"), "{view}");
    let log = project.log();
    assert_eq!(log.count("OutputSubmitted"), 0, "no canned output takes its place");
    assert_eq!(log.count("AttemptStarted"), 1, "trying again would not help");
    let said = project.specline(&["run", "x", "--agent", "telepathy", "--json"]);
    assert_eq!((said.code(), said.stdout.as_str()), (2, ""), "{said:?}");
    assert!(said.stderr.contains("policy.agent"), "{said:?}");
    project.nothing_is_left();
}

#[test]
fn lesson_40_an_oversized_output_is_not_retried_for_ever() {
    let project = Project::new();
    let flood = "printf '\"'; head -c 17825792 /dev/zero | tr '\\0' x; printf '\"'; exit 0\n";
    project.agent.on("explore", flood);
    let said = run_under(&project, &json!({}));
    assert_eq!(said.code(), 1, "{said:?}");
    assert_eq!(project.agent.calls(), ["explore 1", "explore 2", "explore 3"]);
    let log = project.log();
    assert_eq!(log.count("OutputSubmitted"), 0);
    assert_eq!(log.count("SpecFailed"), 1);
    let failed = log.named("AttemptFailed")[0].data();
    assert_eq!(failed["kind"], "invalid_output");
    assert!(failed["message"].as_str().unwrap().contains("longer than"), "{failed}");
    project.nothing_is_left();
}

#[test]
fn a_large_output_is_kept_beside_the_event_and_survives() {
    let project = Project::new();
    let mut output = crate::support::Agent::answer("explore");
    output["summary"] = json!(format!("A link shortener. {}", "More of it. ".repeat(60_000)));
    fs::write(project.agent.path("answer.explore.json"), output.to_string()).unwrap();
    let said = run_under(&project, &json!({ "gate": { "rules_off": ["explore.summary"] } }));
    assert_eq!(said.code(), 0, "{said:?}");
    let log = project.log();
    let explored = log.in_phase("OutputSubmitted", "explore")[0].data();
    assert!(explored["output"]["blob"].is_object(), "over 512 KiB it is no part of the event");
    let seen = project.agent.request("tasks", 1)["context"]["outputs"]["explore"].clone();
    assert_eq!(seen, output, "and later phases get it whole");
    project.is_sound();
}

#[test]
fn an_agent_that_hangs_is_ended_at_its_limit() {
    let project = Project::new();
    project.agent.on("requirements", "once hang hold never\n");
    let limits = json!({ "requirements": { "time_ms": 700, "turns": 1, "attempts": 3 } });
    let said = run_under(&project, &json!({ "limits": limits }));
    assert_eq!(said.code(), 0, "{said:?}");
    let log = project.log();
    assert_eq!(log.named("AttemptFailed")[0].data()["kind"], "timeout");
    assert_eq!(log.count("AttemptFailed"), 1);
    assert_eq!(log.count("SandboxLost"), 0, "the sandbox itself is well");
    project.nothing_is_left();
}

#[test]
fn an_agent_that_fails_is_tried_again_with_its_last_words() {
    let project = Project::new();
    project.agent.on("tasks", "once fail eval 'echo \"the model is overloaded\" >&2; exit 9'\n");
    let said = run_under(&project, &json!({}));
    assert_eq!(said.code(), 0, "{said:?}");
    let log = project.log();
    let failed = log.named("AttemptFailed")[0].data();
    assert_eq!(failed["kind"], "agent_error");
    assert!(failed["message"].as_str().unwrap().contains("the model is overloaded"), "{failed}");
    assert!(second_prompt(&project, "tasks").contains("the model is overloaded"));
}

#[test]
fn an_answer_in_the_file_counts_and_stdout_does_not() {
    let project = Project::new();
    let answer = "cat \"$here/answer.$phase.json\" > \"$out\"; echo 'just chatting'; exit 0\n";
    project.agent.on("all", &format!("{OUTPUT_PATH}{answer}"));
    let said = run_under(&project, &json!({}));
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(project.agent.phases(), AGENT_PHASES);
}

/// Writes what the agent cost, beside its output.
fn costs() -> String {
    let usage = r#"{"input_tokens":100,"output_tokens":10,"cost_micro_usd":2500}"#;
    format!("{OUTPUT_PATH}echo '{usage}' > \"$(dirname \"$out\")/usage.json\"\n")
}

#[test]
fn lesson_36_every_phases_cost_is_recorded() {
    let project = Project::new();
    project.agent.on("all", &costs());
    let said = run_under(&project, &json!({}));
    assert_eq!(said.code(), 0, "{said:?}");
    let usage = said.json()["usage"].clone();
    assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(400), &json!(40)));
    assert_eq!(usage["cost_micro_usd"], 10_000);
}

#[test]
fn lesson_36_the_budget_is_the_specs_and_not_the_attempts() {
    let project = Project::new();
    project.agent.on("all", &costs());
    let said = run_under(&project, &json!({ "budget": { "tokens": 200 } }));
    assert_eq!(said.code(), 1, "{said:?}");
    assert_eq!(said.json()["error"]["kind"], "budget");
    assert_eq!(project.agent.phases(), ["explore", "requirements"]);
    let spec = project.spec();
    project.ok(&["retry", &spec, "--from", "design", "--budget-tokens", "100000"]);
    assert_eq!(project.specline(&["resume", &spec]).code(), 0);
    assert_eq!(project.agent.phases(), AGENT_PHASES);
    project.nothing_is_left();
}

#[test]
fn a_secret_of_the_agent_never_reaches_the_log() {
    let project = Project::new();
    let secret = "s3cr3t-api-key-0123456789";
    let mut output = crate::support::Agent::answer("explore");
    output["summary"] = json!(format!("A link shortener, whose key is {secret}, on Express."));
    fs::write(project.agent.path("answer.explore.json"), output.to_string()).unwrap();
    project.agent.on("explore", "echo \"using $API_KEY\" >&2\n");
    let args = project.run_args(&["--agent-env", "API_KEY"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = project.command(&args);
    command.env("API_KEY", secret).env("OTHER_KEY", "not-for-the-agent");
    let said = project.start(command).wait();
    assert_eq!(said.code(), 0, "{said:?}");
    let env = project.agent.env("explore", 1);
    assert!(env.contains(&format!("API_KEY={secret}")), "the agent gets the key it needs");
    assert!(!env.iter().any(|line| line.starts_with("OTHER_KEY=")), "and no other");
    for place in ["repo/.specline", "state"] {
        assert_not_in(&project.path(place), secret.as_bytes());
    }
}

fn assert_not_in(folder: &std::path::Path, secret: &[u8]) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            assert_not_in(&path, secret);
        } else if let Ok(bytes) = fs::read(&path) {
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "the secret stands in {}", path.display());
        }
    }
}
