//! Audit queries, sealing, verifying and proving on a log of five million events, in SQLite and in
//! PostgreSQL, and what the indexes cost an append.
//!
//! `cargo bench --bench audit`; `SPECLINE_AUDIT_EVENTS` sets the size (5,000,000), and
//! `SPECLINE_AUDIT_STORES` which stores (`sqlite,postgres`). It needs some 2 KB of disk an event.
//! `SPECLINE_AUDIT_POSTGRES` names a database of one's own, which keeps its log for the next run.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends, and says where")]
#![expect(clippy::print_stdout, reason = "figures are told")]

#[path = "../tests/it/support/postgres.rs"]
mod server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use server::Server;
use specline::store::audit::{Audit, Filter, Order, Query};
use specline::store::{
    Append, Clock, EventLog, Expected, NewEvent, PgLog, Position, SqliteLog, StreamId, postgres,
    seals,
};
use specline_aggregates::Timestamp;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Events of one stream, written by a few appends.
const STREAM: u64 = 200;
const AT_ONCE: u64 = 20;

/// Streams that are written at the same time.
const WRITERS: u64 = 64;

const TYPES: u64 = 20;
const ACTORS: u64 = 50;
const PROJECTS: u64 = 100;

/// Bytes of an event's text.
const TEXT_BYTES: usize = 300;

/// Queries of each kind.
const QUERIES: u64 = 400;

/// Proofs of each kind.
const PROOFS: u64 = 100;

/// How long appends are measured.
const APPENDING: Duration = Duration::from_secs(5);

fn main() {
    let runtime = Runtime::new().unwrap();
    let n = std::env::var("SPECLINE_AUDIT_EVENTS").ok().and_then(|n| n.parse().ok());
    let stores = std::env::var("SPECLINE_AUDIT_STORES").unwrap_or("sqlite,postgres".to_owned());
    let n: u64 = n.unwrap_or(5_000_000);
    if stores.contains("sqlite") {
        runtime.block_on(sqlite(n));
    }
    if stores.contains("postgres") {
        runtime.block_on(postgres(n));
    }
}

