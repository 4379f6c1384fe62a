//! A backup takes the place of a log; the time in between is lost, and nothing of it holds.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use super::filled::{equal_files, fill_file, incarnation, opened, table};
use crate::support::{AGENT_PHASES, Project, postgres, process, wait_until};

fn backup(project: &Project) -> String {
    let to = project.path("backup.db").display().to_string();
    project.ok(&["backup", "--to", &to]);
    to
}

fn log_db(project: &Project) -> PathBuf {
    project.repo().join(".specline/log.db")
}

/// The folder of the log's sandboxes.
fn state(project: &Project) -> PathBuf {
    let log_id = &table(&log_db(project), "log_identity", "log_id")[0][1];
    let rusqlite::types::Value::Text(log_id) = log_id else { panic!("{log_id:?}") };
    project.path("state").join(log_id)
}

fn folders(path: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_run_goes_on_from_its_backup_and_the_lost_time_has_no_say() {
    let project = Project::new();
    project.agent.on("design", "hold go\n");
    let running = project.start_run(&[]);
    project.wait_for_call("design");
    let file = backup(&project);
    // The engine dies, its sandbox lives on; both belong to the time that will be lost.
    running.kill();
    let [worker] = process::workers(project.root())[..] else { panic!("one worker") };
    let token = variable(worker, "SPECLINE_TOKEN").unwrap();
    let sandbox = variable(worker, "SPECLINE_SANDBOX_ID").unwrap();
    let elsewhere = format!("sqlite:{}", project.path("elsewhere.db").display());
    let said = project.specline(&["restore", &file, "--store", &elsewhere]);
    assert_eq!(said.code(), 2, "sandboxes of this log live: {said:?}");
    assert!(!project.path("elsewhere.db").exists(), "nothing was changed");
    let said = project.specline(&["restore", &file]);
    assert_eq!(said.code(), 2, "it has events: {said:?}");
    assert!(said.stderr.contains("--force"), "{said:?}");
    assert!(process::workers(project.root()).contains(&worker), "nothing was changed");
    let read_models = project.repo().join(".specline/read.db");
    assert!(read_models.exists());
    let snapshots_before = folders(&state(&project));

    let said = project.ok(&["restore", &file, "--force", "--json"]).json();
    assert_eq!(said["incarnation"], 2);
    wait_until("the worker of the lost time to end", || {
        !process::workers(project.root()).contains(&worker)
    });
    let kept = said["replaced_log"].as_str().unwrap();
    assert!(Path::new(kept).exists() && kept.contains("log.db.replaced-"), "{kept}");
    assert!(!read_models.exists(), "read models are rebuilt");
    let lost = Path::new(said["lost_sandboxes"].as_str().unwrap());
    assert_eq!(folders(lost), [sandbox.as_str()]);
    assert!(
        snapshots_before
            .iter()
            .all(|name| { name == "sandboxes" || state(&project).join(name).exists() })
    );

    // An engine of the restored log knows nothing of the old token.
    let mut serving = project.start(project.command(&["serve"]));
    wait_until("the engine", || !serving.stdout().is_empty() || serving.has_ended());
    let url = serving.stdout().trim().to_owned();
    assert_eq!(attach(&url, &sandbox, &token), 401);
    serving.signal(Signal::TERM);
    assert_eq!(serving.wait().code(), 0);

    project.agent.let_go("go");
    let said = project.specline(&["resume", "--json"]);
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(said.json()["status"], "completed");
    project.is_sound();
    let log = project.log();
    for phase in AGENT_PHASES {
        assert_eq!(log.in_phase("PhaseCompleted", phase).len(), 1, "{phase}");
    }
    let listed: Value = project.ok(&["list", "--json"]).json();
    assert!(listed.to_string().contains("completed"), "read models are there again: {listed}");
    project.nothing_is_left();
}

fn variable(pid: i32, name: &str) -> Option<String> {
    let text = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let text = String::from_utf8(text).ok()?;
    let found = text.split('\0').find_map(|line| line.strip_prefix(&format!("{name}=")));
    found.map(ToOwned::to_owned)
}

/// The status of an attach with `token`.
fn attach(url: &str, sandbox: &str, token: &str) -> u16 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let body = serde_json::json!({
            "epoch": 1, "instance": uuid::Uuid::now_v7(), "worker_version": "test",
        });
        let request = http
            .post(format!("{url}/api/v1/sandboxes/{sandbox}/attach"))
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(body.to_string());
        request.send().await.unwrap().status().as_u16()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_restored_where_there_is_nothing() {
    let project = Project::new();
    let (old, new) = (project.path("old.db"), project.path("new.db"));
    fill_file(&old, 500).await;
    let url = |path: &Path| format!("sqlite:{}", path.display());
    let file = project.path("backup.db").display().to_string();
    project.ok(&["backup", "--to", &file, "--store", &url(&old)]);
    let said = project.ok(&["restore", &file, "--store", &url(&new), "--json"]).json();
    assert_eq!((&said["events"], &said["incarnation"]), (&503.into(), &2.into()));
    assert_eq!(table(&old, "events", "position"), table(&new, "events", "position"));
    assert_eq!(incarnation(Path::new(&file)), 1, "the backup stays as it is");
    let secret = |path| table(path, "log_identity", "log_id")[0][3].clone();
    assert_ne!(secret(&old), secret(&new), "tokens of the old time are void");
    // Restored once more, over what came of it: a time of its own again.
    let said = project.ok(&["restore", &file, "--store", &url(&new), "--force", "--json"]).json();
    assert_eq!(said["incarnation"], 3);
    equal_but_secret(&old, &new);
}

fn equal_but_secret(old: &Path, new: &Path) {
    let set = "UPDATE log_identity SET secret = zeroblob(32)";
    for path in [old, new] {
        rusqlite::Connection::open(path).unwrap().execute_batch(set).unwrap();
    }
    equal_files(old, new);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_good_backup_is_refused_and_changes_nothing() {
    let project = Project::new();
    let (old, new) = (project.path("old.db"), project.path("new.db"));
    fill_file(&old, 100).await;
    fill_file(&new, 200).await;
    let store = format!("sqlite:{}", new.display());
    let before = table(&new, "events", "position");
    let refused = |file: &Path, code: i32, word: &str| {
        let file = file.display().to_string();
        let said = project.specline(&["restore", &file, "--force", "--store", &store]);
        assert_eq!(said.code(), code, "{said:?}");
        assert!(said.stderr.contains(word), "{said:?}");
        assert_eq!(table(&new, "events", "position"), before);
    };
    refused(&project.path("absent.db"), 78, "there is no log");
    std::fs::write(project.path("letter"), "a letter to my aunt ".repeat(99)).unwrap();
    refused(&project.path("letter"), 78, "is not a Specline log");
    let sql = "DROP TRIGGER events_refuse_update;
               UPDATE events SET payload = '{}' WHERE position = 50";
    rusqlite::Connection::open(&old).unwrap().execute_batch(sql).unwrap();
    refused(&old, 1, "position 50");
    let log = opened(&new);
    fill_file(&project.path("good.db"), 10).await;
    refused(&project.path("good.db"), 75, "in use by another engine");
    drop(log);
    let left = folders(project.root());
    assert!(!left.iter().any(|name| name.contains("restoring")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_is_moved_aside_with_its_write_ahead_log() {
    let project = Project::new();
    let (good, bad) = (project.path("good.db"), project.path("bad.db"));
    fill_file(&good, 100).await;
    std::fs::write(&bad, [7; 5_000]).unwrap();
    std::fs::write(project.path("bad.db-wal"), [8; 5_000]).unwrap();
    let store = format!("sqlite:{}", bad.display());
    let file = good.display().to_string();
    assert_eq!(project.specline(&["restore", &file, "--store", &store]).code(), 2);
    let said = project.ok(&["restore", &file, "--store", &store, "--force", "--json"]).json();
    let kept = said["replaced_log"].as_str().unwrap();
    assert_eq!(std::fs::read(kept).unwrap(), [7; 5_000]);
    assert_eq!(std::fs::read(format!("{kept}-wal")).unwrap(), [8; 5_000]);
    assert_eq!(table(&good, "events", "position"), table(&bad, "events", "position"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_postgresql_begins_anew_in_place() {
    let project = Project::new();
    let database = postgres::server().database();
    let old = project.path("old.db");
    fill_file(&old, 100).await;
    project.adopt(&old);
    let from = format!("sqlite:{}", old.display());
    project.ok(&["log", "copy", "--from", &from, "--to", database.url()]);
    let secret = || postgres::server().psql_at(database.url(), "SELECT secret FROM log_secret");
    let before = secret();
    let said = project.ok(&["restore", "--in-place", "--store", database.url(), "--json"]).json();
    assert_eq!(said["incarnation"], 3, "{said}");
    assert_ne!(secret(), before);
    let said = project.specline(&["restore", "x.db", "--store", database.url()]);
    assert_eq!(said.code(), 2, "{said:?}");
    assert!(said.stderr.contains("pg_restore"), "{said:?}");
}
