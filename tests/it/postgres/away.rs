//! The server is away for a while, or only its notifications are: work goes on by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use specline::store::{EventLog, LogError, PgLog, Position};
use sqlx::PgPool;

use super::proxy::Proxy;
use super::world::{Check, admin, node, read};
use crate::store_conformance::backend::{append, fill, stream, until};
use crate::support::postgres::{Server, server};

const LISTENER: &str = "specline-listener";

/// Appends through `from`, and waits each time until `to` has seen it: says how long in all.
async fn told(from: &PgLog, to: &PgLog, times: u64) -> Duration {
    let began = Instant::now();
    for _ in 0..times {
        let position = fill(from, &stream(), 1).await.position;
        seen(to, position).await;
    }
    began.elapsed()
}

async fn seen(log: &PgLog, position: Position) {
    let mut head = log.watch_head();
    let seen = head.wait_for(|head| *head >= position);
    tokio::time::timeout(Duration::from_secs(10), seen).await.unwrap().unwrap();
}

/// So many appends, if only the poll of a second told of them, would take this long.
const POLLED: Duration = Duration::from_secs(5);
const APPENDS: u64 = 20;

/// Waits until all listeners listen.
async fn all_listen(pool: &PgPool, n: i64) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1
               AND datname = current_database() AND query LIKE 'LISTEN%' AND state = 'idle'";
    until("the nodes listen", || async {
        let found = sqlx::query_scalar(sql).bind(LISTENER).fetch_one(pool).await;
        found.is_ok_and(|found: i64| found == n)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn work_goes_on_when_the_server_was_away_for_ten_seconds() {
    let server = Arc::new(Server::start());
    let database = server.database();
    let (one, two) = (node(database.url()).await, node(database.url()).await);
    let before = fill(&*one, &stream(), 3).await;
    seen(&two, before.position).await;
    let away = Instant::now();
    let stopped = Arc::clone(&server);
    tokio::task::spawn_blocking(move || stopped.stop_immediate()).await.unwrap();

    // Asked at once, it may be told to ask again; asked later, it lives to see the server return.
    let asked = Instant::now();
    let (early, late_stream) = (one.append(append(&stream(), None, &[1])), stream());
    let read = two.read_all(Position(0), 10);
    let (early, read) = tokio::join!(early, read);
    assert!(matches!(read, Err(LogError::Transient { .. })), "{read:?}");
    assert!(matches!(early, Err(LogError::Transient { .. })), "{early:?}");
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    assert!(matches!(two.now().await, Err(LogError::Transient { .. })), "the clock is not known");
    let late = tokio::spawn({
        let (log, append) = (Arc::clone(&one), append(&late_stream, None, &[2]));
        async move { log.append(append).await }
    });
    until("ten seconds are over", || async { away.elapsed() > Duration::from_secs(10) }).await;
    let back = Arc::clone(&server);
    tokio::task::spawn_blocking(move || back.restart()).await.unwrap();
    let late = late.await.unwrap().unwrap();
    println!("away for {:.1?}", away.elapsed());
    seen(&two, late.position).await;
    until("reads work again", || async { two.read_all(Position(0), 10).await.is_ok() }).await;
    until("the clock is known", || async { two.now().await.is_ok() }).await;
    all_listen(&admin(database.url()), 2).await;
    let took = told(&one, &two, APPENDS).await;
    assert!(took < POLLED, "notifications are heard again: {took:?}");
    Check::all(&super::world::read(&*two).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_head_moves_without_notifications_and_they_come_back() {
    let database = server().database();
    let proxy = Proxy::start(server().port()).await;
    let one = node(database.url()).await;
    let two = node(&proxy.url(database.url())).await;
    let pool = admin(database.url());
    all_listen(&pool, 2).await;
    let heard = told(&one, &two, APPENDS).await;
    assert!(heard < POLLED, "{heard:?}");

    proxy.refuse(Some(LISTENER));
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE application_name = $1 AND datname = current_database()";
    let ended: i64 = sqlx::query_scalar(end).bind(LISTENER).fetch_one(&pool).await.unwrap();
    assert_eq!(ended, 2);
    all_listen(&pool, 1).await;
    let polled = told(&one, &two, 3).await;
    println!("20 appends heard of in {heard:.1?}, 3 found by polling in {polled:.1?}");
    assert!(polled < Duration::from_secs(8), "{polled:?}");

    proxy.refuse(None);
    all_listen(&pool, 2).await;
    let heard = told(&one, &two, APPENDS).await;
    assert!(heard < POLLED, "{heard:?}");
    Check::all(&read(&*two).await);
}