async fn sqlite(n: u64) {
    for indexed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        if !indexed {
            // The index cannot be made where a folder has its name.
            std::fs::create_dir(folder.path().join("log.db.audit")).unwrap();
        }
        let log: Arc<dyn EventLog> = Arc::new(SqliteLog::open(&path, Clock::system()).unwrap());
        appends("SQLite", &log, indexed).await;
        if indexed {
            let begin = Instant::now();
            caught_up(log.audit().unwrap(), log.watch_head().borrow().0).await;
            println!("SQLite: the index was {:?} behind", begin.elapsed());
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let log = SqliteLog::open(&path, Clock::system()).unwrap();
    measure("SQLite", Arc::new(log), n).await;
    for file in ["log.db", "log.db.audit"] {
        let bytes = std::fs::metadata(folder.path().join(file)).unwrap().len();
        println!("SQLite: {file} has {} MB", bytes / 1_000_000);
    }
}

async fn postgres(n: u64) {
    if let Ok(url) = std::env::var("SPECLINE_AUDIT_POSTGRES") {
        let log = PgLog::open(postgres::Settings::new(url)).await.unwrap();
        measure("PostgreSQL", Arc::new(log), n).await;
        return;
    }
    let server = Server::start();
    for indexed in [false, true] {
        let database = server.database();
        let settings = postgres::Settings::new(database.url());
        let log = Arc::new(PgLog::open(settings).await.unwrap());
        if !indexed {
            server.psql_at(database.url(), DROP);
        }
        appends("PostgreSQL", &(log as Arc<dyn EventLog>), indexed).await;
    }
    let database = server.database();
    let log = PgLog::open(postgres::Settings::new(database.url())).await.unwrap();
    measure("PostgreSQL", Arc::new(log), n).await;
}

const DROP: &str = "DROP INDEX events_by_aggregate; DROP INDEX events_by_type;
     DROP INDEX events_by_actor; DROP INDEX events_by_project; DROP INDEX events_by_correlation;
     DROP INDEX events_by_cause;";

fn event(stream: Uuid, number: u64) -> NewEvent {
    let word = |name: &str, n: u64| format!("{name}{:03}", number.wrapping_mul(0x9e37_79b9) % n);
    let kind = word("Event", TYPES);
    let (actor, project) = (word("person:actor", ACTORS), word("project", PROJECTS));
    NewEvent {
        payload: format!(r#"{{"{kind}":{{"text":"{}"}}}}"#, "x".repeat(TEXT_BYTES)),
        metadata: format!(
            r#"{{"actor":"{actor}","correlation_id":"{stream}","project_id":"{project}"}}"#
        ),
        event_type: kind,
        event_version: "1".to_owned(),
    }
}

fn append(stream: &StreamId, expected: Expected, events: Vec<NewEvent>) -> Append {
    Append { stream: stream.clone(), expected, events, key: None, blobs: Vec::new() }
}

async fn write_stream(log: Arc<dyn EventLog>, first: u64) {
    let id = Uuid::now_v7();
    let stream = StreamId { aggregate_type: "Spec".to_owned(), aggregate_id: id };
    let mut expected = Expected::NoStream;
    for part in 0..STREAM / AT_ONCE {
        let numbers = first + part * AT_ONCE..first + (part + 1) * AT_ONCE;
        let events = numbers.map(|number| event(id, number)).collect();
        let done = log.append(append(&stream, expected, events)).await.unwrap();
        expected = Expected::Exact(done.head);
    }
}

/// Single events by 64 callers, with the indexes or without.
async fn appends(store: &str, log: &Arc<dyn EventLog>, indexed: bool) {
    let begin = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..64 {
        let log = Arc::clone(log);
        callers.spawn(async move {
            let id = Uuid::now_v7();
            let stream = StreamId { aggregate_type: "Spec".to_owned(), aggregate_id: id };
            let (mut expected, mut n) = (Expected::NoStream, 0);
            while begin.elapsed() < APPENDING {
                let events = vec![event(id, caller + n)];
                let done = log.append(append(&stream, expected, events)).await.unwrap();
                expected = Expected::Exact(done.head);
                n += 1;
            }
            n
        });
    }
    let total: u64 = callers.join_all().await.iter().sum();
    let per_second = f64::from(u32::try_from(total).unwrap()) / begin.elapsed().as_secs_f64();
    let with = if indexed { "with" } else { "without" };
    println!("{store}: {per_second:.0} appends/s of one event, 64 callers, {with} audit indexes");
}

async fn measure(store: &str, log: Arc<dyn EventLog>, n: u64) {
    let begin = Instant::now();
    let mut writers = JoinSet::new();
    let before = log.watch_head().borrow().0;
    let mut next = before;
    while next < n || !writers.is_empty() {
        while next < n && (writers.len() as u64) < WRITERS {
            writers.spawn(write_stream(Arc::clone(&log), next));
            next += STREAM;
        }
        writers.join_next().await.transpose().unwrap();
    }
    let head = log.watch_head().borrow().0;
    println!("{store}: {} events written in {:.0} s", head - before, begin.elapsed().as_secs_f64());
    let rows = log.audit().unwrap();
    caught_up(rows, head).await;
    println!("{store}: all in the indexes after {:.0} s", begin.elapsed().as_secs_f64());
    queries(store, &*log, &ids(&*log, head).await).await;
    sealed(store, rows, head).await;
    proofs(store, rows, head).await;
}

/// Streams all over the log.
async fn ids(log: &dyn EventLog, head: u64) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for n in 0..QUERIES {
        let found = log.read_all(Position(n * head / QUERIES), 1).await.unwrap();
        ids.push(found[0].stream.aggregate_id);
    }
    ids
}

/// Waits until the indexes have all events.
async fn caught_up(rows: &dyn Audit, head: u64) {
    while rows.indexed().await.unwrap().0 < head {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn queries(store: &str, log: &dyn EventLog, ids: &[Uuid]) {
    let rows = log.audit().unwrap();
    let head = log.watch_head().borrow().0;
    let (first, last) = (log.read_all(Position(0), 1), log.read_all(Position(head - 1), 1));
    let ends = (first.await.unwrap()[0].recorded_at, last.await.unwrap()[0].recorded_at);
    for kind in ["aggregate", "project", "correlation", "actor", "type", "project+type+actor"] {
        for ranged in [false, true] {
            let mut took = Vec::new();
            let mut n_found = 0;
            for n in 0..QUERIES {
                let query = query(kind, n, ids, ranged.then_some(ends));
                let begin = Instant::now();
                n_found += rows.find(&query).await.unwrap().events.len();
                took.push(begin.elapsed());
            }
            took.sort_unstable();
            let p99 = took[took.len() * 99 / 100];
            let range = if ranged { ", in a time range" } else { "" };
            println!(
                "{store}: by {kind}{range}: p50 {:?}, p99 {p99:?}, {} events a page",
                took[took.len() / 2],
                n_found as u64 / QUERIES
            );
        }
    }
}

fn query(kind: &str, n: u64, ids: &[Uuid], ends: Option<(Timestamp, Timestamp)>) -> Query {
    let scattered = n.wrapping_mul(0x9e37_79b9);
    let id = ids[usize::try_from(scattered).unwrap() % ids.len()];
    let word = |name: &str, of: u64| Some(format!("{name}{:03}", scattered % of));
    let mut filter = Filter::default();
    for part in kind.split('+') {
        match part {
            "aggregate" => filter.aggregate = Some(id),
            "correlation" => filter.correlation = Some(id.to_string()),
            "project" => filter.project = word("project", PROJECTS),
            "actor" => filter.actor = word("person:actor", ACTORS),
            _ => filter.event_type = word("Event", TYPES),
        }
    }
    if let Some((first, last)) = ends {
        // A third of the time, somewhere.
        let span = last.micros() - first.micros();
        let from = first.micros() + span * i64::try_from(n % 60).unwrap() / 100;
        filter.from = Some(Timestamp::from_micros(from));
        filter.to = Some(Timestamp::from_micros(from + span / 3));
    }
    let order = if n.is_multiple_of(2) { Order::OldestFirst } else { Order::NewestFirst };
    Query { filter, order, after: None, limit: 100 }
}

async fn sealed(store: &str, rows: &dyn Audit, head: u64) {
    let begin = Instant::now();
    let made = seals::seal(rows, Position(head)).await.unwrap();
    let rate =
        |begin: Instant| f64::from(u32::try_from(head).unwrap()) / begin.elapsed().as_secs_f64();
    if made.is_some() {
        println!("{store}: sealed at {:.0} events/s", rate(begin));
    }
    let begin = Instant::now();
    let all = (Position(1), Position(u64::MAX));
    let report = seals::check(rows, all, &[], |_| {}).await.unwrap();
    assert_eq!((report.events, report.fault), (head, None));
    println!("{store}: {} seals; verified at {:.0} events/s", report.seals, rate(begin));
}

/// Of events and of seals all over the log.
async fn proofs(store: &str, rows: &dyn Audit, head: u64) {
    let seals = rows.seals(0, 10_000).await.unwrap();
    let (mut included, mut consistent) = (Vec::new(), Vec::new());
    for n in 0..PROOFS {
        let scattered = n.wrapping_mul(0x9e37_79b9);
        let begin = Instant::now();
        seals::prove(rows, 1 + scattered % head, None).await.unwrap();
        included.push(begin.elapsed());
        let old = &seals[usize::try_from(scattered).unwrap() % seals.len()];
        let begin = Instant::now();
        seals::prove_consistency(rows, old.n, None).await.unwrap();
        consistent.push(begin.elapsed());
    }
    for (what, mut took) in [("an event", included), ("two seals", consistent)] {
        took.sort_unstable();
        let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        println!("{store}: a proof of {what}: p50 {p50:?}, p99 {p99:?}");
    }
}
