//! Exit codes, what stands on stdout, and what is left behind.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};
use specline::store::{Append, Clock, EventLog, Expected, NewEvent, SqliteLog, StreamId};

use crate::support::{AGENT_PHASES, Project, process, wait_until};

#[test]
fn a_run_ends_with_the_object_of_show() {
    let project = Project::new();
    let said = project.run(&[]);
    assert_eq!(said.code(), 0, "{said:?}");
    let view = said.json();
    let spec = project.spec();
    assert_eq!(view["id"], json!(spec));
    assert_eq!(view["status"], "completed");
    assert_eq!(view["epoch"], 1);
    assert_eq!(view["error"], Value::Null);
    assert!(view["usage"].is_object() && view.get("phase").is_some());
    let attempts = json!({ "explore": 1, "requirements": 1, "design": 1, "tasks": 1, "sync": 1 });
    assert_eq!(view["attempts"], attempts);
    let phases = view["phases"].as_array().unwrap();
    assert_eq!(phases.len(), 5);
    for phase in phases {
        assert_eq!(phase["status"], "completed", "{phase}");
        assert!(phase["digest"].is_string() && phase["score"].is_u64(), "{phase}");
        assert!(phase["findings"].is_array(), "{phase}");
    }
    assert_eq!(view["checkpoints"].as_array().unwrap().len(), 5);
    assert_eq!(view, project.show(&spec), "it is the object of `show --json`");
    project.is_sound();
    project.nothing_is_left();
}

#[test]
fn the_store_is_kept_out_of_git() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let mut git = std::process::Command::new("git");
    git.args(["status", "--porcelain"]).current_dir(project.repo());
    let status = String::from_utf8(git.output().unwrap().stdout).unwrap();
    assert_eq!(status, "?? specs/\n");
}

#[test]
fn every_event_is_one_line_with_all_its_fields() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let said = project.ok(&["events", "--json"]);
    let names = [
        "aggregate_id",
        "aggregate_type",
        "event_type",
        "event_version",
        "hash",
        "metadata",
        "payload",
        "position",
        "recorded_at",
        "sequence",
    ];
    for line in said.stdout.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let mut found: Vec<_> = event.as_object().unwrap().keys().cloned().collect();
        found.sort();
        assert_eq!(found, names);
        assert!(event["metadata"]["actor"].is_string(), "{line}");
    }
    let spec = project.spec();
    let only = project.ok(&["events", &spec, "--json"]);
    assert_eq!(only.stdout.lines().count(), project.log().of(&spec).0.len());
}

#[test]
fn reading_changes_nothing() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let (before, spec) = (project.log().0.len(), project.spec());
    for args in [
        vec!["list"],
        vec!["show", &spec],
        vec!["events"],
        vec!["tasks"],
        vec!["requirements", &spec],
        vec!["checkpoints", &spec],
        vec!["replay", &spec],
        vec!["projections"],
        vec!["log", "verify"],
    ] {
        let plain = project.ok(&args);
        assert!(!plain.stdout.is_empty(), "{args:?}");
        let json = project.ok(&[args, vec!["--json"]].concat());
        assert!(!json.stdout.is_empty());
    }
    assert_eq!(project.log().0.len(), before);
}

