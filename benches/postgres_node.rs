//! A real node on PostgreSQL: what it costs while idle, how far its read models lag behind while
//! another process appends, how fast they catch up after a burst, and how fast one is rebuilt.
//!
//! `cargo bench --bench postgres_node`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends, and says where")]
#![expect(clippy::print_stdout, reason = "figures are told")]

#[path = "../tests/it/support/postgres.rs"]
mod server;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use server::{Database, Server};
use specline::bench::workflow::Driver;
use specline::commands::Commands;
use specline::store::postgres::Settings;
use specline::store::{EventLog, PgLog};
use specline_aggregates::SpecId;
use specline_projections::{LogId, Place, ReadModels};
use tokio::runtime::Runtime;
use uuid::Uuid;

const BINARY: &str = env!("CARGO_BIN_EXE_specline");

/// How long the node is left alone, and how long it is loaded.
const IDLE: Duration = Duration::from_secs(20);
const LOAD: Duration = Duration::from_secs(15);

/// Workflows begun a second under load: 12 events each.
const WORKFLOWS_A_SECOND: u32 = 80;

/// Specs of the burst: about 12 events each.
const BURST: u64 = 8_500;
const CALLERS: u64 = 64;
const STEPS: u32 = 6;

fn main() {
    // The test runner asks a bench for its tests: there are none.
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return;
    }
    let server = Server::start();
    let database = server.database();
    let state = tempfile::tempdir().unwrap();
    let alone = transactions_in(&server, &database);
    let node = Node::start(database.url(), state.path());
    idle(&server, &database, &node, alone);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(lag(database.url()));
    runtime.block_on(burst(database.url()));
    for model in ["spec_board", "spec_detail", "spec_timeline", "due_work"] {
        rebuild(&server, database.url(), state.path(), model);
    }
    drop(node);
}

/// A `specline serve`, killed when it is dropped.
struct Node {
    child: Child,
}

impl Node {
    fn start(url: &str, state: &std::path::Path) -> Self {
        let mut child = Command::new(BINARY)
            .args(["serve", "--store", url])
            .env("SPECLINE_STATE_DIR", state)
            .env("SPECLINE_LOG", "error")
            .current_dir(state)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It prints its address when it serves.
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("http://"), "the node did not start");
        Self { child }
    }

    /// Processor time so far.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let after = stat.rsplit_once(')').unwrap().1;
        let ticks: u64 =
            after.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Every statement of ours outside of a transaction is a transaction of its own.
fn transactions(server: &Server, database: &Database) -> u64 {
    let name = database.url().rsplit('/').next().unwrap();
    let sql = format!(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{name}'"
    );
    server.psql(&sql).parse().unwrap()
}

/// In the time for which a node is left alone: what the server and the counting do by themselves.
fn transactions_in(server: &Server, database: &Database) -> u64 {
    let before = transactions(server, database);
    std::thread::sleep(IDLE);
    transactions(server, database) - before
}

fn idle(server: &Server, database: &Database, node: &Node, alone: u64) {
    // What starting leaves behind is over, and the server's own counters have settled.
    std::thread::sleep(Duration::from_secs(10));
    let cpu = node.cpu();
    let statements = transactions_in(server, database).saturating_sub(alone);
    let used = node.cpu().saturating_sub(cpu);
    println!(
        "idle node: {:.2} statements/s (at most 2), {:.2} % of a core (at most 1)",
        f64::from(u32::try_from(statements).unwrap()) / IDLE.as_secs_f64(),
        100.0 * used.as_secs_f64() / IDLE.as_secs_f64()
    );
}

async fn open(url: &str) -> (Arc<PgLog>, ReadModels) {
    let log = Arc::new(PgLog::open(Settings::new(url)).await.unwrap());
    let identity = log.identity();
    let id = LogId { log_id: identity.log_id, incarnation: identity.incarnation };
    let head = log.watch_head().borrow().0;
    let models = ReadModels::open(&Place::Postgres(url.to_owned()), id, head).await.unwrap();
    (log, models)
}

