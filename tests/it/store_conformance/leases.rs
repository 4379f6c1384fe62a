//! Leases: one claim an epoch, one instance, renewed by the store's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use specline::store::{Clock, Heartbeat, Lease, LeaseState, SideTables};
use specline_aggregates::{Epoch, InstanceId, SandboxId, Timestamp, Usage};
use uuid::Uuid;

use super::backend::{Backend, on_every_backend};

on_every_backend!(
    a_sandbox_is_claimed_once,
    a_dead_engines_claim_is_taken_over,
    the_first_instance_to_attach_holds_the_lease,
    heartbeats_renew_by_the_stores_clock,
    an_engine_that_starts_renews_all,
    ended_leases_are_kept_but_not_live,
);

/// A clock that the test sets, in seconds.
fn clock() -> (Arc<AtomicI64>, Clock) {
    let seconds = Arc::new(AtomicI64::new(100));
    let source = Arc::clone(&seconds);
    let clock =
        Clock::new(move || Timestamp::from_micros(source.load(Ordering::SeqCst) * 1_000_000));
    (seconds, clock)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn lease(engine: Uuid) -> Lease {
    Lease {
        sandbox: SandboxId::new(Uuid::now_v7()),
        owner: Uuid::now_v7(),
        epoch: Epoch(3),
        state: LeaseState::Spawning,
        instance: None,
        engine,
        handle: "{}".to_owned(),
        lease_ms: 30_000,
        expires_at: Timestamp::default(),
        last_heard: Timestamp::default(),
        last_progress: Timestamp::default(),
        usage: Usage::default(),
    }
}

async fn a_sandbox_is_claimed_once<B: Backend>() {
    let backend = B::new();
    let (_, clock) = clock();
    let store = backend.open(clock);
    let lease = lease(Uuid::now_v7());
    assert!(store.claim_lease(lease.clone()).await.unwrap());
    let claimed = store.lease(lease.sandbox).await.unwrap().unwrap();
    let times =
        Lease { expires_at: at(130), last_heard: at(100), last_progress: at(100), ..lease.clone() };
    assert_eq!(claimed, times);
    assert!(!store.claim_lease(lease.clone()).await.unwrap(), "the same engine again");
    let other = Lease { engine: Uuid::now_v7(), ..lease.clone() };
    for state in [LeaseState::Running, LeaseState::Ending, LeaseState::Ended] {
        store.set_lease(lease.sandbox, state, None, lease.engine).await.unwrap();
        assert!(!store.claim_lease(other.clone()).await.unwrap(), "{state:?}");
    }
    let unchanged = store.lease(lease.sandbox).await.unwrap().unwrap();
    assert_eq!(unchanged, Lease { state: LeaseState::Ended, ..claimed });
}

async fn a_dead_engines_claim_is_taken_over<B: Backend>() {
    let backend = B::new();
    let (seconds, clock) = clock();
    let store = backend.open(clock);
    let lease = lease(Uuid::now_v7());
    store.claim_lease(lease.clone()).await.unwrap();
    seconds.store(200, Ordering::SeqCst);
    let heir = Lease { engine: Uuid::now_v7(), ..lease };
    assert!(store.claim_lease(heir.clone()).await.unwrap());
    let taken = store.lease(heir.sandbox).await.unwrap().unwrap();
    assert_eq!((taken.engine, taken.expires_at), (heir.engine, at(230)));
}

async fn the_first_instance_to_attach_holds_the_lease<B: Backend>() {
    let backend = B::new();
    let store = backend.store();
    let lease = lease(Uuid::now_v7());
    let (first, second) = (InstanceId::new(Uuid::now_v7()), InstanceId::new(Uuid::now_v7()));
    assert!(!store.attach_lease(lease.sandbox, first).await.unwrap(), "there is no lease yet");
    store.claim_lease(lease.clone()).await.unwrap();
    assert!(store.attach_lease(lease.sandbox, first).await.unwrap());
    assert!(!store.attach_lease(lease.sandbox, second).await.unwrap());
    assert!(store.attach_lease(lease.sandbox, first).await.unwrap(), "a repeat is the same attach");
    let held = store.lease(lease.sandbox).await.unwrap().unwrap();
    assert_eq!(held.instance, Some(first));
    store.set_lease(lease.sandbox, LeaseState::Ended, None, lease.engine).await.unwrap();
    assert!(!store.attach_lease(lease.sandbox, first).await.unwrap(), "it is over");
}

async fn heartbeats_renew_by_the_stores_clock<B: Backend>() {
    let backend = B::new();
    let (seconds, clock) = clock();
    let store = backend.open(clock);
    let (one, two) = (lease(Uuid::now_v7()), lease(Uuid::now_v7()));
    for lease in [&one, &two] {
        store.claim_lease(lease.clone()).await.unwrap();
    }
    store.set_lease(two.sandbox, LeaseState::Ended, None, two.engine).await.unwrap();
    seconds.store(150, Ordering::SeqCst);
    let usage = Usage { input_tokens: 1, output_tokens: 2, cost_micro_usd: 3, duration_ms: 4 };
    let beat = |sandbox, progressed| Heartbeat { sandbox, usage, progressed };
    let unknown = SandboxId::new(Uuid::now_v7());
    let beats = vec![beat(one.sandbox, false), beat(two.sandbox, true), beat(unknown, true)];
    store.heartbeat(beats).await.unwrap();
    let renewed = store.lease(one.sandbox).await.unwrap().unwrap();
    assert_eq!((renewed.expires_at, renewed.last_heard), (at(180), at(150)));
    assert_eq!((renewed.last_progress, renewed.usage), (at(100), usage));
    let ended = store.lease(two.sandbox).await.unwrap().unwrap();
    assert_eq!((ended.expires_at, ended.usage), (at(130), Usage::default()));
    assert_eq!(store.lease(unknown).await.unwrap(), None);
    seconds.store(160, Ordering::SeqCst);
    store.heartbeat(vec![beat(one.sandbox, true)]).await.unwrap();
    let progressed = store.lease(one.sandbox).await.unwrap().unwrap();
    assert_eq!(progressed.last_progress, at(160));
}

async fn an_engine_that_starts_renews_all<B: Backend>() {
    let backend = B::new();
    let (seconds, clock) = clock();
    let store = backend.open(clock);
    let lease = lease(Uuid::now_v7());
    store.claim_lease(lease.clone()).await.unwrap();
    seconds.store(900, Ordering::SeqCst);
    store.renew_all().await.unwrap();
    let renewed = store.lease(lease.sandbox).await.unwrap().unwrap();
    assert_eq!((renewed.expires_at, renewed.last_heard), (at(930), at(900)));
    assert_eq!(renewed.last_progress, at(100));
}

async fn ended_leases_are_kept_but_not_live<B: Backend>() {
    let backend = B::new();
    let store = backend.store();
    let (one, two) = (lease(Uuid::now_v7()), lease(Uuid::now_v7()));
    for lease in [&one, &two] {
        store.claim_lease(lease.clone()).await.unwrap();
    }
    let handle = Some(r#"{"pid":7}"#.to_owned());
    store.set_lease(one.sandbox, LeaseState::Running, handle.clone(), one.engine).await.unwrap();
    store.set_lease(two.sandbox, LeaseState::Ended, None, two.engine).await.unwrap();
    let live = store.live_leases().await.unwrap();
    assert_eq!(live.len(), 1);
    assert_eq!((live[0].sandbox, live[0].state), (one.sandbox, LeaseState::Running));
    assert_eq!(Some(&live[0].handle), handle.as_ref());
    assert_eq!(store.lease(two.sandbox).await.unwrap().unwrap().state, LeaseState::Ended);
}
