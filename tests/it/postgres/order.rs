//! A reader never skips: whatever transactions are open beside them, readers of all nodes that go
//! behind the head see every position once, in order, and nothing appears below where they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use specline::store::{EventLog, LogError, PgLog, Position, StreamId};
use sqlx::PgPool;
use tokio::task::JoinSet;

use super::world::{Check, admin, node};
use crate::store_conformance::backend::{append, stream};
use crate::support::postgres::server;
use crate::support::{Random, times};

const WRITERS: u64 = 16;
const NODES: usize = 3;

/// Streams that all writers append to, beside their own.
const SHARED: u64 = 4;

/// The end of the writing, for whoever goes on beside it.
struct Stage {
    nodes: Vec<Arc<PgLog>>,
    shared: Vec<StreamId>,
    wanted: u64,
    written: AtomicU64,
    ended: AtomicBool,
    held: AtomicU64,
}

impl Stage {
    /// Waits until the log has grown by `by`, or its writing has ended.
    async fn grown(&self, by: u64) {
        let mut head = self.nodes[0].watch_head();
        let until = head.borrow().0 + by;
        while !self.ended.load(Ordering::Acquire) && head.borrow_and_update().0 < until {
            head.changed().await.unwrap();
        }
    }

    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::Acquire)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_never_skips_beside_open_transactions() {
    let database = server().database();
    let seed = Random::new().below(1 << 60);
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        nodes.push(node(database.url()).await);
    }
    let stage = Arc::new(Stage {
        nodes,
        shared: (0..SHARED).map(|_| stream()).collect(),
        wanted: u64::from(times(20_000, 1_000_000)),
        written: AtomicU64::new(0),
        ended: AtomicBool::new(false),
        held: AtomicU64::new(0),
    });
    let (mut writers, mut readers, mut holders) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
    let began = Instant::now();
    for reader in 0..NODES * 2 {
        readers.spawn(follow(Arc::clone(&stage), reader, seed));
    }
    let pool = admin(database.url());
    for number in 0..3 {
        holders.spawn(foreign(Arc::clone(&stage), pool.clone(), number));
    }
    holders.spawn(repeatable(Arc::clone(&stage), pool.clone()));
    holders.spawn(idle(Arc::clone(&stage), pool.clone()));
    for number in 0..WRITERS {
        writers.spawn(write(Arc::clone(&stage), number, seed));
    }
    writers.join_all().await;
    let took = began.elapsed();
    stage.ended.store(true, Ordering::Release);
    // One more event for whoever waits for the head to move.
    stage.nodes[0].append(append(&stream(), None, &[0])).await.unwrap();
    holders.join_all().await;
    let sums = readers.join_all().await;
    let written = stage.written.load(Ordering::Acquire) + 1;
    let held = stage.held.load(Ordering::Acquire);
    println!("{written} events in {took:.1?}, {held} transactions held open beside them");
    assert!(held > 0, "transactions were open beside the writers");
    let whole = sum(&stage.nodes[0]).await;
    assert_eq!(whole.0, written);
    assert!(sums.iter().all(|seen| *seen == whole), "a reader saw another log: {sums:?}");
}

/// Number and digest of all events, looked at once nothing is written any more.
async fn sum(log: &PgLog) -> (u64, blake3::Hash) {
    let (mut check, mut hasher, mut cursor) = (Check::new(), blake3::Hasher::new(), 0);
    loop {
        let page = log.read_all(Position(cursor), 5_000).await.unwrap();
        for event in &page {
            check.event(event);
            hasher.update(&event.position.0.to_be_bytes()).update(event.hash.as_bytes());
        }
        let Some(last) = page.last() else { return (cursor, hasher.finalize()) };
        cursor = last.position.0;
    }
}

