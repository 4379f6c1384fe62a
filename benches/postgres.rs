//! What the PostgreSQL log costs beside raw PostgreSQL and beside postgres-es's own repository, all
//! on one throw-away server in one run: appends of 1, 32, 256 and 1,024 callers on one and on three
//! nodes, how far the read models lag behind under load, a rebuild, and an idle node. Figures are
//! medians of what one run gives; read them as ratios.
//!
//! `cargo bench --bench postgres`; `SPECLINE_BENCH_SECONDS` sets how long each load runs (3).

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends, and says where")]
#![expect(clippy::print_stdout, reason = "figures are told")]

#[expect(dead_code, reason = "the tests need more of it")]
#[path = "../tests/it/store_conformance/counter.rs"]
mod counter;
#[path = "../tests/it/support/postgres.rs"]
mod server;

use std::process::Command as Program;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cqrs_es::CqrsFramework;
use cqrs_es::persist::PersistedEventStore;
use postgres_es::PostgresEventRepository;
use server::Server;
use specline::store::postgres::Settings;
use specline::store::{Append, EventLog, Expected, NewEvent, PgLog, Position, StreamId};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, Executor, PgConnection};
use tokio::runtime::Runtime;
use uuid::Uuid;

use counter::{Command, Counter};

/// Bytes of an event's text.
const TEXT_BYTES: usize = 500;

const CALLERS: [usize; 4] = [1, 32, 256, 1_024];

/// Rows of a raw batch.
const BATCH: usize = 1_000;

/// Connections of the stock repository: three times its own default.
const STOCK_CONNECTIONS: u32 = 32;

fn seconds() -> Duration {
    let said = std::env::var("SPECLINE_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(said.unwrap_or(3))
}

/// Events a second, and how long one took.
struct Rate {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Rate {
    fn of(mut times: Vec<Duration>, wall: Duration) -> Self {
        times.sort_unstable();
        let at = |part: usize| {
            let rank = times.len().saturating_sub(1) * part / 100;
            times.get(rank).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
        };
        let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
        let per_second = f64::from(count) / wall.as_secs_f64();
        Self { per_second, p50_ms: at(50), p99_ms: at(99) }
    }

    fn say(&self, what: &str) {
        let Self { per_second, p50_ms, p99_ms } = self;
        println!(
            "{what:<44} {per_second:>9.0} events/s   p50 {p50_ms:>8.3}   p99 {p99_ms:>8.3} ms"
        );
    }
}

fn main() {
    // The test runner asks a bench for its tests: there are none.
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return;
    }
    let server = Server::start();
    let runtime = Runtime::new().unwrap();
    println!("PostgreSQL with fsync and synchronous_commit=on; events of {TEXT_BYTES} bytes");
    let raw = raw(&server, &runtime);
    let stock: Vec<Rate> = CALLERS[..3]
        .iter()
        .map(|&callers| {
            let rate = runtime.block_on(stock(&server, callers));
            rate.say(&format!("postgres-es under CqrsFramework, {callers} callers"));
            rate
        })
        .collect();
    let mut ours = Vec::new();
    for nodes in [1, 3] {
        for callers in CALLERS {
            let rate = runtime.block_on(appends(&server, nodes, callers));
            rate.say(&format!("group commit, {nodes} node(s), {callers} callers"));
            ours.push(rate);
        }
    }
    println!(
        "one append at one caller: {:+.3} ms beside a raw commit (at most 0.8)",
        ours[0].p50_ms - raw.p50_ms
    );
    println!(
        "256 callers: {:.1} x postgres-es on one node, {:.1} x on three (at least 4)",
        ours[2].per_second / stock[2].per_second,
        ours[6].per_second / stock[2].per_second
    );
}

fn text() -> String {
    format!("\"{}\"", "x".repeat(TEXT_BYTES))
}

/// One row a commit by pgbench, and batches by UNNEST. Gives back pgbench with one client.
fn raw(server: &Server, runtime: &Runtime) -> Rate {
    let database = server.database();
    server.psql_at(
        database.url(),
        "CREATE TABLE rows (aggregate_type text NOT NULL, aggregate_id text NOT NULL,
            sequence bigint NOT NULL, event_type text NOT NULL, event_version text NOT NULL,
            payload json NOT NULL, metadata json NOT NULL, position bigserial UNIQUE,
            recorded_at bigint, hash bytea, PRIMARY KEY (aggregate_type, aggregate_id, sequence))",
    );
    let mut first = None;
    for clients in [1, 32] {
        let rate = pgbench(server, database.url(), clients);
        rate.say(&format!("raw (pgbench), one row a commit, {clients} clients"));
        first.get_or_insert(rate);
    }
    let url = database.url().to_owned();
    let rate = runtime.block_on(async move {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let (begun, mut times) = (Instant::now(), Vec::new());
        while begun.elapsed() < seconds() {
            let id = Uuid::now_v7().to_string();
            let sequences: Vec<i64> = (1..=i64::try_from(BATCH).unwrap()).collect();
            let one = Instant::now();
            let sql = "INSERT INTO rows SELECT 'Raw', $1, s, 'Noted', '1', $3::json, '{}', \
                       nextval('rows_position_seq'), 0, decode(repeat('00', 32), 'hex') \
                       FROM unnest($2::bigint[]) AS u (s)";
            let query = sqlx::query(sql).bind(id).bind(&sequences).bind(text());
            connection.execute(query).await.unwrap();
            times.extend(std::iter::repeat_n(one.elapsed(), BATCH));
        }
        Rate::of(times, begun.elapsed())
    });
    rate.say(&format!("raw (UNNEST), {BATCH} rows a commit"));
    first.unwrap()
}

