//! Telemetry's bound, cursors, the secret; and that writes of many callers share transactions.

use std::sync::Arc;

use specline::store::{MAX_TELEMETRY_ENTRIES, Position, SideTables};
use specline_aggregates::SandboxId;
use uuid::Uuid;

use super::backend::{Backend, on_every_backend};

on_every_backend!(
    telemetry_is_numbered_and_paged,
    telemetry_drops_the_oldest,
    one_large_report_is_bounded_too,
    cursors_start_at_zero_and_only_rise,
    the_secret_is_one_for_the_store,
    many_callers_at_once,
);

fn sandbox() -> SandboxId {
    SandboxId::new(Uuid::now_v7())
}

fn entries(count: u64) -> Vec<(String, String)> {
    (0..count).map(|number| ("progress".to_owned(), number.to_string())).collect()
}

async fn telemetry_is_numbered_and_paged<B: Backend>() {
    let backend = B::new();
    let store = backend.store();
    let (one, two) = (sandbox(), sandbox());
    assert_eq!(store.add_telemetry(one, entries(3)).await.unwrap(), 0);
    assert_eq!(store.add_telemetry(two, entries(1)).await.unwrap(), 0);
    assert_eq!(store.add_telemetry(one, entries(2)).await.unwrap(), 0);
    assert_eq!(store.add_telemetry(one, Vec::new()).await.unwrap(), 0);
    let read = store.telemetry(one, 1, 3).await.unwrap();
    let numbers: Vec<_> = read.iter().map(|entry| (entry.number, entry.body.as_str())).collect();
    assert_eq!(numbers, [(2, "1"), (3, "2"), (4, "0")]);
    assert_eq!(store.telemetry(two, 0, 10).await.unwrap()[0].number, 1);
}

async fn telemetry_drops_the_oldest<B: Backend>() {
    let backend = B::new();
    let store = backend.store();
    let sandbox = sandbox();
    assert_eq!(store.add_telemetry(sandbox, entries(MAX_TELEMETRY_ENTRIES - 1)).await.unwrap(), 0);
    assert_eq!(store.add_telemetry(sandbox, entries(3)).await.unwrap(), 2);
    assert_eq!(store.add_telemetry(sandbox, entries(1)).await.unwrap(), 1);
    let read = store.telemetry(sandbox, 0, 10_000).await.unwrap();
    assert_eq!(read.len() as u64, MAX_TELEMETRY_ENTRIES);
    let (first, last) = (read[0].number, read[read.len() - 1].number);
    assert_eq!((first, last), (4, MAX_TELEMETRY_ENTRIES + 3));
}

async fn one_large_report_is_bounded_too<B: Backend>() {
    let backend = B::new();
    let store = backend.store();
    let sandbox = sandbox();
    store.add_telemetry(sandbox, entries(10)).await.unwrap();
    let dropped = store.add_telemetry(sandbox, entries(MAX_TELEMETRY_ENTRIES + 5)).await.unwrap();
    assert_eq!(dropped, 15);
    let read = store.telemetry(sandbox, 0, 10_000).await.unwrap();
    assert_eq!(read.len() as u64, MAX_TELEMETRY_ENTRIES);
    assert_eq!((read[0].number, read[0].body.as_str()), (16, "5"));
}

async fn cursors_start_at_zero_and_only_rise<B: Backend>() {
    let backend = B::new();
    let store = backend.store();
    assert_eq!(store.cursor("reactor").await.unwrap(), Position(0));
    store.set_cursor("reactor", Position(7)).await.unwrap();
    store.set_cursor("syncer", Position(1)).await.unwrap();
    store.set_cursor("reactor", Position(5)).await.unwrap();
    assert_eq!(store.cursor("reactor").await.unwrap(), Position(7), "it never falls back");
    assert_eq!(store.cursor("syncer").await.unwrap(), Position(1));
}

async fn the_secret_is_one_for_the_store<B: Backend>() {
    let (one, two) = (B::new(), B::new());
    let (first, second) = (one.store(), two.store());
    let secret = first.secret().await.unwrap();
    assert_eq!(secret, first.secret().await.unwrap());
    assert_ne!(secret, second.secret().await.unwrap());
    assert_ne!(secret, [0; 32]);
}

async fn many_callers_at_once<B: Backend>() {
    let backend = B::new();
    let store = backend.store();
    let calls: Vec<_> = (0..200_u64)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let duty = format!("duty {number}");
                store.set_cursor(&duty, Position(number)).await.unwrap();
                store.cursor(&duty).await.unwrap()
            })
        })
        .collect();
    for (number, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap(), Position(number));
    }
}