/// Goes behind the head of one node until the writing has ended and everything was read.
async fn follow(stage: Arc<Stage>, number: usize, seed: u64) -> (u64, blake3::Hash) {
    let log = &stage.nodes[number % NODES];
    let mut random = Random::seeded(seed.wrapping_add(1_000 + number as u64));
    let mut head = log.watch_head();
    let (mut check, mut hasher, mut cursor) = (Check::new(), blake3::Hasher::new(), 0);
    loop {
        let ended = stage.ended.load(Ordering::Acquire);
        let end = head.borrow_and_update().0;
        let limit = usize::try_from(1 + random.below(700)).unwrap();
        let page = log.read_all(Position(cursor), limit).await.unwrap();
        for event in &page {
            check.event(event);
            hasher.update(&event.position.0.to_be_bytes()).update(event.hash.as_bytes());
            cursor = event.position.0;
        }
        assert!(page.len() == limit || cursor >= end, "the head says {end}, and {cursor} is read");
        let last = stage.written.load(Ordering::Acquire) + 1;
        if ended && cursor == last {
            return (cursor, hasher.finalize());
        }
        if page.is_empty() {
            head.changed().await.unwrap();
        }
    }
}

/// Appends to a stream of its own, and now and then to one that others write to as well.
async fn write(stage: Arc<Stage>, number: u64, seed: u64) {
    let log = &stage.nodes[usize::try_from(number).unwrap() % NODES];
    let mut random = Random::seeded(seed.wrapping_add(number));
    let (own, mut head) = (stream(), None);
    while stage.written.load(Ordering::Acquire) < stage.wanted {
        let n = 1 + random.below(8);
        let payloads: Vec<u64> = (0..n).collect();
        if random.below(10) == 0 {
            let shared = &stage.shared[usize::try_from(random.below(SHARED)).unwrap()];
            let end = log.stream_head(shared).await.unwrap();
            match log.append(append(shared, end, &payloads)).await {
                Ok(_) => {}
                Err(LogError::Conflict { .. }) => continue,
                Err(error) => panic!("{error}"),
            }
        } else {
            head = Some(log.append(append(&own, head, &payloads)).await.unwrap().head);
        }
        stage.written.fetch_add(n, Ordering::AcqRel);
    }
}

/// Rows of postgres-es in streams of its own, in transactions that stay open for a while.
async fn foreign(stage: Arc<Stage>, pool: PgPool, number: u64) {
    for round in 1_i64.. {
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query("INSERT INTO events VALUES ('Foreign', $1, $2, 'Noted', '1', '{}', '{}')")
            .bind(format!("foreign-{number}-{round}"))
            .bind(1_i64)
            .execute(&mut *transaction)
            .await
            .unwrap();
        stage.grown(100 * (number + 1)).await;
        if round % 2 == 0 {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
        stage.held.fetch_add(1, Ordering::AcqRel);
        if !stage.goes_on() {
            return;
        }
    }
}

/// Long readers, whose picture of the log stays as it was.
async fn repeatable(stage: Arc<Stage>, pool: PgPool) {
    while stage.goes_on() {
        let mut reader = pool.begin().await.unwrap();
        let begin = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";
        sqlx::query(begin).execute(&mut *reader).await.unwrap();
        let count = "SELECT count(position), max(position) FROM events";
        let first: (i64, Option<i64>) =
            sqlx::query_as(count).fetch_one(&mut *reader).await.unwrap();
        assert_eq!(first.0, first.1.unwrap_or(0), "positions are dense in every picture");
        stage.grown(500).await;
        let then: (i64, Option<i64>) = sqlx::query_as(count).fetch_one(&mut *reader).await.unwrap();
        assert_eq!(first, then);
        stage.held.fetch_add(1, Ordering::AcqRel);
    }
}

/// Idle in a transaction, with a row locked that no append needs.
async fn idle(stage: Arc<Stage>, pool: PgPool) {
    let row = "INSERT INTO cursors VALUES ('idle', 0) ON CONFLICT DO NOTHING";
    sqlx::query(row).execute(&pool).await.unwrap();
    while stage.goes_on() {
        let mut idle = pool.begin().await.unwrap();
        let lock = "SELECT position FROM cursors WHERE duty = 'idle' FOR UPDATE";
        sqlx::query(lock).fetch_one(&mut *idle).await.unwrap();
        stage.grown(1_000).await;
        stage.held.fetch_add(1, Ordering::AcqRel);
    }
}
