//! Snapshots are a cache with one rule: a later one stays.

use specline::store::{EventLog, Snapshot, StreamHead};
use specline_aggregates::Digest;

use super::backend::{Backend, on_every_backend, stream};

on_every_backend!(a_snapshot_is_replaced_by_a_later_one_only);

fn snapshot(version: u64, state: &str) -> Snapshot {
    let head = StreamHead { version, hash: Digest::of(state.as_bytes()) };
    Snapshot { head, format: 3, state: state.to_owned() }
}

async fn a_snapshot_is_replaced_by_a_later_one_only<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let stream = stream();
    assert_eq!(log.load_snapshot(&stream).await.unwrap(), None);
    for (saved, kept) in [(5, 5), (3, 5), (9, 9)] {
        log.save_snapshot(&stream, snapshot(saved, &format!("[{saved}]"))).await.unwrap();
        let there = log.load_snapshot(&stream).await.unwrap();
        assert_eq!(there, Some(snapshot(kept, &format!("[{kept}]"))));
    }
    log.save_snapshot(&stream, snapshot(9, "[]")).await.unwrap();
    assert_eq!(log.load_snapshot(&stream).await.unwrap(), Some(snapshot(9, "[]")));
    assert_eq!(log.load_snapshot(&super::backend::stream()).await.unwrap(), None);
}
