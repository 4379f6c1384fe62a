//! Two programs on one log at once: both work, or the second says 75; never corruption.

use crate::support::{AGENT_PHASES, Project, Running};

/// Two runs, the second started when the first has called its agent.
fn two_runs(project: &Project) -> (Running, Running) {
    let first = project.start_run(&["--title", "First"]);
    project.wait_for_call("explore");
    let second = project.start_run(&["--title", "Second"]);
    project.log_when("two specs", |log| log.count("ExecutionStarted") == 2);
    (first, second)
}

/// Both specs have completed, each with its own files.
fn both_completed(project: &Project) {
    project.is_sound();
    let log = project.log();
    let specs = log.specs();
    assert_eq!(specs.len(), 2);
    for spec in &specs {
        let log = log.of(spec);
        assert_eq!((log.count("SpecSynced"), log.count("SpecCompleted")), (1, 1), "{spec}");
        assert_eq!(project.show(spec)["status"], "completed");
    }
    let folders = std::fs::read_dir(project.repo().join("specs")).unwrap().count();
    assert_eq!(folders, 2);
    assert_eq!((log.count("TicketOpened"), log.count("TaskQueued")), (4, 8));
    project.nothing_is_left();
}

#[test]
fn two_runs_at_once_both_complete() {
    let project = Project::new();
    let both =
        [project.start_run(&["--title", "First"]), project.start_run(&["--title", "Second"])];
    let codes: Vec<_> = both.into_iter().map(|run| run.wait().code()).collect();
    assert!(codes.contains(&0) && codes.iter().all(|code| [0, 75].contains(code)), "{codes:?}");
    if codes == [0, 0] {
        both_completed(&project);
    } else {
        project.is_sound();
    }
}

#[test]
fn the_first_run_ends_while_the_second_ones_spec_goes_on() {
    let project = Project::new();
    project.agent.on(
        "tasks",
        "grep -q '\"title\":\"Second\"' \"$here/request.$phase.$attempt\" && hold go\n",
    );
    let (first, second) = two_runs(&project);
    let said = first.wait();
    assert_eq!(said.code(), 0, "{said:?}");
    project.agent.let_go("go");
    let said = second.wait();
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(said.json()["title"], "Second");
    both_completed(&project);
    assert_eq!(project.agent.phases().len(), 2 * AGENT_PHASES.len(), "nothing is done again");
}

#[test]
fn the_follower_takes_over_when_the_engine_is_killed() {
    let project = Project::new();
    project.agent.on("design", "hold go\n");
    let (first, second) = two_runs(&project);
    project.wait_for_call("design");
    first.kill();
    project.agent.let_go("go");
    let said = second.wait();
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(said.json()["title"], "Second");
    project.ok(&["resume", "--json"]);
    both_completed(&project);
    assert_eq!(project.log().count("SandboxLost"), 0, "both sandboxes outlive the first engine");
}

/// The reading commands work beside the engine, and a writing one goes through it.
#[test]
fn other_commands_work_beside_a_running_engine() {
    let project = Project::new();
    project.agent.on("design", "hold go\n");
    let run = project.start_run(&[]);
    project.wait_for_call("design");
    let spec = project.spec();
    for args in [vec!["list", "--json"], vec!["tasks", "--json"], vec!["show", &spec, "--json"]] {
        project.ok(&args);
    }
    project.ok(&["cancel", &spec]);
    assert_eq!(run.wait().code(), 4);
    project.is_sound();
    project.nothing_is_left();
}
