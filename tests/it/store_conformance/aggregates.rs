//! The aggregate store: cache, snapshots, conflicts, repeats.

use std::sync::Arc;

use specline::store::{
    AggregateStore, Append, CacheLimits, Commit, EventLog, LogError, SNAPSHOT_EVERY, Snapshot,
    SnapshotKey, StoreError, StreamHead, StreamId,
};
use specline_aggregates::Digest;
use uuid::Uuid;

use super::backend::{Backend, after, append, key, on_every_backend};
use super::counter::{Counter, Event};

on_every_backend!(
    what_is_committed_is_loaded,
    a_commit_on_an_old_state_is_a_conflict,
    another_writers_events_are_met,
    a_repeat_answers_with_the_state_that_is,
    an_illegal_event_writes_nothing,
    snapshot_and_tail_equal_a_full_replay,
    a_snapshot_that_does_not_fit_is_ignored,
    a_long_replay_leaves_a_snapshot,
    an_earlier_state_can_be_loaded,
    newer_and_malformed_events_are_told_apart,
    the_cache_may_be_as_small_as_it_likes,
);

fn added(by: u64) -> Event {
    Event::Added { by }
}

fn key_of_snapshots() -> SnapshotKey {
    SnapshotKey::of_secret(&[7; 32])
}

fn counters(log: Arc<dyn EventLog>) -> AggregateStore<Counter> {
    AggregateStore::new(log).with_snapshots(key_of_snapshots())
}

fn stream(id: Uuid) -> StreamId {
    StreamId { aggregate_type: "Counter".to_owned(), aggregate_id: id }
}

async fn add(store: &AggregateStore<Counter>, id: Uuid, by: &[u64]) -> Arc<Counter> {
    let loaded = store.load(id).await.unwrap();
    let events = by.iter().copied().map(added).collect();
    store.commit(loaded, Commit::new(events)).await.unwrap().state
}

