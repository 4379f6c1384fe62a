//! Faults that were seen elsewhere, each by its number, where no other file has it.

use serde_json::{Value, json};

use crate::support::{AGENT_PHASES, Agent, Project};

#[test]
fn lesson_02_outputs_are_in_the_log_phase_by_phase() {
    let project = Project::new();
    project.agent.on("tasks", "hold go\n");
    let run = project.start_run(&[]);
    project.wait_for_call("tasks");
    let log = project.log();
    for phase in ["explore", "requirements", "design"] {
        let submitted = log.in_phase("OutputSubmitted", phase);
        assert_eq!(submitted.len(), 1, "{phase}");
        assert_eq!(submitted[0].data()["output"]["inline"], Agent::answer(phase));
    }
    project.agent.let_go("go");
    assert_eq!(run.wait().code(), 0);
}

#[test]
fn lesson_18_sequences_have_no_gap_and_are_chained() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    project.is_sound();
    let log = project.log();
    let mut streams: Vec<_> = log.0.iter().map(|event| event.aggregate_id.clone()).collect();
    streams.sort();
    streams.dedup();
    assert_eq!(streams.len(), 1 + 2 + 4, "a spec, two tickets, four tasks");
    for stream in streams {
        for (n, event) in log.of(&stream).0.iter().enumerate() {
            assert_eq!(event.sequence, n as u64 + 1, "{stream}");
            assert!(!event.hash.is_empty() && !event.event_version.is_empty());
        }
    }
    assert!(log.0.windows(2).all(|pair| pair[0].recorded_at <= pair[1].recorded_at));
}

fn tasks(project: &Project) -> Vec<Value> {
    let said = project.ok(&["tasks", "--spec", &project.spec(), "--json"]);
    serde_json::from_str(&said.stdout).unwrap()
}

#[test]
fn lesson_21_dependencies_are_real_ids_and_free_tasks_are_ready() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let log = project.log();
    let queued = log.named("TaskQueued");
    let id_of = |local: &str| {
        let found = queued.iter().find(|e| e.data()["work"]["local_id"] == local).unwrap();
        found.aggregate_id.clone()
    };
    let second = queued.iter().find(|e| e.data()["work"]["local_id"] == "TSK-002").unwrap();
    let mut depends_on: Vec<_> = second.data()["work"]["depends_on"].as_array().unwrap().clone();
    depends_on.sort_by_key(ToString::to_string);
    let mut expected = vec![json!(id_of("TSK-001")), json!(id_of("TSK-003"))];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(depends_on, expected);
    let status = |local: &str| {
        let all = tasks(&project);
        let found = all.iter().find(|task| task["local_id"] == local).unwrap();
        found["status"].as_str().unwrap().to_owned()
    };
    for (local, wanted) in [
        ("TSK-001", "queued"),
        ("TSK-003", "queued"),
        ("TSK-002", "blocked"),
        ("TSK-004", "blocked"),
    ] {
        assert_eq!(status(local), wanted, "{local}");
    }
}

#[test]
fn lesson_24_tasks_carry_their_spec_ticket_and_requirements() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let (log, spec) = (project.log(), project.spec());
    let tickets: Vec<_> =
        log.named("TicketOpened").iter().map(|event| json!(event.aggregate_id)).collect();
    let planned = Agent::answer("tasks");
    for task in planned["tasks"].as_array().unwrap() {
        let queued = log.named("TaskQueued");
        let made = queued.iter().find(|e| e.data()["work"]["local_id"] == task["id"]).unwrap();
        let work = &made.data()["work"];
        assert_eq!(work["spec"], json!(spec));
        assert!(tickets.contains(&work["ticket"]), "{work}");
        for same in ["title", "requirements", "components", "criteria", "files_create"] {
            let of = |value: &Value| if value.is_null() { json!([]) } else { value.clone() };
            assert_eq!(of(&work[same]), task[same], "{same} of {}", task["id"]);
        }
    }
    for ticket in log.named("TicketOpened") {
        assert_eq!(ticket.data()["request"]["spec"], json!(spec));
    }
}

