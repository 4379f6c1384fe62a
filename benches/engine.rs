//! Specs from the log: replaying all of it into their states, and loading one from its snapshot or
//! from the cache.
#![expect(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use specline::bench::workflow::Driver;
use specline::commands::Commands;
use specline::store::chain::{Content, GENESIS, chain_hash};
use specline::store::{
    AggregateStore, Clock, EventLog, Position, Recorded, SnapshotKey, SqliteLog, StreamId,
};
use specline_aggregates::spec::Spec;
use specline_aggregates::{EventSourced, SpecId};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Specs of eleven events each: 100,001 events.
const SPECS: u64 = 9_091;
const EVENTS_A_SPEC: u64 = 11;
const STEPS: u32 = 6;

/// Callers that fill the log.
const CALLERS: u64 = 64;

/// Steps of a spec that has a snapshot.
const LONG: u32 = 300;

struct Filled {
    log: Arc<dyn EventLog>,
    lengthy: SpecId,
    _folder: tempfile::TempDir,
}

/// A log of many specs of six steps, and then a long one.
fn fill(runtime: &Runtime) -> Filled {
    let folder = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(&folder.path().join("log.db"), Clock::system()).unwrap();
    let log: Arc<dyn EventLog> = Arc::new(log);
    let driver = Driver::new(Arc::new(Commands::new(Arc::clone(&log))));
    let lengthy = SpecId::new(Uuid::now_v7());
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for caller in 0..CALLERS {
            let driver = driver.clone();
            let share = SPECS / CALLERS + u64::from(caller < SPECS % CALLERS);
            tasks.spawn(async move {
                for _ in 0..share {
                    let id = SpecId::new(Uuid::now_v7());
                    driver.workflow(id, STEPS, &mut Vec::new()).await.unwrap();
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        driver.workflow(lengthy, LONG, &mut Vec::new()).await.unwrap();
    });
    Filled { log, lengthy, _folder: folder }
}

/// Reads the whole log in pages, decodes every event and folds it into its spec.
async fn replay_all(log: &dyn EventLog) -> HashMap<Uuid, Spec> {
    let mut specs: HashMap<Uuid, Spec> = HashMap::new();
    let mut position = Position(0);
    loop {
        let page = log.read_all(position, 1_000).await.unwrap();
        let Some(last) = page.last() else { return specs };
        position = last.position;
        for row in &page {
            let event = Spec::decode(&row.event_type, &row.event_version, &row.payload).unwrap();
            specs.entry(row.stream.aggregate_id).or_default().evolve(&event).unwrap();
        }
    }
}

/// Loads of specs that are in no cache, and what of that the check of their chains is.
fn cold_loads(criterion: &mut Criterion, runtime: &Runtime, filled: &Filled) {
    let page = runtime.block_on(filled.log.read_all(Position(0), 1_000)).unwrap();
    let mut ids: Vec<Uuid> = page.iter().map(|event| event.stream.aggregate_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let store = AggregateStore::<Spec>::new(Arc::clone(&filled.log));
    let stream = |id: &Uuid| StreamId { aggregate_type: "Spec".to_owned(), aggregate_id: *id };
    let streams: Vec<Vec<Recorded>> = ids
        .iter()
        .map(|id| runtime.block_on(filled.log.read_stream(&stream(id), 0, 1_000)).unwrap())
        .collect();
    criterion.bench_function("specs/cold loads of some", |bencher| {
        bencher.iter(|| {
            for id in &ids {
                store.forget(*id);
                black_box(runtime.block_on(store.load(*id)).unwrap());
            }
        });
    });
    criterion.bench_function("specs/the hashes of their chains alone", |bencher| {
        bencher.iter(|| streams.iter().for_each(|events| chain(events)));
    });
}

fn chain(events: &[Recorded]) {
    let last = events.iter().fold(GENESIS, |previous, event| {
        let content = Content {
            event_type: &event.event_type,
            event_version: &event.event_version,
            payload: &event.payload,
            metadata: &event.metadata,
        };
        chain_hash(&previous, &event.stream, event.sequence, content)
    });
    assert_eq!(Some(last), events.last().map(|event| event.hash));
}

fn replay(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let filled = fill(&runtime);
    let events = SPECS * EVENTS_A_SPEC + u64::from(LONG) + EVENTS_A_SPEC - u64::from(STEPS);
    assert_eq!(filled.log.watch_head().borrow().0, events);
    let mut group = criterion.benchmark_group("specs");
    group.sample_size(10).throughput(Throughput::Elements(events));
    group.bench_function("replay of the whole log", |bencher| {
        // To drop the specs again is no part of it.
        bencher.iter_with_large_drop(|| {
            let specs = runtime.block_on(replay_all(&*filled.log));
            assert_eq!(specs.len() as u64, SPECS + 1);
            black_box(specs)
        });
    });
    group.finish();
    cold_loads(criterion, &runtime, &filled);
    let store = AggregateStore::<Spec>::new(Arc::clone(&filled.log))
        .with_snapshots(SnapshotKey::of_secret(&[7; 32]));
    let steps = |spec: &Spec| spec.current().map_or(0, |state| state.steps.by_name.len());
    criterion.bench_function("specs/load from a snapshot and its tail", |bencher| {
        bencher.iter(|| {
            store.forget(filled.lengthy.uuid());
            let loaded = runtime.block_on(store.load(filled.lengthy.uuid())).unwrap();
            assert_eq!(steps(&loaded.state), LONG as usize);
        });
    });
    criterion.bench_function("specs/load from the cache", |bencher| {
        bencher.iter(|| runtime.block_on(store.load(filled.lengthy.uuid())).unwrap());
    });
}

criterion_group!(benches, replay);
criterion_main!(benches);