/// From the acknowledgement of an append to the read models that have it, for every append.
async fn lag(url: &str) {
    let (log, models) = open(url).await;
    let mut end = log.watch_head();
    let driver = Driver::new(Arc::new(Commands::new(Arc::clone(&log) as Arc<dyn EventLog>)));
    let load = tokio::spawn(async move {
        let (begun, mut tasks) = (Instant::now(), Vec::new());
        let mut pace = tokio::time::interval(Duration::from_secs(1) / WORKFLOWS_A_SECOND);
        while begun.elapsed() < LOAD {
            pace.tick().await;
            let driver = driver.clone();
            tasks.push(tokio::spawn(async move {
                let id = SpecId::new(Uuid::now_v7());
                driver.workflow(id, STEPS, &mut Vec::new()).await.unwrap();
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    let (begun, start) = (Instant::now(), end.borrow().0);
    let mut moved = models.moved();
    let mut waiting: VecDeque<(u64, Instant)> = VecDeque::new();
    let mut lags = Vec::new();
    while !load.is_finished() || !waiting.is_empty() {
        tokio::select! {
            changed = end.changed() => {
                changed.unwrap();
                waiting.push_back((end.borrow_and_update().0, Instant::now()));
            }
            heard = moved.next() => {
                heard.unwrap();
                models.refresh().await.unwrap();
            }
            () = tokio::time::sleep(Duration::from_millis(50)) => models.refresh().await.unwrap(),
        }
        let stand = models.resume_position().unwrap();
        while waiting.front().is_some_and(|(position, _)| *position <= stand) {
            lags.extend(waiting.pop_front().map(|(_, at)| at.elapsed()));
        }
    }
    let events = end.borrow().0 - start;
    let rate = f64::from(u32::try_from(events).unwrap()) / begun.elapsed().as_secs_f64();
    lags.sort_unstable();
    let at = |part: usize| lags[(lags.len() - 1) * part / 100].as_secs_f64() * 1_000.0;
    println!(
        "lag of the read models at {rate:.0} events/s: p50 {:.1} ms, p99 {:.1} ms (at most 100)",
        at(50),
        at(99)
    );
}

/// As many events as fit, and how long the read models need to be there too.
async fn burst(url: &str) {
    let (log, models) = open(url).await;
    let driver = Driver::new(Arc::new(Commands::new(Arc::clone(&log) as Arc<dyn EventLog>)));
    let head = log.watch_head();
    let (begun, start) = (Instant::now(), head.borrow().0);
    let tasks: Vec<_> = (0..CALLERS)
        .map(|_| {
            let driver = driver.clone();
            tokio::spawn(async move {
                for _ in 0..BURST / CALLERS {
                    let id = SpecId::new(Uuid::now_v7());
                    driver.workflow(id, STEPS, &mut Vec::new()).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (appended, end) = (begun.elapsed(), head.borrow().0);
    let mut moved = models.moved();
    while models.resume_position().unwrap() < end {
        drop(tokio::time::timeout(Duration::from_millis(50), moved.next()).await);
        models.refresh().await.unwrap();
    }
    let events = f64::from(u32::try_from(end - start).unwrap());
    println!(
        "a burst of {events:.0} events: appended at {:.0} events/s, in all read models at {:.0}",
        events / appended.as_secs_f64(),
        events / begun.elapsed().as_secs_f64()
    );
}

fn rebuild(server: &Server, url: &str, state: &std::path::Path, model: &str) {
    let events: u32 = server.psql_at(url, "SELECT position FROM log_head").parse().unwrap();
    let begun = Instant::now();
    let out = Command::new(BINARY)
        .args(["projections", "rebuild", model, "--store", url])
        .env("SPECLINE_STATE_DIR", state)
        .current_dir(state)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let rate = f64::from(events) / begun.elapsed().as_secs_f64();
    println!("rebuild of {model:<14} {events} events at {rate:.0} events/s (at least 15,000)");
}