async fn what_is_committed_is_loaded<B: Backend>() {
    let backend = B::new();
    let log: Arc<dyn EventLog> = backend.store();
    let store = counters(Arc::clone(&log));
    let id = Uuid::now_v7();
    assert_eq!(store.load(id).await.unwrap().head, None);
    assert_eq!(add(&store, id, &[1, 2]).await.total, 3);
    assert_eq!(add(&store, id, &[4]).await.total, 7);
    let fresh = counters(Arc::clone(&log)).load(id).await.unwrap();
    assert_eq!(*fresh.state, Counter { total: 7, events: 3 });
    assert_eq!(fresh.head, log.stream_head(&stream(id)).await.unwrap());
    assert_eq!(fresh.head, store.load(id).await.unwrap().head);
    let metadata = [("actor".to_owned(), "ann".to_owned())].into();
    let commit = Commit { metadata, ..Commit::new(vec![added(1)]) };
    store.commit(store.load(id).await.unwrap(), commit).await.unwrap();
    let last = log.read_stream(&stream(id), 3, 1).await.unwrap().remove(0);
    assert_eq!((last.event_type.as_str(), last.event_version.as_str()), ("Added", "1"));
    assert_eq!(
        (last.payload.as_str(), last.metadata.as_str()),
        (r#"{"Added":{"by":1}}"#, r#"{"actor":"ann"}"#)
    );
}

async fn a_commit_on_an_old_state_is_a_conflict<B: Backend>() {
    let backend = B::new();
    let store = counters(backend.store());
    let id = Uuid::now_v7();
    add(&store, id, &[1]).await;
    let old = store.load(id).await.unwrap();
    add(&store, id, &[2]).await;
    let error = store.commit(old.clone(), Commit::new(vec![added(9)])).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(old.state.total, 1, "what the caller holds does not change");
    assert_eq!(add(&store, id, &[4]).await.total, 7);
}

async fn another_writers_events_are_met<B: Backend>() {
    let backend = B::new();
    let log: Arc<dyn EventLog> = backend.store();
    let store = counters(Arc::clone(&log));
    let other = counters(log);
    let id = Uuid::now_v7();
    add(&store, id, &[1]).await;
    add(&other, id, &[2]).await;
    let lagging = store.load(id).await.unwrap();
    assert_eq!(lagging.state.total, 1);
    let error = store.commit(lagging, Commit::new(vec![added(4)])).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(add(&store, id, &[4]).await.total, 7);
    let lagging = other.load(id).await.unwrap();
    let only_key = Commit { key: Some(key("k", "r")), ..Commit::new(Vec::new()) };
    assert!(other.commit(lagging, only_key).await.unwrap_err().is_conflict());
    assert_eq!(other.load(id).await.unwrap().state.total, 7, "the conflict dropped what it had");
}

async fn a_long_replay_leaves_a_snapshot<B: Backend>() {
    let backend = B::new();
    let log: Arc<dyn EventLog> = backend.store();
    let id = Uuid::now_v7();
    let mut request = append(&stream(id), None, &[]);
    let one = super::backend::event(&r#"{"Added":{"by":1}}"#);
    request.events = vec![one; 2_500];
    let head = log.append(request).await.unwrap().head;
    let loaded = counters(Arc::clone(&log)).load(id).await.unwrap();
    assert_eq!((loaded.state.total, loaded.head), (2_500, Some(head)));
    assert_eq!(log.load_snapshot(&stream(id)).await.unwrap().unwrap().head, head);
    let again = counters(log).load(id).await.unwrap();
    assert_eq!((again.state, again.head), (loaded.state, loaded.head));
}

async fn a_repeat_answers_with_the_state_that_is<B: Backend>() {
    let backend = B::new();
    let store = counters(backend.store());
    let id = Uuid::now_v7();
    let keyed = || Commit { key: Some(key("k", "r")), ..Commit::new(vec![added(5)]) };
    let first = store.commit(store.load(id).await.unwrap(), keyed()).await.unwrap();
    add(&store, id, &[1]).await;
    let second = store.commit(store.load(id).await.unwrap(), keyed()).await.unwrap();
    assert!(second.appended.repeated);
    assert_eq!(second.appended.position, first.appended.position);
    assert_eq!(*second.state, Counter { total: 6, events: 2 });
    let only_key = Commit { key: Some(key("k2", "r")), ..Commit::new(Vec::new()) };
    let third = store.commit(store.load(id).await.unwrap(), only_key).await.unwrap();
    assert_eq!((third.state.total, third.appended.repeated), (6, false));
}

async fn an_illegal_event_writes_nothing<B: Backend>() {
    let backend = B::new();
    let log: Arc<dyn EventLog> = backend.store();
    let store = counters(Arc::clone(&log));
    let id = Uuid::now_v7();
    let events = vec![added(1), Event::Emptied {}, Event::Emptied {}];
    let loaded = store.load(id).await.unwrap();
    let error = store.commit(loaded, Commit::new(events)).await.unwrap_err();
    assert!(matches!(error, StoreError::Illegal { .. }), "{error}");
    assert_eq!(log.stream_head(&stream(id)).await.unwrap(), None);
    assert_eq!(store.load(id).await.unwrap().state.total, 0);
}

async fn snapshot_and_tail_equal_a_full_replay<B: Backend>() {
    let backend = B::new();
    let log: Arc<dyn EventLog> = backend.store();
    let store = counters(Arc::clone(&log));
    let id = Uuid::now_v7();
    for number in 0..SNAPSHOT_EVERY + 10 {
        add(&store, id, &[number]).await;
    }
    let snapshot = log.load_snapshot(&stream(id)).await.unwrap().unwrap();
    assert_eq!(snapshot.head.version, SNAPSHOT_EVERY);
    let fresh = counters(Arc::clone(&log)).load(id).await.unwrap();
    let mut replayed = Counter::default();
    for event in log.read_stream(&stream(id), 0, 1_000).await.unwrap() {
        let event = serde_json::from_str(&event.payload).unwrap();
        specline_aggregates::EventSourced::evolve(&mut replayed, &event).unwrap();
    }
    assert_eq!(*fresh.state, replayed);
    assert_eq!(fresh.head, log.stream_head(&stream(id)).await.unwrap());
}

/// Each case is a row that somebody else put there: only what this store itself saved has a code.
async fn a_snapshot_that_does_not_fit_is_ignored<B: Backend>() {
    let backend = B::new();
    let log: Arc<dyn EventLog> = backend.store();
    let id = Uuid::now_v7();
    let store = counters(Arc::clone(&log));
    for _ in 0..SNAPSHOT_EVERY {
        add(&store, id, &[1]).await;
    }
    let truth = log.stream_head(&stream(id)).await.unwrap().unwrap();
    let good = log.load_snapshot(&stream(id)).await.unwrap().unwrap();
    assert_eq!(good.head, truth);
    let lie = || serde_json::to_string(&Counter { total: 99, events: truth.version }).unwrap();
    let other_hash = StreamHead { hash: Digest::of(b"other"), ..truth };
    let beyond = StreamHead { version: truth.version + 9, ..truth };
    let mac = |mac| Snapshot { mac, ..good.clone() };
    let cases = [
        Snapshot { state: lie(), ..good.clone() },
        Snapshot { head: other_hash, ..good.clone() },
        Snapshot { head: beyond, ..good.clone() },
        Snapshot { format: 2, ..good.clone() },
        mac(None),
        mac(Some(Digest::of(b"mac"))),
    ];
    for case in cases {
        log.drop_snapshot(&stream(id)).await.unwrap();
        log.save_snapshot(&stream(id), case.clone()).await.unwrap();
        let store = counters(Arc::clone(&log));
        let loaded = store.load(id).await.unwrap();
        assert_eq!((loaded.state.total, loaded.head), (truth.version, Some(truth)), "{case:?}");
        assert_eq!(store.n_ignored_snapshots(), 1, "{case:?}");
        assert_eq!(log.load_snapshot(&stream(id)).await.unwrap(), None, "it is taken away");
    }
    log.save_snapshot(&stream(id), good.clone()).await.unwrap();
    // Another log's key, or none: the same.
    let others = AggregateStore::<Counter>::new(Arc::clone(&log))
        .with_snapshots(SnapshotKey::of_secret(&[8; 32]));
    assert_eq!(others.load(id).await.unwrap().state.total, truth.version);
    assert_eq!(others.n_ignored_snapshots(), 1);
    let keyless = AggregateStore::<Counter>::new(Arc::clone(&log));
    assert_eq!(keyless.load(id).await.unwrap().state.total, truth.version);
    assert_eq!(keyless.n_ignored_snapshots(), 0);
    // One of another stream is not taken for this one's.
    let other = Uuid::now_v7();
    add(&store, other, &[5]).await;
    log.save_snapshot(&stream(other), good).await.unwrap();
    assert_eq!(counters(log).load(other).await.unwrap().state.total, 5);
}

async fn an_earlier_state_can_be_loaded<B: Backend>() {
    let backend = B::new();
    let log: Arc<dyn EventLog> = backend.store();
    let store = counters(log);
    let id = Uuid::now_v7();
    for _ in 0..SNAPSHOT_EVERY + 5 {
        add(&store, id, &[1]).await;
    }
    for sequence in [0, 1, 7, SNAPSHOT_EVERY - 1, SNAPSHOT_EVERY, SNAPSHOT_EVERY + 1] {
        let then = store.load_at(id, sequence).await.unwrap();
        assert_eq!((then.state.total, then.version()), (sequence, sequence));
    }
    let beyond = store.load_at(id, SNAPSHOT_EVERY * 2).await.unwrap();
    assert_eq!(beyond.state.total, SNAPSHOT_EVERY + 5);
}

async fn newer_and_malformed_events_are_told_apart<B: Backend>() {
    let backend = B::new();
    let log: Arc<dyn EventLog> = backend.store();
    let store = counters(Arc::clone(&log));
    for (version, payload) in [("2", "{}"), ("1", r#"{"Removed":{}}"#), ("1", r#"{"Emptied":{}}"#)]
    {
        let id = Uuid::now_v7();
        let mut request: Append = append(&stream(id), None, &[0]);
        version.clone_into(&mut request.events[0].event_version);
        payload.clone_into(&mut request.events[0].payload);
        log.append(request).await.unwrap();
        let error = store.load(id).await.unwrap_err();
        let fits = match &error {
            StoreError::Newer { event_version, .. } => version == "2" && event_version == "2",
            StoreError::Malformed { place, .. } => {
                payload.contains("Removed") && place.sequence == 1
            }
            StoreError::DoesNotFollow { place, .. } => place.stream == stream(id),
            StoreError::Log(_)
            | StoreError::Illegal { .. }
            | StoreError::NotSerialisable { .. } => false,
        };
        assert!(fits, "{payload}: {error}");
    }
}

async fn the_cache_may_be_as_small_as_it_likes<B: Backend>() {
    let backend = B::new();
    let limits = CacheLimits { max_entries: 2, max_bytes: 64 };
    let store = Arc::new(AggregateStore::<Counter>::with_limits(backend.store(), limits));
    let ids: Vec<Uuid> = (0..8).map(|_| Uuid::now_v7()).collect();
    for round in 1..=10 {
        for id in &ids {
            assert_eq!(add(&store, *id, &[2]).await.total, 2 * round);
        }
    }
    let stale = append(&stream(ids[0]), None, &[1]);
    let error = store.log().append(stale).await.unwrap_err();
    assert!(matches!(error, LogError::Conflict { actual: 10, .. }), "{error}");
    assert_eq!(after(None), specline::store::Expected::NoStream);
}
