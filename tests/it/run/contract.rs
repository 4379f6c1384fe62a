//! The contract between engine and sandbox, with the real two ends.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use specline_aggregates::Policy;

use crate::support::{AGENT_PHASES, Lab, Project, Start};

fn value<'a>(env: &'a [String], name: &str) -> &'a str {
    let prefix = format!("{name}=");
    env.iter().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn lesson_16_every_variable_of_the_contract_reaches_the_agent() {
    let project = Project::new();
    project.agent.on("design", "once kill kill -9 $PPID; test -d \"$here/once.kill\" || sleep 9\n");
    assert_eq!(project.run(&["--agent-env", "USER"]).code(), 0);
    let (log, spec) = (project.log(), project.spec());
    let brief = log.named("SpecDrafted")[0].data()["brief"].clone();
    let requested = log.named("SandboxRequested");
    // The second sandbox takes up the design where the first one died.
    for (attempt, phase, epoch) in [("explore", "explore", "1"), ("tasks", "design", "2")] {
        let env = project.agent.env(attempt, 1);
        assert_eq!(value(&env, "SPEC_ID"), spec);
        assert_eq!(value(&env, "SPEC_PHASE"), phase);
        assert_eq!(value(&env, "EXECUTION_MODE"), "exploration");
        assert_eq!(value(&env, "REQUIRE_SPEC_SKILL"), "true");
        assert_eq!(json!(value(&env, "PROJECT_ID")), brief["project"]);
        assert_eq!(value(&env, "OMOIOS_PROJECT_ID"), value(&env, "PROJECT_ID"));
        assert!(value(&env, "OMOIOS_API_URL").starts_with("http://127.0.0.1:"));
        assert_eq!(value(&env, "SPECLINE_EPOCH"), epoch);
        let n: usize = epoch.parse().unwrap();
        let sandbox = &requested[n - 1].data()["sandbox"];
        assert_eq!(json!(value(&env, "SPECLINE_SANDBOX_ID")), *sandbox);
        let context = STANDARD.decode(value(&env, "PHASE_CONTEXT_B64")).unwrap();
        let context: Value = serde_json::from_slice(&context).unwrap();
        assert_eq!(context["phase"], phase);
        assert_eq!(context["spec"]["title"], brief["title"]);
        let accepted = context["outputs"].as_object().unwrap().len();
        assert_eq!(accepted, if phase == "design" { 2 } else { 0 });
    }
}

#[test]
fn a_context_that_is_too_long_for_a_variable_is_a_reference() {
    let project = Project::new();
    let text = "Limit how many links an API key may create. ".repeat(3_000);
    std::fs::write(project.path("request.md"), &text).unwrap();
    let (line, file) = (project.agent.line(), project.path("request.md").display().to_string());
    let args = ["run", "--file", &file, "--title", "Long", "--agent", &line, "--json"];
    let said = project.specline(&args);
    assert_eq!(said.code(), 0, "{said:?}");
    let context = STANDARD.decode(value(&project.agent.env("explore", 1), "PHASE_CONTEXT_B64"));
    let context: Value = serde_json::from_slice(&context.unwrap()).unwrap();
    assert!(context["ref"].is_string(), "{context}");
    let seen = &project.agent.request("explore", 1)["context"]["spec"]["description"];
    assert_eq!(seen.as_str().unwrap().trim(), text.trim(), "the agent gets it whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_worker_completes_a_spec_against_the_real_api() {
    let lab = Lab::new(Start::Worker).await;
    let spec = lab.execute(Policy::default()).await;
    lab.until_n(spec, "SpecCompleted", 1).await;
    let agent = &lab.project.agent;
    assert_eq!(agent.phases(), AGENT_PHASES);
    for phase in AGENT_PHASES {
        let request = agent.request(phase, 1);
        assert_eq!(request["phase"], phase);
        for name in ["prompt", "system_prompt", "workdir", "output_path"] {
            assert!(request[name].as_str().is_some_and(|text| !text.is_empty()), "{name}");
        }
        assert!(request["output_schema"]["properties"].is_object());
        assert!(request["time_limit_ms"].as_u64().unwrap() > 100_000);
        assert!(request["turns"].as_u64().unwrap() >= 15);
        assert!(request.get("session").is_some());
    }
    let code = lab
        .eventually("the worker to end", async || {
            lab.provider.workers()[0].try_wait().unwrap().and_then(|status| status.code())
        })
        .await;
    assert_eq!(code, 0);
}

#[test]
fn a_worker_without_its_variables_says_which_and_exits_with_78() {
    let worker = |pairs: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_specline"));
        command.arg("worker").env_clear().envs(pairs.iter().copied());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let id = "0195f000-0000-7000-8000-000000000000";
    let (code, said) = worker(&[]);
    assert_eq!(code, Some(78), "{said}");
    let (code, said) = worker(&[("SPEC_ID", id)]);
    assert!(code == Some(78) && said.contains("SPEC_PHASE"), "{said}");
    let pair = [("SPEC_ID", id), ("SPEC_PHASE", "design")];
    let (code, said) = worker(&pair);
    assert!(code == Some(78) && said.contains("OMOIOS_API_URL"), "{said}");
    let (code, said) = worker(&[pair[0], ("SPEC_PHASE", "nonsense")]);
    assert!(code == Some(78) && said.contains("nonsense"), "{said}");
}