#[test]
fn lesson_14_a_provider_that_is_not_there_is_told_and_not_replaced() {
    let project = Project::new();
    let said = project.run(&["--policy", &project.policy(&json!({ "sandbox": "moonbase" }))]);
    assert_eq!(said.code(), 2, "{said:?}");
    assert!(said.stderr.contains("moonbase") && said.stderr.contains("process"), "{said:?}");
    assert!(project.log().0.is_empty() && project.agent.calls().is_empty());
}

#[test]
fn lesson_14_a_repository_that_vanished_is_a_failure_that_people_see() {
    let project = Project::new();
    project.agent.on("tasks", "hold go\n");
    let store = format!("sqlite:{}", project.path("log.db").display());
    let policy = json!({ "limits": { "sync": { "time_ms": 60_000, "turns": 0, "attempts": 1 } } });
    let policy = project.policy(&policy);
    let run = project.start_run(&["--store", &store, "--policy", &policy]);
    project.wait_for_call("tasks");
    std::fs::rename(project.repo(), project.path("moved")).unwrap();
    project.agent.let_go("go");
    let said = run.wait();
    assert_eq!(said.code(), 1, "{said:?}");
    let view = said.json();
    assert_eq!((&view["error"]["phase"], &view["error"]["kind"]), (&json!("sync"), &json!("sync")));
    assert!(view["error"]["reason"].as_str().unwrap().contains("not there"), "{view}");

    std::fs::rename(project.path("moved"), project.repo()).unwrap();
    let spec = view["id"].as_str().unwrap();
    project.ok(&["retry", spec, "--from", "sync", "--store", &store]);
    let said = project.specline(&["resume", spec, "--store", &store, "--json"]);
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(project.agent.phases(), AGENT_PHASES, "only SYNC is done again");
}

#[test]
fn lesson_14_a_sandbox_that_cannot_start_is_a_failure_that_people_see() {
    let project = Project::new();
    let blocked = project.path("no-bwrap");
    std::fs::create_dir(&blocked).unwrap();
    let git = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("git"))
        .find(|path| path.exists())
        .unwrap();
    std::os::unix::fs::symlink(git, blocked.join("git")).unwrap();
    let args = project.run_args(&[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = project.command(&args);
    command.env("SPECLINE_ISOLATION", "bubblewrap").env("PATH", &blocked);
    let said = project.start(command).wait();
    assert_eq!(said.code(), 78, "{said:?}");
    assert!(said.stderr.contains("bwrap"), "{said:?}");
    assert!(project.agent.calls().is_empty());
}

#[test]
fn the_same_run_works_without_bubblewrap() {
    let project = Project::new();
    let args = project.run_args(&[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = project.command(&args);
    command.env("SPECLINE_ISOLATION", "subreaper");
    let said = project.start(command).wait();
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(project.agent.phases(), AGENT_PHASES);
    project.nothing_is_left();
}

#[test]
fn a_folder_without_git_works_too() {
    let project = Project::new();
    std::fs::remove_dir_all(project.repo().join(".git")).unwrap();
    let said = project.run(&[]);
    assert_eq!(said.code(), 0, "{said:?}");
    assert!(project.repo().join("specs").is_dir());
}

/// The agent sees uncommitted changes, and what it writes stays in its sandbox.
#[test]
fn the_agent_works_on_a_copy_of_the_tree_as_it_is() {
    let project = Project::new();
    std::fs::write(project.repo().join("README.md"), "changed and not committed\n").unwrap();
    std::fs::write(project.repo().join("new.txt"), "new and not added\n").unwrap();
    project.agent.on(
        "explore",
        "cp README.md \"$here/seen.readme\"; cp new.txt \"$here/seen.new\"\n\
         ls -a > \"$here/seen.list\"; echo mine > README.md; echo x > made-by-agent\n",
    );
    let said = project.run(&[]);
    assert_eq!(said.code(), 0, "{said:?}");
    let seen = |name: &str| std::fs::read_to_string(project.agent.path(name)).unwrap();
    assert_eq!(seen("seen.readme"), "changed and not committed\n");
    assert_eq!(seen("seen.new"), "new and not added\n");
    assert!(!seen("seen.list").contains(".specline"), "the store is not in the copy");
    let readme = std::fs::read_to_string(project.repo().join("README.md")).unwrap();
    assert_eq!(readme, "changed and not committed\n");
    assert!(!project.repo().join("made-by-agent").exists());
}
