//! A run that was half way goes on in its new house.

use rustix::process::Signal;

use crate::support::{AGENT_PHASES, Project, postgres};

/// Runs until explore and requirements are done, and stops the engine in design.
fn half_way(project: &Project) {
    project.agent.on("design", "once design hold go\n");
    let running = project.start_run(&[]);
    project.wait_for_call("design");
    running.signal(Signal::INT);
    let said = running.wait();
    assert_eq!(said.code(), 130, "{said:?}");
    project.agent.let_go("go");
}

/// The run completes in the store at `url`, and nothing that was done is done again.
fn completes_in(project: &Project, url: &str) {
    let said = project.specline(&["resume", "--store", url, "--json"]);
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(said.json()["status"], "completed");
    let said = project.ok(&["events", "--json", "--store", url]);
    let log = crate::support::Log::parse(&said.stdout);
    for phase in AGENT_PHASES {
        assert_eq!(log.in_phase("PhaseCompleted", phase).len(), 1, "{phase}");
        assert_eq!(log.in_phase("OutputSubmitted", phase).len(), 1, "{phase}");
    }
    assert_eq!((log.count("SpecSynced"), log.count("SpecCompleted")), (1, 1));
    let calls = project.agent.phases();
    for phase in ["explore", "requirements", "tasks"] {
        assert_eq!(calls.iter().filter(|called| *called == phase).count(), 1, "{calls:?}");
    }
    project.ok(&["log", "verify", "--store", url]);
    project.nothing_is_left();
}

fn old_url(project: &Project) -> String {
    format!("sqlite:{}", project.repo().join(".specline/log.db").display())
}

#[test]
fn a_run_that_was_half_way_completes_in_another_file() {
    let project = Project::new();
    half_way(&project);
    let new = format!("sqlite:{}", project.path("new.db").display());
    project.ok(&["log", "copy", "--from", &old_url(&project), "--to", &new]);
    completes_in(&project, &new);
}

#[test]
fn a_run_that_was_half_way_completes_in_postgresql() {
    let project = Project::new();
    half_way(&project);
    let database = postgres::server().database();
    project.ok(&["log", "copy", "--from", &old_url(&project), "--to", database.url()]);
    completes_in(&project, database.url());
}
