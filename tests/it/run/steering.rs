//! Pause, cancel, retry, fork, replay.

use std::fs;

use serde_json::json;

use crate::support::{AGENT_PHASES, Project, process};

#[test]
fn a_pause_lets_the_attempt_finish_and_starts_no_other() {
    let project = Project::new();
    project.agent.on("design", "hold go\n");
    let run = project.start_run(&[]);
    project.wait_for_call("design");
    let spec = project.spec();
    project.ok(&["pause", &spec]);
    project.agent.let_go("go");
    let said = run.wait();
    assert_eq!(said.code(), 3, "{said:?}");
    assert_eq!(said.json()["status"], "paused");
    assert_eq!(project.log().in_phase("PhaseCompleted", "design").len(), 1);
    project.nothing_is_left();

    let said = project.specline(&["resume", &spec, "--json"]);
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(project.agent.phases(), AGENT_PHASES);
    assert_eq!(project.log().count("SandboxLost"), 0, "a pause loses no sandbox");
    project.is_sound();
}

#[test]
fn a_cancel_leaves_no_process_and_no_work() {
    let project = Project::new();
    // A daemon of its own session, which no process group holds.
    project.agent.on("explore", "setsid sleep 1000 & hold never\n");
    let run = project.start_run(&[]);
    project.wait_for_call("explore");
    let spec = project.spec();
    project.ok(&["cancel", &spec, "--reason", "not needed"]);
    let said = run.wait();
    assert_eq!(said.code(), 4, "{said:?}");
    project.nothing_is_left();
    let log = project.log();
    assert_eq!(log.count("SpecCancelled"), 1);
    project.ok(&["cancel", &spec]);
    assert_eq!(project.log().0.len(), log.0.len(), "twice is fine, and writes nothing");
    assert_eq!(project.specline(&["resume", &spec]).code(), 4);
}

#[test]
fn a_cancel_ends_a_sandbox_that_outlived_its_engine() {
    let project = Project::new();
    project.agent.on("explore", "hold never\n");
    let run = project.start_run(&[]);
    project.wait_for_call("explore");
    run.kill();
    assert!(!process::workers(project.root()).is_empty());
    project.ok(&["cancel", &project.spec()]);
    project.nothing_is_left();
    assert_eq!(project.show(&project.spec())["status"], "cancelled");
}

#[test]
fn a_daemon_of_the_agent_does_not_outlive_the_run() {
    let project = Project::new();
    project.agent.on("tasks", "setsid sleep 1000 >/dev/null 2>&1 &\n");
    let said = project.run(&[]);
    assert_eq!(said.code(), 0, "{said:?}");
    project.nothing_is_left();
}

#[test]
fn lesson_05_a_spec_that_failed_in_its_first_phase_has_a_way_on() {
    let project = Project::new();
    project.agent.on("explore", "echo 'no luck today' >&2; exit 7\n");
    let policy = json!({
        "limits": { "explore": { "time_ms": 60_000, "turns": 1, "attempts": 2 } },
        "backoff": { "first_ms": 10, "cap_ms": 10 },
    });
    let said = project.run(&["--policy", &project.policy(&policy)]);
    assert_eq!(said.code(), 1, "{said:?}");
    let view = said.json();
    assert_eq!((&view["status"], &view["phase"]), (&json!("failed"), &json!("explore")));
    assert_eq!(view["attempts"]["explore"], 2);
    let spec = project.spec();
    let reason = view["error"]["reason"].as_str().unwrap();
    assert!(reason.contains("no luck today"), "people see why: {reason}");
    let said = project.specline(&["resume", &spec]);
    assert_eq!(said.code(), 1);
    assert!(said.stderr.contains(&format!("retry {spec} --from explore")), "{said:?}");

    project.agent.on("explore", "");
    project.ok(&["retry", &spec, "--from", "explore"]);
    let said = project.specline(&["resume", &spec, "--json"]);
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(said.json()["attempts"]["explore"], 3, "attempt numbers rise for life");
    project.is_sound();
}

#[test]
fn lesson_20_a_retry_makes_no_second_set_of_work() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let spec = project.spec();
    let made = |project: &Project| {
        let log = project.log();
        let ids = |name| log.named(name).iter().map(|e| e.aggregate_id.clone()).collect::<Vec<_>>();
        (ids("TicketOpened"), ids("TaskQueued"))
    };
    let before = made(&project);
    let files = project.repo().join("specs").read_dir().unwrap().next().unwrap().unwrap().path();
    fs::write(files.join("design.md"), "A person's own words.\n").unwrap();

    project.ok(&["retry", &spec, "--from", "design"]);
    let said = project.specline(&["resume", &spec, "--json"]);
    assert_eq!(said.code(), 0, "{said:?}");
    let all = ["explore", "requirements", "design", "tasks", "design", "tasks"];
    assert_eq!(project.agent.phases(), all);
    assert_eq!(said.json()["run"], 2);
    assert_eq!(made(&project), before, "the same tickets and tasks, by id");
    for (aggregate, actor) in [("Ticket", "syncer"), ("Task", "syncer")] {
        for event in project.log().0.iter().filter(|e| e.aggregate_type == aggregate) {
            let first = event.sequence == 1;
            let by = event.metadata["actor"].as_str().unwrap();
            assert!(!first || by.contains(actor), "{} is made by {by}", event.event_type);
        }
    }
    let kept = fs::read_to_string(files.join("design.md")).unwrap();
    assert_eq!(kept, "A person's own words.\n", "a person's file is never written over");
    assert!(files.join("design.new.md").exists(), "ours stands beside it");
    project.is_sound();
}

#[test]
fn a_fork_goes_on_from_a_past_event_and_leaves_its_source_alone() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let spec = project.spec();
    let at = project.log().in_phase("PhaseCompleted", "requirements")[0].sequence;
    let before = project.log().of(&spec).0.len();
    let forked = project.ok(&["fork", &spec, "--at", &at.to_string()]);
    let fork = forked.stdout.trim().to_owned();
    let said = project.specline(&["resume", &fork, "--json"]);
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(said.json()["forked_from"], json!([spec, at]));
    let all = ["explore", "requirements", "design", "tasks", "design", "tasks"];
    assert_eq!(project.agent.phases(), all, "what the fork takes over is not done again");
    assert_eq!(project.log().of(&spec).0.len(), before, "the source is as it was");
    assert_eq!(project.repo().join("specs").read_dir().unwrap().count(), 2);
    project.is_sound();
}

#[test]
fn a_replay_shows_the_state_as_it_then_was() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let spec = project.spec();
    let log = project.log().of(&spec);
    let at = |sequence: u64| {
        let said = project.ok(&["replay", &spec, "--to", &sequence.to_string(), "--json"]);
        said.json()
    };
    assert_eq!(at(1)["status"], "draft");
    let designed = at(log.in_phase("PhaseCompleted", "design")[0].sequence);
    assert_eq!((&designed["status"], &designed["phase"]), (&json!("executing"), &json!("tasks")));
    assert_eq!(designed["checkpoints"].as_array().unwrap().len(), 3);
    let whole = project.ok(&["replay", &spec, "--json"]).json();
    assert_eq!(whole, project.show(&spec));
}
