//! The process killed between every two statements: what it leaves, caught up, is byte for byte
//! what a clean run gives. The child is this very test binary; it kills itself with SIGKILL, so
//! nothing is flushed, closed or rolled back in order.

#![expect(clippy::print_stdout, reason = "a seed is told")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use specline_aggregates::{Policy, Timestamp, spec, task, ticket};
use specline_projections::{DomainEvent, Envelope, Place, ReadModels, StatementHook};
use uuid::Uuid;

use crate::files::{Files, LOG, On, dump, on_both};
use crate::work::busy;
use crate::world::World;

on_both!(killed_between_every_two_statements);

const FOLDER: &str = "SPECLINE_TEST_CRASH_FOLDER";
const URL: &str = "SPECLINE_TEST_CRASH_URL";
const STATEMENT: &str = "SPECLINE_TEST_CRASH_STATEMENT";

/// Children at the same time.
const N_ABREAST: usize = 4;

/// The read model that the child rebuilds and swaps.
const REBUILT: &str = "spec_board";

/// An event as a line of the child's log file.
type Line = (u64, Uuid, u64, Timestamp, String, serde_json::Value);

fn write_log(path: &Path, log: &[Envelope]) {
    let lines = log.iter().map(|event| {
        let (kind, json) = match &event.event {
            DomainEvent::Spec(event) => ("spec", serde_json::to_value(event)),
            DomainEvent::Task(event) => ("task", serde_json::to_value(event)),
            DomainEvent::Ticket(event) => ("ticket", serde_json::to_value(event)),
            DomainEvent::Project(event) => ("project", serde_json::to_value(event)),
            DomainEvent::AccessKey(event) => ("access_key", serde_json::to_value(event)),
            DomainEvent::Unreadable { cause } => panic!("no walk writes one: {cause}"),
        };
        let (id, at) = (event.aggregate_id, event.recorded_at);
        let line: Line = (event.position, id, event.sequence, at, kind.into(), json.unwrap());
        serde_json::to_string(&line).unwrap() + "\n"
    });
    std::fs::write(path, lines.collect::<String>()).unwrap();
}

fn read_log(path: &Path) -> Vec<Envelope> {
    let text = std::fs::read_to_string(path).unwrap();
    let envelope = |line: &str| {
        let (position, aggregate_id, sequence, recorded_at, kind, json): Line =
            serde_json::from_str(line).unwrap();
        let json = json.to_string();
        let event = match kind.as_str() {
            "spec" => DomainEvent::Spec(serde_json::from_str::<spec::Event>(&json).unwrap()),
            "task" => DomainEvent::Task(serde_json::from_str::<task::Event>(&json).unwrap()),
            "ticket" => DomainEvent::Ticket(serde_json::from_str::<ticket::Event>(&json).unwrap()),
            "project" => DomainEvent::Project(serde_json::from_str(&json).unwrap()),
            _ => DomainEvent::AccessKey(serde_json::from_str(&json).unwrap()),
        };
        let event_type = match &event {
            DomainEvent::Spec(event) => event.name(),
            DomainEvent::Task(event) => event.name(),
            DomainEvent::Ticket(event) => event.name(),
            DomainEvent::Project(event) => event.name(),
            DomainEvent::AccessKey(event) => event.name(),
            DomainEvent::Unreadable { cause } => panic!("no walk writes one: {cause}"),
        };
        Envelope {
            position,
            aggregate_type: kind,
            aggregate_id,
            sequence,
            event_type: event_type.to_owned(),
            recorded_at,
            actor: "tester".to_owned(),
            correlation: None,
            event,
        }
    };
    text.lines().map(envelope).collect()
}

/// Opens, catches up in pages, rebuilds one read model, and swaps it.
async fn work(place: &Place, log: &[Envelope], hook: StatementHook) -> ReadModels {
    let head = log.last().unwrap().position;
    let models = ReadModels::open_with(place, LOG, head, Some(hook)).await.unwrap();
    finish(&models, log).await;
    models.begin_rebuild(REBUILT).await.unwrap();
    let mut after = 0;
    for page in log.chunks(40) {
        models.apply_rebuild(REBUILT, after, page).await.unwrap();
        after = page.last().unwrap().position;
    }
    models.swap(REBUILT).await.unwrap();
    models
}

