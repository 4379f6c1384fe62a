//! Logs with something of everything in them, and what is in a log, row by row.

use std::fmt::Debug;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;
use specline::store::house::{CopySource, Row, Table};
use specline::store::{
    Append, Appended, Blob, Clock, EventLog, Expected, Heartbeat, Key, Lease, LeaseState, NewEvent,
    Position, Recorded, SideTables, SqliteLog, StreamId,
};
use specline_aggregates::{Digest, Epoch, InstanceId, SandboxId, Timestamp, Usage};
use uuid::Uuid;

/// Events in one append.
const BATCH: u64 = 100;

pub fn stream() -> StreamId {
    StreamId { aggregate_type: "Spec".to_owned(), aggregate_id: Uuid::now_v7() }
}

/// An append under a key, with a blob: the first of its stream.
pub fn keyed(stream: &StreamId, number: u64, count: u64) -> Append {
    let event = |n: u64| NewEvent {
        event_type: "Noted".to_owned(),
        event_version: "1".to_owned(),
        // Spaces, an escape, a number that a decoder would change, and text beyond ASCII.
        payload: format!(r#"{{ "n":{n},  "x": 1.50, "text":"Grüße \u0000 {number} 🦀" }}"#),
        metadata: r#"{"actor":"test","b":"2","a":"1"}"#.to_owned(),
    };
    let bytes = format!("blob {number}").into_bytes();
    Append {
        stream: stream.clone(),
        expected: Expected::NoStream,
        events: (0..count).map(event).collect(),
        key: Some(Key {
            key: format!("Schlüssel/{number} with a space"),
            request: Digest::of(&number.to_be_bytes()),
            answer: r#"{"ok":true}"#.to_owned(),
        }),
        blobs: vec![Blob { digest: Digest::of(&bytes), bytes }],
    }
}

/// Fills a log with at least `n_events`; gives its first append back, and what that was told.
pub async fn fill<L: EventLog + SideTables>(log: &L, n_events: u64) -> (Append, Appended) {
    let first = keyed(&stream(), 0, 3);
    let answer = log.append(first.clone()).await.unwrap();
    for number in 1..=n_events.div_ceil(BATCH) {
        log.append(keyed(&stream(), number, BATCH)).await.unwrap();
    }
    side(log).await;
    (first, answer)
}

/// Opens a log for writing.
pub fn opened(path: &Path) -> SqliteLog {
    SqliteLog::open(path, Clock::system()).unwrap()
}

pub async fn fill_file(path: &Path, n_events: u64) -> (Append, Appended) {
    let log = opened(path);
    fill(&log, n_events).await
}

async fn side<L: SideTables>(log: &L) {
    for number in 1..=3_u32 {
        let sandbox = SandboxId::new(Uuid::now_v7());
        log.claim_lease(lease(sandbox, number)).await.unwrap();
        let entries = vec![("stderr".to_owned(), r#""Grüße""#.to_owned()); 5];
        log.add_telemetry(sandbox, entries).await.unwrap();
        if number > 1 {
            log.attach_lease(sandbox, InstanceId::new(Uuid::now_v7())).await.unwrap();
            let usage = Usage { input_tokens: 7, output_tokens: 8, ..Usage::default() };
            log.heartbeat(vec![Heartbeat { sandbox, usage, progressed: true }]).await.unwrap();
        }
    }
    for duty in ["reactor", "Ärger", "a b", "Zoo"] {
        log.set_cursor(duty, Position(3)).await.unwrap();
    }
}

fn lease(sandbox: SandboxId, epoch: u32) -> Lease {
    Lease {
        sandbox,
        owner: Uuid::now_v7(),
        epoch: Epoch(epoch),
        state: LeaseState::Spawning,
        instance: None,
        engine: Uuid::now_v7(),
        handle: "{}".to_owned(),
        lease_ms: 30_000,
        expires_at: Timestamp::default(),
        last_heard: Timestamp::default(),
        last_progress: Timestamp::default(),
        usage: Usage::default(),
    }
}

/// Everything in a house, byte for byte.
#[derive(Debug, PartialEq, Eq)]
pub struct Content {
    pub events: Vec<Recorded>,
    pub rows: Vec<Row>,
    pub secret: [u8; 32],
}

pub async fn content(house: &dyn CopySource) -> Content {
    let mut events: Vec<Recorded> = Vec::new();
    loop {
        let next = Position(events.last().map_or(1, |last| last.position.0 + 1));
        let page = house.scan(next, 700).await.unwrap();
        if page.is_empty() {
            break;
        }
        events.extend(page.into_iter().map(Result::unwrap));
    }
    let mut rows = Vec::new();
    for table in Table::ALL {
        // A small page, so that there are many.
        let mut last: Option<Row> = None;
        loop {
            let page = house.rows(table, last.as_ref(), 3).await.unwrap();
            let Some(end) = page.last() else { break };
            last = Some(end.clone());
            rows.extend(page);
        }
    }
    Content { events, rows, secret: house.deed().await.unwrap().unwrap().secret }
}

/// The rows of a table of a file, as SQLite itself has them.
pub fn table(path: &Path, name: &str, order: &str) -> Vec<Vec<Value>> {
    let connection = Connection::open(path).unwrap();
    let sql = format!("SELECT * FROM {name} ORDER BY {order}");
    let mut statement = connection.prepare(&sql).unwrap();
    let width = statement.column_count();
    let rows = statement.query_map([], |row| (0..width).map(|column| row.get(column)).collect());
    rows.unwrap().map(Result::unwrap).collect()
}

/// Two files hold the same, but for which incarnation they are.
pub fn equal_files(one: &Path, two: &Path) {
    let tables = [
        ("events", "position"),
        ("idempotency_keys", "aggregate_id, key"),
        ("blobs", "digest"),
        ("leases", "sandbox"),
        ("telemetry", "sandbox, number"),
        ("telemetry_counters", "sandbox"),
        ("cursors", "duty"),
    ];
    for (name, order) in tables {
        let (ones, twos) = (table(one, name, order), table(two, name, order));
        assert_eq!(ones.len(), twos.len(), "{name}");
        same(&ones, &twos, name);
    }
    let secret = |path| table(path, "log_identity", "log_id")[0][3].clone();
    assert_eq!(secret(one), secret(two));
}

/// Names the first that differs, instead of printing all.
pub fn same<T: PartialEq + Debug>(ones: &[T], twos: &[T], what: &str) {
    for (one, two) in ones.iter().zip(twos) {
        assert_eq!(one, two, "{what}");
    }
    assert_eq!(ones.len(), twos.len(), "{what}");
}

pub fn incarnation(path: &Path) -> i64 {
    let Value::Integer(incarnation) = table(path, "log_identity", "log_id")[0][2] else {
        panic!("no incarnation");
    };
    incarnation
}

pub fn set_state(path: &Path, state: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute("UPDATE log_identity SET state = ?1", [state]).unwrap();
}
