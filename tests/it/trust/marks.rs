//! A byte order mark at the start of what people and agents give is no part of it.

use std::fs;

use serde_json::{Value, json};

use crate::support::{AGENT_PHASES, Agent, Project};

const MARK: &str = "\u{feff}";

/// A file with a mark before `text`; its path.
fn marked(project: &Project, name: &str, text: &str) -> String {
    let path = project.path(name);
    fs::write(&path, format!("{MARK}{text}")).unwrap();
    path.display().to_string()
}

#[test]
fn files_of_people_may_begin_with_a_mark() {
    let project = Project::new();
    let policy = json!({ "gate": { "threshold": 600 }, "approvals": ["design"] });
    let policy = marked(&project, "p.json", &policy.to_string());
    let request = "# Limit links\r\n\r\nLimit how many links an API key may create.\r\n";
    let request = marked(&project, "q.md", request);
    let own = project.path("home/.config/specline");
    fs::create_dir_all(&own).unwrap();
    marked(&project, "home/.config/specline/config.toml", "[log]\nlevel = \"error\"\n");
    let line = project.agent.line();
    let args = ["run", "--file", &request, "--agent", &line, "--policy", &policy, "--json"];
    let said = project.specline(&args);
    assert_eq!(said.code(), 3, "{said:?}");
    let spec = said.json();
    assert_eq!(spec["title"], "Limit links");
    let drafted = project.log().named("SpecDrafted")[0].payload.to_string();
    assert!(!drafted.contains(MARK), "{drafted}");
    let id = spec["id"].as_str().unwrap();
    let output = marked(&project, "d.json", &Agent::answer("design").to_string());
    project.ok(&["edit", id, "design", "--file", &output]);
}

#[test]
fn answers_of_agents_may_begin_with_a_mark() {
    let project = Project::new();
    for phase in AGENT_PHASES {
        let path = format!("agent/answer.{phase}.json");
        let text: Value = Agent::answer(phase);
        marked(&project, &path, &text.to_string());
    }
    let said = project.run(&[]);
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(project.agent.calls().len(), 4, "each was taken the first time");
}
