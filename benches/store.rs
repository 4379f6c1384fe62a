//! What the log costs beside plain SQLite: appends of 1, 32 and 256 callers against raw commits of
//! one row and of batches of the same mean size, replay of 100,000 events, load from a snapshot.
//! Read the figures as ratios of one run: a fsync takes 0.1 to 3 ms as the machine is busy.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends, and says where")]

use std::collections::HashSet;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use specline::store::chain::{Content, GENESIS, chain_hash};
use specline::store::{
    AggregateStore, Append, Clock, Commit, EventLog, Expected, NewEvent, Position, Recorded,
    SnapshotKey, SqliteLog, StreamHead, StreamId,
};
use specline_aggregates::{DecodeError, Digest, EventSourced, IllegalTransition};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Bytes of text in each event.
const TEXT_BYTES: usize = 400;
const CALLERS: [u64; 3] = [1, 32, 256];
const REPLAYED: u64 = 100_000;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Steps {
    finished: u64,
    last: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Event {
    StepStarted { number: u64 },
    StepFinished { number: u64, output: String, usage: Vec<u64> },
}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        match self {
            Self::StepStarted { .. } => "StepStarted",
            Self::StepFinished { .. } => "StepFinished",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;

impl Aggregate for Steps {
    const TYPE: &'static str = "Steps";
    type Command = ();
    type Event = Event;
    type Error = Never;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Never> {
        Ok(())
    }

    fn apply(&mut self, _: Event) {}
}

impl EventSourced for Steps {
    fn snapshot_format() -> u32 {
        1
    }

    fn evolve(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        if let Event::StepFinished { output, .. } = event {
            self.finished += 1;
            self.last.clone_from(output);
        }
        Ok(())
    }

    fn decode(event_type: &str, _: &str, payload: &str) -> Result<Event, DecodeError> {
        serde_json::from_str(payload).map_err(|error| DecodeError::Malformed {
            event_type: event_type.to_owned(),
            cause: error.to_string(),
        })
    }
}

fn finished(number: u64) -> Event {
    let usage = vec![number, 2_000, 300];
    Event::StepFinished { number, output: "x".repeat(TEXT_BYTES), usage }
}

struct Log {
    log: Arc<SqliteLog>,
    _folder: tempfile::TempDir,
}

fn new_log() -> Log {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(SqliteLog::open(&folder.path().join("log.db"), Clock::system()).unwrap());
    Log { log, _folder: folder }
}

/// Commits `total` steps from `callers` tasks through the aggregate store, each to its own stream.
fn commit_steps(runtime: &Runtime, log: &Arc<SqliteLog>, callers: u64, total: u64) -> Duration {
    let store = Arc::new(AggregateStore::<Steps>::new(Arc::clone(log) as Arc<dyn EventLog>));
    let start = Instant::now();
    runtime.block_on(async {
        let each = total.div_ceil(callers);
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let id = Uuid::now_v7();
                    for number in 0..each {
                        let loaded = store.load(id).await.unwrap();
                        let commit = Commit::new(vec![finished(number)]);
                        black_box(store.commit(loaded, commit).await.unwrap());
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    // More may have been done than asked for: a caller does whole steps.
    let done = total.div_ceil(callers) * callers;
    let nanos = start.elapsed().as_nanos() * u128::from(total) / u128::from(done);
    Duration::from_nanos(u64::try_from(nanos).expect("a benchmark takes less than 500 years"))
}

/// All events of a batch carry one time.
fn mean_batch(runtime: &Runtime, callers: u64) -> u64 {
    let Log { log, _folder } = new_log();
    commit_steps(runtime, &log, callers, callers * 40);
    let events = runtime.block_on(log.read_all(Position(0), 1_000_000)).unwrap();
    let batches: HashSet<_> = events.iter().map(|event| event.recorded_at).collect();
    (events.len() as u64 / batches.len() as u64).max(1)
}

/// The same rows in the same table, written by the shortest program there is: without hashes,
/// checks, or anyone to answer.
struct Raw {
    connection: Connection,
    streams: Vec<String>,
    written: usize,
    _folder: tempfile::TempDir,
}

impl Raw {
    fn new(streams: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("raw.db")).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 CREATE TABLE events (
                     position INTEGER PRIMARY KEY, aggregate_type TEXT, aggregate_id TEXT,
                     sequence INTEGER, event_type TEXT, event_version TEXT, payload TEXT,
                     metadata TEXT, recorded_at INTEGER, hash BLOB,
                     UNIQUE (aggregate_type, aggregate_id, sequence));",
            )
            .unwrap();
        let streams = (0..streams).map(|_| Uuid::now_v7().to_string()).collect();
        Self { connection, streams, written: 0, _folder: folder }
    }

    /// Writes `total` rows, `batch` a commit.
    fn write(&mut self, batch: u64, total: u64) -> Duration {
        let payload = serde_json::to_string(&finished(1)).unwrap();
        let start = Instant::now();
        let mut left = total;
        while left > 0 {
            self.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            for _ in 0..batch.min(left) {
                self.insert(&payload);
                left -= 1;
            }
            self.connection.execute_batch("COMMIT").unwrap();
        }
        start.elapsed()
    }

    fn insert(&mut self, payload: &str) {
        let mut insert = self
            .connection
            .prepare_cached(
                "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type,
                     event_version, payload, metadata, recorded_at, hash)
                 VALUES ('Steps', ?1, ?2, 'StepFinished', '1', ?3, '{}', 0, zeroblob(32))",
            )
            .unwrap();
        let stream = &self.streams[self.written % self.streams.len()];
        insert.execute((stream, self.written / self.streams.len(), payload)).unwrap();
        self.written += 1;
    }
}

fn append(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    for callers in CALLERS {
        let Log { log, _folder } = new_log();
        group.bench_function(BenchmarkId::new("log", callers), |bencher| {
            bencher.iter_custom(|total| commit_steps(&runtime, &log, callers, total));
        });
        let mut raw = Raw::new(callers);
        for batch in HashSet::from([1, mean_batch(&runtime, callers)]) {
            let id = BenchmarkId::new(format!("raw, batches of {batch}"), callers);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|total| raw.write(batch, total));
            });
        }
    }
    group.finish();
}