async fn finish(models: &ReadModels, log: &[Envelope]) {
    let mut after = models.resume_position().unwrap();
    let first = log.partition_point(|event| event.position <= after);
    for page in log[first..].chunks(16) {
        models.apply(after, page).await.unwrap();
        after = page.last().unwrap().position;
    }
}

#[tokio::test]
async fn child_that_kills_itself() {
    let (Ok(folder), Ok(statement)) = (std::env::var(FOLDER), std::env::var(STATEMENT)) else {
        return; // Not started by the test below.
    };
    let (folder, statement) = (Path::new(&folder), statement.parse::<u64>().unwrap());
    let log = read_log(&folder.join("log.jsonl"));
    let count = AtomicU64::new(0);
    let hook: StatementHook = Arc::new(move |_: &str| {
        if count.fetch_add(1, Ordering::SeqCst) + 1 == statement {
            let pid = std::process::id().to_string();
            Command::new("kill").args(["-9", &pid]).status().unwrap();
            loop {
                std::thread::park();
            }
        }
    });
    let place = match std::env::var(URL) {
        Ok(url) => Place::Postgres(url),
        Err(_) => Place::File(folder.join("read.db")),
    };
    work(&place, &log, hook).await;
    panic!("statement {statement} was never reached");
}

/// What a clean run leaves, and how many statements it has.
async fn clean_run(on: On, log: &[Envelope]) -> (Vec<(&'static str, String)>, u64) {
    let files = Files::new(on);
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    let hook: StatementHook = Arc::new(move |_: &str| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let models = work(files.place(), log, hook).await;
    (dump(&models).await, count.load(Ordering::SeqCst))
}

async fn killed_between_every_two_statements(on: On) {
    let mut world = World::new();
    world.draft(1, Policy::default());
    busy(&mut world);
    let (reference, statements) = clean_run(on, &world.log).await;
    assert!(statements > 100, "{statements} statements are too few to mean anything");
    let shared = Arc::new((Files::new(on), world.log, reference));
    let (first, step) = statements_to_try(on);
    let next = Arc::new(AtomicU64::new(first));
    let killers = (0..N_ABREAST).map(|_| {
        let (shared, next) = (Arc::clone(&shared), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let statement = next.fetch_add(step, Ordering::SeqCst);
                if statement > statements {
                    return;
                }
                let files = shared.0.sibling(statement);
                killed_before(statement, (&files, on), (&shared.1, &shared.2)).await;
            }
        })
    });
    for killer in killers.collect::<Vec<_>>() {
        killer.await.unwrap();
    }
}

/// The first statement and the step: all of them, but on PostgreSQL, where each takes a fifth of a
/// second, only in the long run; else every sixth, from one that is drawn.
fn statements_to_try(on: On) -> (u64, u64) {
    if on == On::Sqlite || std::env::var_os("SPECLINE_SOAK").is_some() {
        return (1, 1);
    }
    let seed = std::env::var("SPECLINE_SEED").ok().and_then(|s| s.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("SPECLINE_SEED={seed}");
    (1 + seed % 6, 6)
}

async fn killed_before(
    statement: u64,
    (files, on): (&Files, On),
    (log, reference): (&[Envelope], &[(&'static str, String)]),
) {
    write_log(&files.folder.path().join("log.jsonl"), log);
    let mut child = Command::new(std::env::current_exe().unwrap());
    if let Place::Postgres(url) = files.place() {
        child.env(URL, url);
    }
    child
        .args(["--exact", "crash::child_that_kills_itself", "--test-threads=1"])
        .env(FOLDER, files.folder.path())
        .env(STATEMENT, statement.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = tokio::task::spawn_blocking(move || child.status().unwrap()).await.unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert_eq!(signal, Some(9), "statement {statement}");
    let models = files.open(log.last().unwrap().position).await;
    if on == On::Sqlite {
        assert!(models.status().iter().all(|status| status.rebuilding.is_none()));
    }
    finish(&models, log).await;
    assert_eq!(dump(&models).await, reference, "killed before statement {statement}");
    models.close().await;
}