fn pgbench(server: &Server, url: &str, clients: usize) -> Rate {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("insert.sql");
    let sql = format!(
        "INSERT INTO rows (aggregate_type, aggregate_id, sequence, event_type, event_version, \
         payload, metadata, recorded_at, hash) VALUES ('Raw', gen_random_uuid()::text, 1, 'Noted', \
         '1', '{}', '{{}}', 0, decode(repeat('00', 32), 'hex'));\n",
        text()
    );
    std::fs::write(&script, sql).unwrap();
    let time = seconds().as_secs().to_string();
    let out = Program::new(server.bin().join("pgbench"))
        .args(["-n", "-M", "prepared", "-j", "2", "-l", "-c", &clients.to_string(), "-T", &time])
        .arg("-f")
        .arg(&script)
        .arg(url)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    // Each line of its logs: client, transaction, microseconds, …
    let mut times = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("pgbench_log") {
            let log = std::fs::read_to_string(path).unwrap();
            let micros = log.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok());
            times.extend(micros.map(Duration::from_micros));
        }
    }
    Rate::of(times, seconds())
}

/// The stock repository: each caller adds to aggregates of its own, a few events each.
async fn stock(server: &Server, callers: usize) -> Rate {
    let database = server.database();
    drop(PgLog::open(Settings::new(database.url())).await.unwrap());
    let pool = PgPoolOptions::new()
        .max_connections(STOCK_CONNECTIONS)
        .acquire_timeout(Duration::from_mins(1))
        .connect(database.url())
        .await
        .unwrap();
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let repository = PostgresEventRepository::new(pool);
                let store = PersistedEventStore::<_, Counter>::new_event_store(repository);
                let framework = CqrsFramework::new(store, Vec::new(), ());
                let (mut id, mut times) = (String::new(), Vec::new());
                while begun.elapsed() < seconds() {
                    if times.len() % 10 == 0 {
                        id = Uuid::now_v7().to_string();
                    }
                    let one = Instant::now();
                    framework.execute(&id, Command::Add(1)).await.unwrap();
                    times.push(one.elapsed());
                }
                times
            })
        })
        .collect();
    gather(tasks, begun).await
}

/// Our log: each caller appends to streams of its own, one event a time, through one of the nodes.
async fn appends(server: &Server, nodes: usize, callers: usize) -> Rate {
    let database = server.database();
    let mut logs = Vec::new();
    for _ in 0..nodes {
        logs.push(Arc::new(PgLog::open(Settings::new(database.url())).await.unwrap()));
    }
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let log = Arc::clone(&logs[caller % nodes]);
            tokio::spawn(async move {
                let (mut stream, mut head) = (StreamId::of("Raw"), None);
                let mut times = Vec::new();
                while begun.elapsed() < seconds() {
                    if times.len() % 10 == 0 {
                        (stream, head) = (StreamId::of("Raw"), None);
                    }
                    let event = NewEvent {
                        event_type: "Noted".to_owned(),
                        event_version: "1".to_owned(),
                        payload: text(),
                        metadata: "{}".to_owned(),
                    };
                    let append = Append {
                        stream: stream.clone(),
                        expected: head.map_or(Expected::NoStream, Expected::Exact),
                        events: vec![event],
                        key: None,
                        blobs: Vec::new(),
                    };
                    let one = Instant::now();
                    head = Some(log.append(append).await.unwrap().head);
                    times.push(one.elapsed());
                }
                times
            })
        })
        .collect();
    let rate = gather(tasks, begun).await;
    let last = logs[0].read_all(Position(0), 1).await.unwrap();
    assert_eq!(last.len(), 1, "what was appended is there");
    rate
}

async fn gather(tasks: Vec<tokio::task::JoinHandle<Vec<Duration>>>, begun: Instant) -> Rate {
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    Rate::of(times, begun.elapsed())
}

/// A fresh stream.
trait Fresh {
    fn of(aggregate_type: &str) -> StreamId;
}

impl Fresh for StreamId {
    fn of(aggregate_type: &str) -> StreamId {
        StreamId { aggregate_type: aggregate_type.to_owned(), aggregate_id: Uuid::now_v7() }
    }
}
