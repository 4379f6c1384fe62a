//! Connections that are lost in mid-append: what became of the batch is found out, and never
//! guessed. The server lives on here, so every append gets its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use specline::store::{Append, EventLog, LogError, PgLog, Position};
use sqlx::PgPool;
use tokio::task::JoinSet;

use super::proxy::{Lost, Proxy, WRITER};
use super::world::{Scribe, account, admin, node, read};
use crate::store_conformance::backend::{append, fill, key, stream, until};
use crate::support::postgres::{Server, server, signal};
use crate::support::{Random, times};

/// Ends the connection of one node's writer, from the server's side.
const TERMINATE: &str = "SELECT count(pg_terminate_backend(pid)) FROM (
        SELECT pid FROM pg_stat_activity
        WHERE application_name = 'specline-writer' AND datname = current_database()
        ORDER BY random() LIMIT 1) w";

/// Scribes on `nodes`, which write until `stop`.
fn scribes(nodes: &[Arc<PgLog>], seed: u64, stop: &Arc<AtomicBool>) -> JoinSet<Scribe> {
    let mut tasks = JoinSet::new();
    for number in 0..8 {
        let log = Arc::clone(&nodes[number % nodes.len()]);
        let mut scribe = Scribe::new(log, number as u64, seed);
        let stop = Arc::clone(stop);
        tasks.spawn(async move {
            while !stop.load(Ordering::Acquire) {
                scribe.write().await;
            }
            scribe
        });
    }
    tasks
}