#[test]
fn usage_errors_exit_with_2() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let spec = project.spec();
    for args in [
        vec!["run"],
        vec!["run", "x", "--nonsense"],
        vec!["run", "x", "--approve", "nonsense"],
        vec!["run", "x", "--policy", "/does/not/exist"],
        vec!["show", "not-an-id"],
        vec!["retry", &spec, "--from", "nonsense"],
        vec!["replay", &spec, "--to", "0"],
        vec!["replay", &spec, "--to", "100000"],
        vec!["fork", &spec, "--at", "100000"],
    ] {
        let said = project.specline(&args);
        assert_eq!((said.code(), said.stdout.as_str()), (2, ""), "{args:?}: {said:?}");
        assert!(!said.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn what_cannot_be_set_up_exits_with_78() {
    let project = Project::new();
    for args in [
        vec!["show", "0195f000-0000-7000-8000-000000000000"],
        vec!["events"],
        vec!["run", "x", "--store", "kafka://somewhere"],
        vec!["serve", "--listen", "0.0.0.0:0"],
    ] {
        let said = project.specline(&args);
        assert_eq!(said.code(), 78, "{args:?}: {said:?}");
        assert!(said.stderr.lines().any(|line| line.starts_with("error: ")), "{said:?}");
    }
    let mut command = project.command(&["run", "x"]);
    command.env("SPECLINE_ISOLATION", "nonsense");
    let said = project.start(command).wait();
    assert_eq!(said.code(), 78, "{said:?}");
    assert!(said.stderr.contains("nonsense"), "{said:?}");
}

#[test]
fn a_log_that_another_program_holds_exits_with_75() {
    let project = Project::new();
    let folder = project.repo().join(".specline");
    fs::create_dir_all(&folder).unwrap();
    let _held = SqliteLog::open(&folder.join("log.db"), Clock::system()).unwrap();
    let said = project.run(&[]);
    assert_eq!(said.code(), 75, "{said:?}");
    assert!(said.stderr.contains("another engine holds"), "{said:?}");
}

/// An event of a kind that this program does not know.
async fn write_a_newer_event(project: &Project) {
    let path = project.repo().join(".specline/log.db");
    let log = SqliteLog::open(&path, Clock::system()).unwrap();
    let event = NewEvent {
        event_type: "SpecTeleported".to_owned(),
        event_version: "1".to_owned(),
        payload: json!({ "SpecTeleported": {} }).to_string(),
        metadata: "{}".to_owned(),
    };
    let stream = StreamId { aggregate_type: "Spec".to_owned(), aggregate_id: uuid::Uuid::now_v7() };
    let events = vec![event];
    let expected = Expected::NoStream;
    let append = Append { stream, expected, events, key: None, blobs: Vec::new() };
    log.append(append).await.unwrap();
}

#[tokio::test]
async fn a_log_that_a_newer_program_wrote_to_exits_with_75() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    write_a_newer_event(&project).await;
    let said = project.run(&[]);
    assert_eq!(said.code(), 75, "{said:?}");
    assert!(said.stderr.contains("newer"), "{said:?}");
    let found = project.log();
    assert_eq!(found.count("SpecTeleported"), 1, "it can still be read as it is");
    assert_eq!(project.specline(&["log", "verify"]).code(), 0, "and verified");
}

#[test]
fn ctrl_c_stops_cleanly_and_resume_completes() {
    let project = Project::new();
    project.agent.on("design", "once hold hold go\n");
    let run = project.start_run(&[]);
    project.wait_for_call("design");
    run.signal(Signal::INT);
    let said = run.wait();
    assert_eq!(said.code(), 130, "{said:?}");
    let spec = project.spec();
    assert!(said.stderr.contains("specline resume"), "it says how to go on: {said:?}");
    assert!(said.stderr.contains(&spec), "{said:?}");
    project.nothing_is_left();
    project.is_sound();

    let said = project.specline(&["resume", &spec, "--json"]);
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(project.agent.phases(), ["explore", "requirements", "design", "design", "tasks"]);
    let log = project.log();
    assert_eq!(log.named("SandboxLost")[0].data()["cause"], "shutdown");
    assert_eq!(log.count("AttemptFailed"), 0, "a stop uses up no attempt");
    project.nothing_is_left();
}

#[test]
fn a_resume_with_nothing_unfinished_is_no_error() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let before = project.log().0.len();
    let said = project.ok(&["resume"]);
    assert!(said.stderr.contains("nothing is unfinished"), "{said:?}");
    assert_eq!(project.log().0.len(), before);
    let said = project.ok(&["resume", &project.spec(), "--json"]);
    assert_eq!(said.json()["status"], "completed", "a completed spec stays as it is");
}

#[test]
fn verify_finds_a_changed_byte() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    project.ok(&["log", "verify"]);
    let design = project.log().in_phase("OutputSubmitted", "design")[0].position;
    let mut n_changed = 0;
    for name in ["log.db", "log.db-wal"] {
        let path = project.repo().join(".specline").join(name);
        let Ok(mut bytes) = fs::read(&path) else { continue };
        let wanted: &[u8] = b"A sliding window of timestamps in memory";
        for at in 0..bytes.len().saturating_sub(wanted.len()) {
            if bytes[at..].starts_with(wanted) {
                bytes[at] = b'B';
                n_changed += 1;
            }
        }
        fs::write(&path, bytes).unwrap();
    }
    assert!(n_changed > 0, "the output is in the log");
    let said = project.specline(&["log", "verify"]);
    assert_eq!(said.code(), 1, "{said:?}");
    assert!(said.stderr.contains(&design.to_string()), "it names the event: {said:?}");
}

/// Clock ticks (hundredths of a second) that a process has worked so far.
fn ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let field = |at: usize| fields.split(' ').nth(at).unwrap().parse::<u64>().unwrap();
    // utime and stime, fields 14 and 15 of proc(5).
    field(11) + field(12)
}

#[test]
fn lesson_42_an_idle_engine_does_next_to_nothing() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let serve = project.start(project.command(&["serve"]));
    wait_until("the server", || serve.stdout().starts_with("http://127.0.0.1:"));
    let (before, start) = (project.log().0.len(), std::time::Instant::now());
    let first = ticks(serve.pid());
    wait_until("a while to pass", || start.elapsed() > std::time::Duration::from_secs(4));
    let used = ticks(serve.pid()) - first;
    assert!(used < 20, "{used} hundredths of a second in 4 s");
    assert_eq!(project.log().0.len(), before, "and it writes nothing");
}

#[test]
fn serve_stops_on_sigterm_and_leaves_its_sandboxes_to_the_next() {
    let project = Project::new();
    project.agent.on("design", "hold go\n");
    let serve = project.start(project.command(&["serve"]));
    wait_until("the server", || serve.stdout().starts_with("http://127.0.0.1:"));
    let run = project.start_run(&[]);
    project.wait_for_call("design");
    serve.signal(Signal::TERM);
    let said = serve.wait();
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(process::workers(project.root()).len(), 1, "the sandbox lives on");
    project.agent.let_go("go");
    let said = run.wait();
    assert_eq!(said.code(), 0, "the run takes the log over and goes on: {said:?}");
    assert_eq!(project.agent.phases(), AGENT_PHASES);
    assert_eq!(project.log().count("SandboxLost"), 0);
    project.nothing_is_left();
}
