//! Snapshots are a cache with one rule: a later one stays.

use specline::store::{EventLog, Snapshot, StreamHead};
use specline_aggregates::Digest;

use super::backend::{Backend, on_every_backend, stream};

on_every_backend!(a_snapshot_is_replaced_by_a_later_one_only, snapshots_are_listed_and_dropped);

fn snapshot(version: u64, state: &str) -> Snapshot {
    let head = StreamHead { version, hash: Digest::of(state.as_bytes()) };
    Snapshot { head, format: 3, state: state.to_owned(), mac: Some(Digest::of(b"mac")) }
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

async fn snapshots_are_listed_and_dropped<B: Backend>() {
    let backend = B::new();
    let log = backend.store();
    let mut streams = [stream(), stream(), stream()];
    streams.sort();
    for (stream, version) in streams.iter().zip(1..) {
        log.save_snapshot(stream, snapshot(version, "{}")).await.unwrap();
    }
    let first = log.snapshots(None, 2).await.unwrap();
    assert_eq!(
        first.iter().map(|(stream, _)| stream).collect::<Vec<_>>(),
        [&streams[0], &streams[1]]
    );
    let rest = log.snapshots(Some(&streams[1]), 2).await.unwrap();
    assert_eq!(rest, [(streams[2].clone(), snapshot(3, "{}"))]);
    log.drop_snapshot(&streams[1]).await.unwrap();
    assert_eq!(log.load_snapshot(&streams[1]).await.unwrap(), None);
    assert_eq!(log.snapshots(None, 9).await.unwrap().len(), 2);
    log.save_snapshot(&streams[1], snapshot(1, "{}")).await.unwrap();
    assert!(log.load_snapshot(&streams[1]).await.unwrap().is_some());
}
