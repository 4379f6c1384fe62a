//! Durability: a process that appends is killed with SIGKILL, again and again, and what it was told
//! is there, is there. The process is this very test binary, started on one test.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use specline::store::{Append, Clock, EventLog, Position, Recorded, SqliteLog};
use uuid::Uuid;

use super::backend::{append, key, stream};

/// Names the log to append to; set for the process that is killed only.
const LOG: &str = "SPECLINE_TEST_KILL_LOG";

const CALLERS: u64 = 8;

/// What the killed process says about one append that was acknowledged.
#[derive(Debug)]
struct Acknowledged {
    position: u64,
    aggregate_id: Uuid,
    version: u64,
    payload: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_sigkill() {
    let rounds = if std::env::var_os("SPECLINE_SOAK").is_some() { 200 } else { 20 };
    let mut random = Random::seeded();
    eprintln!("SPECLINE_SEED={}", random.0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let wanted = 1 + random.below(150);
        acknowledged.extend(run_and_kill(&path, wanted));
        let reader = SqliteLog::open_read_only(&path).unwrap();
        let seen = read_all(&reader).await;
        drop(reader);
        let log = SqliteLog::open(&path, Clock::system()).unwrap();
        assert_eq!(seen, read_all(&log).await, "a reader finds what the killed engine left");
        check(&log, &acknowledged, round).await;
    }
}

/// Everything acknowledged is there, nothing is twice, nothing is missing in between, and keys know
/// their appends.
async fn check(log: &SqliteLog, acknowledged: &[Acknowledged], round: u64) {
    let all = read_all(log).await;
    let by_position: HashMap<u64, &Recorded> =
        all.iter().map(|event| (event.position.0, event)).collect();
    assert_eq!(by_position.len(), all.len());
    let payloads: HashSet<&str> = all.iter().map(|event| event.payload.as_str()).collect();
    assert_eq!(payloads.len(), all.len(), "round {round}: an event is there twice");
    for ack in acknowledged {
        let event = by_position.get(&ack.position);
        let event = event.unwrap_or_else(|| panic!("round {round}: lost {ack:?}"));
        let found = (event.stream.aggregate_id, event.sequence, &event.payload);
        assert_eq!(found, (ack.aggregate_id, ack.version, &ack.payload), "round {round}");
    }
    let verified = log.verify(Position(1), Position(u64::MAX), |_| {}).await.unwrap();
    assert_eq!(verified.first_difference, None, "round {round}");
    // An append whose answer was lost in the kill: sent again, it is found, not written twice.
    for event in all.iter().rev().take(20) {
        let request = Append {
            key: Some(key(&event.payload, &event.payload)),
            ..append(&event.stream, None, &[0])
        };
        let again = log.append(request).await.unwrap();
        assert_eq!((again.repeated, again.position), (true, event.position));
    }
}

async fn read_all(log: &SqliteLog) -> Vec<Recorded> {
    let mut all: Vec<Recorded> = Vec::new();
    loop {
        let after = all.last().map_or(Position(0), |event| event.position);
        let page = log.read_all(after, 1_000).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// Lets the process append until it reported `wanted` appends, and kills it in the middle.
fn run_and_kill(path: &Path, wanted: u64) -> Vec<Acknowledged> {
    let mut child = start(path);
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let mut killed = false;
    for line in output.lines() {
        // The last line may be torn by the kill.
        acknowledged.extend(parse(&line.unwrap_or_default()));
        if !killed && acknowledged.len() as u64 >= wanted {
            child.kill().unwrap();
            killed = true;
        }
    }
    let ended = child.wait().unwrap();
    assert!(killed, "the process ended by itself: {ended}");
    acknowledged
}

fn start(path: &Path) -> Child {
    let this_module = module_path!().split_once("::").map_or("", |(_, path)| path);
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", &format!("{this_module}::appends_until_it_is_killed")])
        .env(LOG, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn parse(line: &str) -> Option<Acknowledged> {
    let fields: Vec<&str> = line.strip_prefix("acknowledged ")?.split(' ').collect();
    let [position, id, version, payload, "."] = fields[..] else { return None };
    Some(Acknowledged {
        position: position.parse().unwrap(),
        aggregate_id: id.parse().unwrap(),
        version: version.parse().unwrap(),
        payload: payload.to_owned(),
    })
}

/// Not a check: what the killed process runs. Without its log it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_until_it_is_killed() {
    let Some(path) = std::env::var_os(LOG) else { return };
    let log = Arc::new(SqliteLog::open(Path::new(&path), Clock::system()).unwrap());
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let log = Arc::clone(&log);
            tokio::spawn(async move { append_and_report(&log).await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

async fn append_and_report(log: &SqliteLog) {
    let (stream, mut head) = (stream(), None);
    loop {
        let payload = (u64::MAX - Uuid::now_v7().as_u64_pair().1).wrapping_mul(3);
        let text = payload.to_string();
        let key = Some(key(&text, &text));
        let request = Append { key, ..append(&stream, head, &[payload]) };
        let appended = log.append(request).await.unwrap();
        let (id, version) = (stream.aggregate_id, appended.head.version);
        let line = format!("acknowledged {} {id} {version} {text} .\n", appended.position);
        if std::io::stdout().write_all(line.as_bytes()).is_err() {
            return;
        }
        head = Some(appended.head);
    }
}

/// A small generator, seeded by `SPECLINE_SEED` or the time.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let given = std::env::var("SPECLINE_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::from(now.subsec_nanos())
        });
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