/// One stream of `count` events, appended in large batches.
fn long_stream(runtime: &Runtime, log: &SqliteLog, count: u64) -> (StreamId, StreamHead) {
    let stream = StreamId { aggregate_type: Steps::TYPE.to_owned(), aggregate_id: Uuid::now_v7() };
    let mut head = None;
    for page in 0..count.div_ceil(1_000) {
        let numbers = page * 1_000..((page + 1) * 1_000).min(count);
        let events = numbers.map(|number| NewEvent {
            event_type: "StepFinished".to_owned(),
            event_version: "1".to_owned(),
            payload: serde_json::to_string(&finished(number)).unwrap(),
            metadata: r#"{"actor":"bench","correlation_id":"0"}"#.to_owned(),
        });
        let append = Append {
            stream: stream.clone(),
            expected: head.map_or(Expected::NoStream, Expected::Exact),
            events: events.collect(),
            key: None,
            blobs: Vec::new(),
        };
        head = Some(runtime.block_on(log.append(append)).unwrap().head);
    }
    (stream, head.expect("something was appended"))
}

fn replay(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let Log { log, _folder } = new_log();
    let (stream, _) = long_stream(&runtime, &log, REPLAYED);
    let mut group = criterion.benchmark_group("replay");
    group.throughput(Throughput::Elements(REPLAYED)).sample_size(10);
    group.bench_function("100,000 events of one stream", |bencher| {
        bencher.iter(|| {
            let state = runtime.block_on(replay_stream(&*log, &stream));
            assert_eq!(state.finished, REPLAYED);
        });
    });
    // What of that the check of the chain is: it should be a tenth at most.
    let events = runtime.block_on(every_event(&*log, &stream));
    group.bench_function("100,000 hashes of its chain alone", |bencher| {
        bencher.iter(|| {
            let last = events.iter().fold(GENESIS, |previous, event| chained(&previous, event));
            assert_eq!(Some(last), events.last().map(|event| event.hash));
        });
    });
    drop(events);
    group.bench_function("100,000 events of the log, decoded", |bencher| {
        bencher.iter(|| runtime.block_on(read_and_decode(&*log)));
    });
    group.bench_function("100,000 events verified", |bencher| {
        bencher.iter(|| {
            let to = Position(u64::MAX);
            let verified = runtime.block_on(log.verify(Position(1), to, |_| {})).unwrap();
            assert_eq!((verified.events, verified.first_difference), (REPLAYED, None));
        });
    });
    group.finish();
}

/// Not by the store's `load`: that leaves a snapshot, and the next one would start from it.
async fn replay_stream(log: &dyn EventLog, stream: &StreamId) -> Steps {
    let (mut state, mut after) = (Steps::default(), 0);
    loop {
        let page = log.read_stream(stream, after, 1_000).await.unwrap();
        let Some(last) = page.last() else { return state };
        after = last.sequence;
        for row in &page {
            let event = Steps::decode(&row.event_type, &row.event_version, &row.payload).unwrap();
            state.evolve(&event).unwrap();
        }
    }
}

async fn every_event(log: &dyn EventLog, stream: &StreamId) -> Vec<Recorded> {
    let mut events = Vec::new();
    loop {
        let page = log.read_stream(stream, events.len() as u64, 1_000).await.unwrap();
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

fn chained(previous: &Digest, event: &Recorded) -> Digest {
    let content = Content {
        event_type: &event.event_type,
        event_version: &event.event_version,
        payload: &event.payload,
        metadata: &event.metadata,
    };
    chain_hash(previous, &event.stream, event.sequence, content)
}

async fn read_and_decode(log: &dyn EventLog) {
    let mut position = Position(0);
    loop {
        let page = log.read_all(position, 1_000).await.unwrap();
        let Some(last) = page.last() else { break };
        position = last.position;
        for event in &page {
            black_box(
                Steps::decode(&event.event_type, &event.event_version, &event.payload).unwrap(),
            );
        }
    }
    assert_eq!(position, Position(REPLAYED));
}

fn snapshot_load(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let Log { log, _folder } = new_log();
    let (stream, _) = long_stream(&runtime, &log, 10_000);
    let store = AggregateStore::<Steps>::new(Arc::clone(&log) as Arc<dyn EventLog>)
        .with_snapshots(SnapshotKey::of_secret(&[7; 32]));
    // A long replay leaves a snapshot.
    runtime.block_on(store.load(stream.aggregate_id)).unwrap();
    store.forget(stream.aggregate_id);
    let loaded = runtime.block_on(store.load(stream.aggregate_id)).unwrap();
    let tail = (0..50).map(finished).collect();
    runtime.block_on(store.commit(loaded, Commit::new(tail))).unwrap();
    criterion.bench_function("load/snapshot and 50 events", |bencher| {
        bencher.iter(|| {
            store.forget(stream.aggregate_id);
            let loaded = runtime.block_on(store.load(stream.aggregate_id)).unwrap();
            assert_eq!(loaded.state.finished, 10_050);
        });
    });
}

criterion_group!(benches, append, replay, snapshot_load);
criterion_main!(benches);
