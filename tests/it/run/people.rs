//! What people decide: approve, reject, edit.

use serde_json::{Value, json};

use crate::support::{AGENT_PHASES, Agent, Project};

fn digest(project: &Project, phase: &str) -> String {
    let view = project.show(&project.spec());
    let phases = view["phases"].as_array().unwrap();
    let found = phases.iter().find(|found| found["phase"] == phase).unwrap();
    found["digest"].as_str().unwrap().to_owned()
}

/// A run that waits for a person at the end of `requirements`.
fn waiting() -> Project {
    let project = Project::new();
    let said = project.run(&["--approve", "requirements"]);
    assert_eq!(said.code(), 3, "{said:?}");
    assert_eq!(said.json()["status"], "awaiting_approval");
    project.nothing_is_left();
    project
}

#[test]
fn lesson_35_an_approval_holds_the_run_and_lets_it_go_on() {
    let project = waiting();
    let spec = project.spec();
    assert_eq!(project.specline(&["resume"]).code(), 3, "it still waits");
    let said = project.specline(&["approve", &spec, "requirements"]);
    assert_eq!(said.code(), 2, "not at a terminal: {said:?}");
    assert!(said.stderr.contains("--digest"), "{said:?}");
    let wrong = digest(&project, "explore");
    let said = project.specline(&["approve", &spec, "requirements", "--digest", &wrong]);
    assert_eq!(said.code(), 1, "another output than the one that waits: {said:?}");
    assert_eq!(project.log().count("PhaseApproved"), 0);

    let right = digest(&project, "requirements");
    project.ok(&["approve", &spec, "requirements", "--digest", &right]);
    let said = project.specline(&["resume", &spec, "--json"]);
    assert_eq!(said.code(), 0, "{said:?}");
    let log = project.log();
    let approved = log.named("PhaseApproved")[0];
    assert_eq!(approved.data()["by"], "tester");
    assert_eq!(approved.data()["output"], json!(right));
    assert_eq!(project.agent.phases(), AGENT_PHASES, "nothing is done again");
    project.is_sound();
    project.nothing_is_left();
}

#[test]
fn a_rejection_goes_to_the_agent_and_uses_up_no_attempt() {
    let project = waiting();
    let spec = project.spec();
    let feedback = "Name the header that carries the key.";
    project.ok(&["reject", &spec, "requirements", "--feedback", feedback]);
    assert_eq!(project.specline(&["resume", &spec]).code(), 3, "the next output waits too");
    let request = project.agent.request("requirements", 2);
    assert!(request["prompt"].as_str().unwrap().contains(feedback));
    assert!(request["prompt"].as_str().unwrap().contains("Limit how many links"));
    let digest = digest(&project, "requirements");
    project.ok(&["approve", &spec, "requirements", "--digest", &digest]);
    assert_eq!(project.specline(&["resume", &spec]).code(), 0);
    assert_eq!(project.show(&spec)["attempts"]["requirements"], 2);
}

#[test]
fn a_spec_that_waits_for_a_person_may_be_cancelled() {
    let project = waiting();
    let spec = project.spec();
    project.ok(&["cancel", &spec]);
    assert_eq!(project.specline(&["resume", &spec]).code(), 4);
    let digest = digest(&project, "requirements");
    let said = project.specline(&["approve", &spec, "requirements", "--digest", &digest]);
    assert_eq!(said.code(), 1, "{said:?}");
}

fn edit(project: &Project, output: &Value) -> crate::support::Said {
    let file = project.path("edited.json");
    std::fs::write(&file, output.to_string()).unwrap();
    let file = file.display().to_string();
    project.specline(&["edit", &project.spec(), "requirements", "--file", &file])
}

#[test]
fn a_person_may_edit_and_only_later_phases_are_done_again() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let spec = project.spec();
    let mut edited = Agent::answer("requirements");
    edited["requirements"][3]["title"] = json!("Let the operator set the limit");
    let said = edit(&project, &edited);
    assert_eq!(said.code(), 0, "{said:?}");
    let said = project.specline(&["resume", &spec, "--json"]);
    assert_eq!(said.code(), 0, "{said:?}");
    let all = ["explore", "requirements", "design", "tasks", "design", "tasks"];
    assert_eq!(project.agent.phases(), all);
    let seen = project.agent.request("design", 2)["context"]["outputs"]["requirements"].clone();
    assert_eq!(seen, edited, "the design is made for the edited requirements");
    let log = project.log();
    let by: Vec<_> = log.in_phase("OutputSubmitted", "requirements");
    assert_eq!(by[1].data()["by"], "tester");
    assert_eq!((log.count("TaskQueued"), log.count("TicketOpened")), (4, 2), "the same, once");
    assert_eq!(log.count("SpecSynced"), 2);
    let file = project.repo().join("specs").read_dir().unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(file.join("requirements.md")).unwrap();
    assert!(text.contains("Let the operator set the limit"), "{text}");
    project.is_sound();
}

#[test]
fn an_edit_goes_through_the_same_gate() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let before = project.log().0.len();
    let mut edited = Agent::answer("requirements");
    edited["requirements"][0]["text"] = json!("It would be nice to have a limit.");
    let said = edit(&project, &edited);
    assert_eq!(said.code(), 2, "{said:?}");
    assert!(said.stderr.contains("REQ-001") || said.stderr.contains("ears"), "{said:?}");
    assert_eq!(project.log().0.len(), before, "nothing was written");
    assert_eq!(project.show(&project.spec())["status"], "completed");
}
