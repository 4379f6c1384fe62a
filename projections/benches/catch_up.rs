//! Catching up: the events of many specs, interleaved, folded into every read model in pages of
//! 1,000, from an empty file; and rebuilding the largest one beside. Each is given in events/s.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

#[path = "../tests/it/world.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod world;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use specline_aggregates::{Phase, Policy, SpecId, spec};
use specline_projections::{DomainEvent, Envelope, LogId, Place, ReadModels};
use uuid::Uuid;
use world::{World, output};

const PAGE: usize = 1_000;
const N_SPECS: u64 = 512;

/// Specs at work at the same time.
const N_ABREAST: usize = 64;

/// One whole run, copied for each spec under its own id, and dealt out as 64 specs at once give it.
fn log() -> Vec<Envelope> {
    let mut world = World::new();
    let id = world.draft(0, Policy::default());
    world.start(id);
    world.attach(id);
    for phase in Phase::ALL.into_iter().filter(|phase| phase.needs_agent()) {
        world.start_attempt(id);
        for number in 0..6 {
            world.step(id, number);
        }
        world.submit(id, output(phase, 0));
    }
    let specs: Vec<SpecId> = (0..N_SPECS).map(|n| SpecId::new(Uuid::from_u128(n.into()))).collect();
    let mut events: Vec<Envelope> = Vec::new();
    for group in specs.chunks(N_ABREAST) {
        for event in &world.log {
            events.extend(group.iter().map(|spec| of_spec(event, *spec)));
        }
    }
    for (position, event) in (1..).zip(&mut events) {
        event.position = position;
    }
    events
}

/// The same event, as if it were one of `spec`'s.
fn of_spec(event: &Envelope, spec: SpecId) -> Envelope {
    let mut event = event.clone();
    event.aggregate_id = spec.uuid();
    if let DomainEvent::Spec(
        spec::Event::SandboxRequested { sandbox, epoch, .. }
        | spec::Event::SandboxAttached { sandbox, epoch, .. },
    ) = &mut event.event
    {
        *sandbox = spec.sandbox(*epoch);
    }
    event
}

async fn open(folder: &tempfile::TempDir, head: u64) -> ReadModels {
    // Another log each time: what is in a PostgreSQL database already is emptied.
    let log = LogId { log_id: Uuid::now_v7(), incarnation: 1 };
    let place = match std::env::var("SPECLINE_BENCH_POSTGRES") {
        Ok(url) => Place::Postgres(url),
        Err(_) => Place::File(folder.path().join("read.db")),
    };
    ReadModels::open(&place, log, head).await.unwrap()
}

async fn catch_up(models: &ReadModels, events: &[Envelope]) {
    let mut after = 0;
    for page in events.chunks(PAGE) {
        black_box(models.apply(after, page).await.unwrap());
        after = page.last().unwrap().position;
    }
}

async fn rebuild(models: &ReadModels, name: &str, events: &[Envelope]) {
    models.begin_rebuild(name).await.unwrap();
    let mut after = 0;
    for page in events.chunks(PAGE) {
        black_box(models.apply_rebuild(name, after, page).await.unwrap());
        after = page.last().unwrap().position;
    }
    models.swap(name).await.unwrap();
}

fn benches(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let events = log();
    let mut group = criterion.benchmark_group("projections");
    group.sample_size(10).throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("catch_up", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                let folder = tempfile::tempdir().unwrap();
                spent += runtime.block_on(async {
                    let models = open(&folder, events.len() as u64).await;
                    let begun = Instant::now();
                    catch_up(&models, &events).await;
                    let spent = begun.elapsed();
                    models.close().await;
                    spent
                });
            }
            spent
        });
    });
    let folder = tempfile::tempdir().unwrap();
    let models = runtime.block_on(async {
        let models = open(&folder, events.len() as u64).await;
        catch_up(&models, &events).await;
        models
    });
    for name in models.names().collect::<Vec<_>>() {
        group.bench_function(format!("rebuild/{name}"), |bencher| {
            bencher.iter(|| runtime.block_on(rebuild(&models, name, &events)));
        });
    }
    group.finish();
}

criterion_group!(catch_up_benches, benches);
criterion_main!(catch_up_benches);