/// Random pauses are what this test is about: they spread the losses over an append's life.
async fn pause(random: &mut Random, below_us: u64) {
    tokio::time::sleep(Duration::from_micros(random.below(below_us))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_writer_resolves_its_batch() {
    let database = server().database();
    let mut random = Random::new();
    let nodes = [node(database.url()).await, node(database.url()).await];
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = scribes(&nodes, random.below(1 << 60), &stop);
    let pool = admin(database.url());
    let mut ended = 0;
    for _ in 0..times(200, 5_000) {
        until("a writer is connected", || async { !writers(&pool).await.is_empty() }).await;
        pause(&mut random, 40_000).await;
        ended += sqlx::query_scalar::<_, i64>(TERMINATE).fetch_one(&pool).await.unwrap();
    }
    stop.store(true, Ordering::Release);
    finish(database.url(), tasks, &format!("{ended} connections terminated")).await;
    assert!(ended > 100, "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_whose_answer_is_lost_resolves_its_batch() {
    let database = server().database();
    let mut random = Random::new();
    let proxies = [Proxy::start(server().port()).await, Proxy::start(server().port()).await];
    let mut nodes = Vec::new();
    for proxy in &proxies {
        nodes.push(node(&proxy.url(database.url())).await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = scribes(&nodes, random.below(1 << 60), &stop);
    for round in 0..times(300, 5_000) {
        let proxy = &proxies[(round % 2) as usize];
        // Mostly answers: then the batch was committed.
        let lost = if random.below(4) == 0 { Lost::Request } else { Lost::Answer };
        proxy.cut(WRITER, lost, random.below(6));
        until("the wire is cut", || async { !proxy.is_armed() }).await;
    }
    stop.store(true, Ordering::Release);
    let cuts = proxies.iter().map(Proxy::n_cuts).sum::<u64>();
    finish(database.url(), tasks, &format!("{cuts} connections cut")).await;
}

/// Every append had an answer, and the log has what was answered.
async fn finish(url: &str, tasks: JoinSet<Scribe>, what: &str) {
    let scribes = tasks.join_all().await;
    let told: usize = scribes.iter().map(Scribe::n_told).sum();
    println!("{what}, {told} appends answered");
    for scribe in &scribes {
        assert_eq!(scribe.n_unknown(), 0, "the server was there: every append has an answer");
    }
    account(url, &scribes).await;
}

/// One batch, whose answer is lost, with everything in it that is hard to tell apart afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_append_of_a_lost_batch_gets_its_own_answer() {
    let database = server().database();
    let proxy = Proxy::start(server().port()).await;
    let log = node(&proxy.url(database.url())).await;
    let pool = admin(database.url());
    for round in 0..times(20, 200) {
        let (keyed, stale, plain, noted) = (stream(), stream(), stream(), stream());
        let stale_head = fill(&*log, &stale, 1).await.head;
        let right_head = fill(&*log, &stale, 1).await.head;
        let noted = append(&noted, Some(fill(&*log, &noted, 1).await.head), &[]);
        // The writer waits for this lock with the first append; the others make one batch.
        let mut lock = pool.begin().await.unwrap();
        sqlx::query("SELECT FROM log_head FOR UPDATE").execute(&mut *lock).await.unwrap();
        let first = send(&log, append(&stream(), None, &[1]));
        until("the writer waits", || waits(&pool)).await;
        let with = |append: Append, name: &str| Append { key: Some(key(name, "same")), ..append };
        let release = async {
            // The others wait in the queue by now; the writer's first answer gets through.
            proxy.cut(WRITER, Lost::Answer, 1);
            lock.rollback().await.unwrap();
        };
        let told = tokio::join!(
            log.append(with(append(&keyed, None, &[2]), "twice")),
            log.append(with(append(&keyed, None, &[2]), "twice")),
            log.append(with(append(&stale, Some(stale_head), &[3]), "stale")),
            log.append(with(append(&stale, Some(right_head), &[3]), "stale")),
            log.append(append(&plain, None, &[4])),
            log.append(append(&plain, None, &[4])),
            log.append(with(noted, "only a key")),
            release,
        );
        first.await.unwrap().unwrap();
        let told = [told.0, told.1, told.2, told.3, told.4, told.5, told.6];
        assert!(!proxy.is_armed(), "the batch's answer was lost");
        assert_eq!(log.stream_head(&plain).await.unwrap().unwrap().version, 1);
        assert_eq!(log.stream_head(&keyed).await.unwrap().unwrap().version, 1);
        let [one, two] = [told[0].as_ref().unwrap(), told[1].as_ref().unwrap()];
        assert_eq!((one.position, one.head), (two.position, two.head), "round {round}");
        assert!(told[4].is_ok() && matches!(told[5], Err(LogError::Conflict { actual: 1, .. })));
        assert!(told[6].is_ok(), "round {round}: {told:?}");
        let right = told[3].as_ref().unwrap();
        let at = log.stream_head(&stale).await.unwrap().unwrap();
        assert_eq!(right.head, at, "the append under the key that fitted is the one written");
        assert_eq!(at.version, right_head.version + 1);
        if let Ok(wrong) = &told[2] {
            assert_eq!((wrong.position, wrong.head), (right.position, right.head));
        }
    }
    super::world::Check::all(&read(&*log).await);
}

type Sent = tokio::task::JoinHandle<Result<specline::store::Appended, LogError>>;

fn send(log: &Arc<PgLog>, append: Append) -> Sent {
    let log = Arc::clone(log);
    tokio::spawn(async move { log.append(append).await })
}

/// Whether a writer waits for a lock.
async fn waits(pool: &PgPool) -> bool {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'specline-writer'
               AND datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await.unwrap() > 0
}

/// The backends of writers, in the order in which they came.
async fn writers(pool: &PgPool) -> Vec<u32> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'specline-writer'
               AND datname = current_database() ORDER BY backend_start";
    let pids: Vec<i32> = sqlx::query_scalar(sql).fetch_all(pool).await.unwrap();
    pids.into_iter().map(|pid| u32::try_from(pid).unwrap()).collect()
}

/// A batch that still waits for the lock when its writer has lost the connection is carried out
/// once, though it is sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_waits_without_its_writer_is_carried_out_once() {
    let database = server().database();
    let proxy = Proxy::start(server().port()).await;
    let log = node(&proxy.url(database.url())).await;
    let pool = admin(database.url());
    let (one, two) = (stream(), stream());
    let mut ends = (None, None);
    for round in 0..u64::from(times(30, 300)) {
        let mut lock = pool.begin().await.unwrap();
        sqlx::query("SELECT FROM log_head FOR UPDATE").execute(&mut *lock).await.unwrap();
        let append_one = send(&log, append(&one, ends.0, &[round]));
        until("the writer waits", || waits(&pool)).await;
        proxy.hang_up();
        until("the writer waits again", || async { writers(&pool).await.len() > 1 }).await;
        lock.rollback().await.unwrap();
        ends.0 = Some(append_one.await.unwrap().unwrap().head);
        ends.1 = Some(log.append(append(&two, ends.1, &[round])).await.unwrap().head);
        until("the first backend is gone", || async { writers(&pool).await.len() == 1 }).await;
        assert_eq!(log.stream_head(&one).await.unwrap(), ends.0);
    }
    let events = read(&*log).await;
    assert_eq!(events.len() as u64, 2 * u64::from(times(30, 300)));
    super::world::Check::all(&events);
}

/// A backend that is frozen with a batch is given up for another, which carries it out; what the
/// first does with it later is void.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_a_frozen_backend_holds_is_carried_out_once_by_another() {
    let server = Server::start();
    let database = server.database();
    let proxy = Proxy::start(server.port()).await;
    proxy.vanish();
    let log = node(&proxy.url(database.url())).await;
    let pool = admin(database.url());
    fill(&*log, &stream(), 1).await;
    let frozen = writers(&pool).await;
    signal(frozen[0], "STOP");
    let stream = stream();
    let first = log.append(append(&stream, None, &[7])).await.unwrap();
    let second = log.append(append(&stream, Some(first.head), &[8])).await.unwrap();
    signal(frozen[0], "CONT");
    has_done_its_work(&pool, frozen[0]).await;
    assert_eq!(log.stream_head(&stream).await.unwrap(), Some(second.head));
    assert_eq!(log.read_all(Position(0), 10).await.unwrap().len(), 3);
}

async fn has_done_its_work(pool: &PgPool, backend: u32) {
    let idle = || async {
        let sql = "SELECT state = 'idle' AND query LIKE '%specline_append%'
                   AND state_change > now() - interval '8 s' FROM pg_stat_activity WHERE pid = $1";
        let pid = i32::try_from(backend).unwrap();
        sqlx::query_scalar::<_, bool>(sql).bind(pid).fetch_one(pool).await.unwrap()
    };
    until("the frozen backend has done its work", idle).await;
}

/// A batch that its writer has given up, and that a frozen backend still holds, is void once the
/// writer has gone on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_was_given_up_is_not_applied_behind_later_ones() {
    let server = Server::start();
    let database = server.database();
    let proxy = Proxy::start(server.port()).await;
    proxy.vanish();
    let log = node(&proxy.url(database.url())).await;
    let pool = admin(database.url());
    let before = fill(&*log, &stream(), 1).await;
    let frozen = writers(&pool).await;
    assert_eq!(frozen.len(), 1);
    signal(frozen[0], "STOP");
    let given_up = stream();
    proxy.refuse(Some(WRITER));
    let told = log.append(append(&given_up, None, &[7])).await;
    assert!(matches!(told, Err(LogError::Transient { .. })), "{told:?}");
    proxy.refuse(None);
    let later = log.append(append(&stream(), None, &[8])).await.unwrap();
    assert_eq!(later.position.0, before.position.0 + 1);
    signal(frozen[0], "CONT");
    has_done_its_work(&pool, frozen[0]).await;
    assert_eq!(log.stream_head(&given_up).await.unwrap(), None);
    assert_eq!(log.read_all(later.position, 10).await.unwrap(), []);
    assert_eq!(log.read_all(Position(0), 10).await.unwrap().len(), 2);
}
