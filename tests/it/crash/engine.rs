//! The engine is killed with SIGKILL, at named points and at random moments, and started again.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::completed_once;
use crate::support::{AGENT_PHASES, Project, Random, process, times, wait_until};

/// A run whose engine dies at `point`; then the resume that completes it.
fn killed_at(point: &str) -> Project {
    let project = Project::new();
    let args = project.run_args(&[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = project.command(&args);
    let once = project.agent.path("crashed");
    command.env("SPECLINE_CRASH_AT", format!("{point}={}", once.display()));
    let said = project.start(command).wait();
    assert_eq!(said.code(), 128 + 9, "{point}: {said:?}");
    let said = project.specline(&["resume", "--json"]);
    assert_eq!(said.code(), 0, "{point}: {said:?}");
    assert_eq!(said.json()["status"], "completed");
    completed_once(&project);
    project.nothing_is_left();
    project
}

/// The sandbox outlives the engine and goes on where it is.
fn killed_beside_a_living_sandbox(point: &str) {
    let project = killed_at(point);
    let log = project.log();
    assert_eq!(log.count("SandboxLost"), 0, "{point}: the survivor goes on");
    assert_eq!(log.count("SandboxAttached"), 1, "{point}: and is not doubled");
    assert_eq!(project.agent.phases(), AGENT_PHASES, "{point}: nothing is done again");
}

#[test]
fn killed_with_an_output_recorded_and_not_answered_in_explore() {
    killed_beside_a_living_sandbox("engine_output_recorded:explore");
}

#[test]
fn killed_with_an_output_recorded_and_not_answered_in_requirements() {
    killed_beside_a_living_sandbox("engine_output_recorded:requirements");
}

#[test]
fn killed_with_an_output_recorded_and_not_answered_in_design() {
    killed_beside_a_living_sandbox("engine_output_recorded:design");
}

#[test]
fn killed_with_an_output_recorded_and_not_answered_in_tasks() {
    killed_beside_a_living_sandbox("engine_output_recorded:tasks");
}

#[test]
fn killed_when_a_sandbox_is_claimed_and_not_started() {
    killed_beside_a_living_sandbox("spawn_claimed");
}

#[test]
fn killed_when_a_sandbox_is_started_and_not_recorded() {
    killed_beside_a_living_sandbox("spawn_started");
}

#[test]
fn killed_with_sync_planned() {
    killed_beside_a_living_sandbox("sync_planned");
}

#[test]
fn killed_with_the_work_made() {
    killed_beside_a_living_sandbox("sync_work_made");
}

#[test]
fn killed_with_the_files_written() {
    killed_beside_a_living_sandbox("sync_files_written");
}

/// Whether the log is there and holds such an event.
fn has(project: &Project, event_type: &str) -> bool {
    let said = project.specline(&["events", "--json"]);
    said.code() == 0 && crate::support::Log::parse(&said.stdout).count(event_type) > 0
}

/// One run whose engine is killed after `delay`, and as often again as `delays` says.
fn killed_at_random(delays: &[Duration]) {
    let project = Project::new();
    project.agent.on("all", "sleep 0.1\n");
    let mut running = project.start_run(&[]);
    for delay in delays {
        let end = Instant::now() + *delay;
        wait_until("the moment", || Instant::now() >= end || running.has_ended());
        running.kill();
        let mut command = project.command(&["resume", "--json"]);
        command.env("RUST_LOG", "info,sqlx=warn,hyper=warn");
        running = project.start(command);
    }
    let said = running.wait();
    if !has(&project, "SpecDrafted") {
        return; // It died before the spec was written down, and nobody was told otherwise.
    }
    assert_eq!(said.code(), 0, "{delays:?}: {said:?}");
    let log = completed_once(&project);
    assert_eq!(log.count("SandboxLost"), 0, "{delays:?}: {said:?}");
    assert_eq!(project.agent.phases(), AGENT_PHASES, "{delays:?}: a survivor is not doubled");
    project.nothing_is_left();
}

/// Kills once or twice; most runs take about two seconds.
fn many_random_kills(n: u32) {
    let mut random = Random::new();
    for _ in 0..n {
        let n_kills = 1 + random.below(2);
        let delays: Vec<_> =
            (0..n_kills).map(|_| Duration::from_millis(random.below(1_800))).collect();
        println!("killed after {delays:?}");
        killed_at_random(&delays);
    }
}

#[test]
fn killed_at_random_moments() {
    many_random_kills(times(6, 50));
}

#[test]
fn killed_at_other_random_moments() {
    many_random_kills(times(6, 50));
}

/// Everything dies at once, as when the power fails; then it is resumed.
fn power_fails(delays: &[Duration]) {
    let project = Project::new();
    project.agent.on("all", "sleep 0.1\n");
    let mut running = project.start_run(&[]);
    for delay in delays {
        let end = Instant::now() + *delay;
        wait_until("the moment", || Instant::now() >= end || running.has_ended());
        running.kill();
        for pid in process::all(project.root()) {
            process::signal(pid, Signal::KILL);
        }
        running = project.start(project.command(&["resume", "--json"]));
    }
    let said = running.wait();
    if !has(&project, "ExecutionStarted") {
        return; // It died before anybody was told of a spec that runs.
    }
    assert_eq!(said.code(), 0, "{delays:?}: {said:?}");
    let log = completed_once(&project);
    let lost = log.count("SandboxLost");
    assert!(lost <= delays.len(), "{delays:?}: {lost} losses");
    let calls = project.agent.calls().len();
    assert!(calls <= AGENT_PHASES.len() + delays.len(), "{delays:?}: {calls} calls");
    project.nothing_is_left();
}

#[test]
fn the_power_fails_at_random_moments() {
    let mut random = Random::new();
    for _ in 0..times(5, 40) {
        let n_failures = 1 + random.below(3);
        let moment = |_| Duration::from_millis(random.below(1_800));
        let delays: Vec<_> = (0..n_failures).map(moment).collect();
        println!("the power fails after {delays:?}");
        power_fails(&delays);
    }
}

#[test]
fn lesson_13_a_sandbox_of_a_dead_engine_is_known_to_the_next() {
    let project = Project::new();
    project.agent.on("design", "hold go\n");
    let run = project.start_run(&[]);
    project.wait_for_call("design");
    let before = process::workers(project.root());
    assert_eq!(before.len(), 1, "one worker");
    run.kill();
    assert_eq!(process::workers(project.root()), before, "it outlives the engine");
    let resumed = project.start(project.command(&["resume", "--json"]));
    wait_until("the next engine to be up", || {
        project.specline(&["projections", "--json"]).code() == 0
    });
    assert_eq!(process::workers(project.root()), before, "and no second one is started");
    project.agent.let_go("go");
    let said = resumed.wait();
    assert_eq!(said.code(), 0, "{said:?}");
    let log = completed_once(&project);
    assert_eq!((log.count("SandboxAttached"), log.count("SandboxLost")), (1, 0));
    assert_eq!(project.agent.phases(), AGENT_PHASES);
    project.nothing_is_left();
}

#[test]
fn engine_and_sandbox_killed_together() {
    let project = Project::new();
    project.agent.on("design", "once hold hold go\n");
    let run = project.start_run(&[]);
    project.wait_for_call("design");
    run.kill();
    for pid in process::all(project.root()) {
        process::signal(pid, Signal::KILL);
    }
    let said = project.specline(&["resume", "--json"]);
    assert_eq!(said.code(), 0, "{said:?}");
    let log = completed_once(&project);
    assert_eq!(log.count("SandboxLost"), 1);
    assert_eq!(project.agent.phases(), ["explore", "requirements", "design", "design", "tasks"]);
    project.nothing_is_left();
}

/// What a lost sandbox finished while no engine was there is handed in by the next one.
#[test]
fn lesson_04_the_outbox_is_kept_until_the_engine_has_answered() {
    let project = Project::new();
    project.agent.on("design", "hold go\n");
    let run = project.start_run(&[]);
    project.wait_for_call("design");
    run.kill();
    project.agent.let_go("go");
    let outbox = || {
        let mut found = Vec::new();
        find(&project.path("state"), "outbox", &mut found);
        let files = found.iter().flat_map(|path| std::fs::read_dir(path).into_iter().flatten());
        let mut names = files.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.any(|name| name.strip_suffix(".json").is_some_and(|name| name.starts_with("design")))
    };
    wait_until("the output to lie in the outbox", outbox);
    for pid in process::all(project.root()) {
        process::signal(pid, Signal::KILL);
    }
    let said = project.specline(&["resume", "--json"]);
    assert_eq!(said.code(), 0, "{said:?}");
    completed_once(&project);
    assert_eq!(project.agent.phases(), AGENT_PHASES, "the finished design was not made again");
    assert!(!outbox(), "what was answered is not kept");
}

fn find(folder: &std::path::Path, name: &str, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if entry.file_name() == name {
                found.push(entry.path());
            } else if entry.file_name() != "work" {
                find(&entry.path(), name, found);
            }
        }
    }
}

#[test]
fn lesson_01_03_later_phases_get_the_accepted_outputs_after_a_crash() {
    let project = Project::new();
    project.agent.on("tasks", "once hold hold go\n");
    let policy = project.policy(&json!({}));
    let run = project.start_run(&["--policy", &policy]);
    project.wait_for_call("tasks");
    run.kill();
    for pid in process::all(project.root()) {
        process::signal(pid, Signal::KILL);
    }
    project.ok(&["resume", "--json"]);
    let outputs = project.agent.request("tasks", 2)["context"]["outputs"].clone();
    for phase in ["explore", "requirements", "design"] {
        assert_eq!(outputs[phase], crate::support::Agent::answer(phase), "{phase}");
    }
    assert_eq!(project.agent.phases(), ["explore", "requirements", "design", "tasks", "tasks"]);
}
