//! Several nodes on one set of read models: whoever applies, the rows are those of a clean run.

#![expect(clippy::print_stdout, reason = "a seed is told")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use specline_aggregates::Policy;
use specline_projections::{Error, LogId, Place, ReadModels, StatementHook};

use crate::files::{Files, LOG, On, catch_up, dump};
use crate::paging::eventful;
use crate::walk::Draw;
use crate::world::World;

const WAIT: Duration = Duration::from_mins(1);

fn seed() -> u64 {
    let seed = std::env::var("SPECLINE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(3);
    println!("SPECLINE_SEED={seed}");
    seed
}

async fn reference(world: &World) -> Vec<(&'static str, String)> {
    let files = Files::new(On::Sqlite);
    let models = files.open(world.head()).await;
    catch_up(&models, world, 50).await;
    dump(&models).await
}

/// Stands still for up to 3 ms before every few statements.
fn pauses(seed: u64) -> StatementHook {
    let draw = Mutex::new(Draw::new(seed));
    Arc::new(move |_: &str| {
        let pause = {
            let mut draw = draw.lock().unwrap();
            if draw.below(4) == 0 { draw.below(3_000) } else { 0 }
        };
        if pause > 0 {
            std::thread::sleep(Duration::from_micros(pause));
        }
    })
}

/// Applies the log as an engine does: from where the read models stand, until they have it.
async fn project(models: &ReadModels, world: &World, size: usize) -> (u64, u64) {
    let (mut applied, mut contended) = (0, 0);
    loop {
        let after = models.resume_position().unwrap();
        let rest = world.after(after);
        if rest.is_empty() {
            return (applied, contended);
        }
        let page = &rest[..size.min(rest.len())];
        if models.apply(after, page).await.unwrap().contended {
            contended += 1;
            tokio::task::yield_now().await;
            models.refresh().await.unwrap();
        } else {
            applied += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_apply_at_once_give_the_rows_of_one() {
    let (seed, world) = (seed(), Arc::new(eventful()));
    let expected = reference(&world).await;
    let rounds = if std::env::var_os("SPECLINE_SOAK").is_some() { 40 } else { 4 };
    for round in 0..rounds {
        let files = Arc::new(Files::new(On::Postgres));
        let nodes = [3_usize, 8, 17].map(|size| {
            let (files, world) = (Arc::clone(&files), Arc::clone(&world));
            let hook = pauses(seed + round * 10 + size as u64);
            tokio::spawn(async move {
                // They make the tables at once, too.
                let place = files.place();
                let models = ReadModels::open_with(place, LOG, 0, Some(hook)).await.unwrap();
                project(&models, &world, size).await
            })
        });
        let mut contended = 0;
        for node in nodes {
            contended += node.await.unwrap().1;
        }
        let models = files.open(world.head()).await;
        assert_eq!(models.resume_position(), Some(world.head()));
        assert_eq!(dump(&models).await, expected, "round {round}");
        assert!(contended > 0, "they never met");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_on_one_node_and_pages_on_another() {
    let (seed, world, files) = (seed(), Arc::new(eventful()), Files::new(On::Postgres));
    let expected = reference(&world).await;
    let half = &world.log[..world.log.len() / 2];
    let rebuilder = ReadModels::open_with(files.place(), LOG, 0, Some(pauses(seed))).await.unwrap();
    rebuilder.apply(0, half).await.unwrap();
    let place = files.place().clone();
    let other = {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let models = ReadModels::open_with(&place, LOG, 0, Some(pauses(seed + 1))).await;
            project(&models.unwrap(), &world, 5).await
        })
    };
    for name in rebuilder.names().collect::<Vec<_>>() {
        rebuilder.begin_rebuild(name).await.unwrap();
        loop {
            let after = rebuilder.rebuild_position(name).unwrap();
            let rest = world.after(after);
            let page = &rest[..rest.len().min(100)];
            let caught_up = rebuilder.apply_rebuild(name, after, page).await.unwrap().caught_up;
            if caught_up {
                match rebuilder.swap(name).await {
                    Ok(()) => break,
                    Err(Error::Behind { .. }) => {}
                    Err(error) => panic!("{name}: {error:?}"),
                }
            }
        }
    }
    other.await.unwrap();
    rebuilder.refresh().await.unwrap();
    project(&rebuilder, &world, 100).await;
    assert_eq!(dump(&rebuilder).await, expected);
}

#[tokio::test]
async fn a_rebuild_that_another_node_takes_over_ends() {
    let (world, files) = (eventful(), Files::new(On::Postgres));
    let (first, second) = (files.open(0).await, files.open(0).await);
    catch_up(&first, &world, 100).await;
    first.begin_rebuild("tickets").await.unwrap();
    first.apply_rebuild("tickets", 0, &world.log[..50]).await.unwrap();
    second.begin_rebuild("tickets").await.unwrap();
    second.apply_rebuild("tickets", 0, &world.log[..20]).await.unwrap();
    let taken = |result: Result<(), Error>| matches!(result, Err(Error::RebuildTaken("tickets")));
    let next = first.apply_rebuild("tickets", 50, &world.log[50..]).await;
    assert!(taken(next.map(|_| ())));
    assert!(taken(first.swap("tickets").await));
    first.abandon_rebuild("tickets").await.unwrap();
    // The second goes on, also past the first's giving up.
    assert_eq!(second.rebuild_position("tickets").unwrap(), world.log[19].position);
    second.apply_rebuild("tickets", 0, &world.log).await.unwrap();
    second.swap("tickets").await.unwrap();
    assert_eq!(dump(&second).await, reference(&world).await);
}

/// A node that stands still inside a write, at the statement after `n` of them.
fn stands_still(n: u64) -> (StatementHook, std::sync::mpsc::Sender<()>, Arc<AtomicU64>) {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (wait, heard) = (Mutex::new(wait), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&heard);
    let hook: StatementHook = Arc::new(move |_: &str| {
        if counted.fetch_add(1, Ordering::SeqCst) == n {
            let _ = wait.lock().unwrap().recv();
        }
    });
    (hook, go, heard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_stands_still_holds_nobody_up_for_long() {
    let (world, files) = (eventful(), Files::new(On::Postgres));
    let healthy = files.open(0).await;
    let statements = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&statements);
    let count: StatementHook = Arc::new(move |_: &str| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    drop(ReadModels::open_with(files.place(), LOG, 0, Some(count)).await.unwrap());
    let n = statements.load(Ordering::SeqCst) + 5;
    let (hook, go, heard) = stands_still(n);
    let (log, place) = (world.log.clone(), files.place().clone());
    // In a thread and a runtime of its own: what stands still there must not stop this one's.
    let frozen = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let still = ReadModels::open_with(&place, LOG, 0, Some(hook)).await.unwrap();
            let failed = still.apply(0, &log[..40]).await;
            still.refresh().await.unwrap();
            (failed, still.resume_position(), dump(&still).await)
        })
    });
    wait_until(|| heard.load(Ordering::SeqCst) > n).await;

    // At once: another node is writing, and nothing was done.
    let begun = std::time::Instant::now();
    let applied = healthy.apply(0, &world.log[..40]).await.unwrap();
    assert!(applied.contended && applied.positions.values().all(|position| *position == 0));
    // The server ends the frozen node's write, and the others go on.
    while healthy.apply(0, &world.log[..40]).await.unwrap().contended {
        assert!(begun.elapsed() < WAIT, "it is still held up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    project(&healthy, &world, 100).await;

    // The frozen one wakes: its write has failed, and what it does next is right again.
    go.send(()).unwrap();
    let (failed, position, rows) = frozen.join().unwrap();
    assert!(matches!(failed, Err(Error::Database(_))), "{failed:?}");
    assert_eq!(position, Some(world.head()));
    assert_eq!(rows, reference(&world).await);
}

async fn wait_until(mut look: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + WAIT;
    while !look() {
        assert!(std::time::Instant::now() < end, "waited too long");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_later_form_is_left_alone() {
    let (world, files) = (eventful(), Files::new(On::Postgres));
    let models = files.open(0).await;
    let (first, rest) = world.log.split_at(60);
    models.apply(0, first).await.unwrap();
    let newer = "UPDATE read_model_cursors SET schema_version = 1000 WHERE model = 'tickets'";
    files.execute(newer).await;
    let before = dump(&models).await;
    let head = first.last().unwrap().position;
    let is_newer =
        |error: &Error| matches!(error, Error::Newer { model: "tickets", found: 1000, .. });
    assert!(is_newer(&models.apply(head, rest).await.unwrap_err()));
    assert!(is_newer(&models.refresh().await.unwrap_err()));
    assert!(is_newer(&models.begin_rebuild("tickets").await.unwrap_err()));
    let opened = ReadModels::open(files.place(), LOG, world.head()).await;
    assert!(is_newer(&opened.err().unwrap()));
    assert_eq!(dump(&models).await, before);
    // Another incarnation of the log changes nothing in that.
    let restored = LogId { incarnation: 2, ..LOG };
    let opened = ReadModels::open(files.place(), restored, world.head()).await;
    assert!(is_newer(&opened.err().unwrap()));
}

#[tokio::test]
async fn a_node_of_the_lost_timeline_is_refused() {
    let (world, files) = (eventful(), Files::new(On::Postgres));
    let stale = files.open(0).await;
    catch_up(&stale, &world, 100).await;
    let restored = LogId { incarnation: 2, ..LOG };
    let models = ReadModels::open(files.place(), restored, 0).await.unwrap();
    let refused = stale.apply(0, &world.log).await;
    assert!(matches!(refused, Err(Error::Elsewhere(_))), "{refused:?}");
    catch_up(&models, &world, 100).await;
    assert_eq!(dump(&models).await, reference(&world).await);
}

#[tokio::test]
async fn a_commit_wakes_the_other_node_and_nobody_else() {
    let (mut world, files) = (eventful(), Files::new(On::Postgres));
    let (first, second) = (files.open(0).await, files.open(0).await);
    let (mut of_first, mut of_second) = (first.moved(), second.moved());
    // The first call tells that something may have been missed before.
    of_first.next().await.unwrap();
    of_second.next().await.unwrap();
    catch_up(&first, &world, 1_000).await;
    tokio::time::timeout(WAIT, of_second.next()).await.unwrap().unwrap();
    assert_eq!(second.resume_position(), Some(0), "nothing was read yet");
    second.refresh().await.unwrap();
    assert_eq!(second.resume_position(), Some(world.head()));
    // Its own commits are no news to it: what it hears of is the second's.
    let head = world.head();
    world.draft(900, Policy::default());
    second.apply(head, world.after(head)).await.unwrap();
    tokio::time::timeout(WAIT, of_first.next()).await.unwrap().unwrap();
    first.refresh().await.unwrap();
    assert_eq!(first.resume_position(), Some(world.head()));
    let quiet = tokio::time::timeout(Duration::from_millis(200), of_first.next()).await;
    assert!(quiet.is_err(), "it was woken by nothing");
    // A page that changes nothing tells nobody.
    first.apply(head, world.after(head)).await.unwrap();
    let quiet = tokio::time::timeout(Duration::from_millis(200), of_second.next()).await;
    assert!(quiet.is_err(), "it was woken by nothing");
}

#[tokio::test]
async fn a_file_is_never_moved_by_others() {
    let files = Files::new(On::Sqlite);
    let models = files.open(0).await;
    models.refresh().await.unwrap();
    let heard = tokio::time::timeout(Duration::from_millis(50), models.moved().next()).await;
    assert!(heard.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_goes_away_and_comes_back() {
    let world = eventful();
    let server = crate::postgres::Server::start();
    let place = Place::Postgres(server.database().url().to_owned());
    let models = ReadModels::open(&place, LOG, 0).await.unwrap();
    let mut moved = models.moved();
    moved.next().await.unwrap();
    let (first, rest) = world.log.split_at(60);
    models.apply(0, first).await.unwrap();
    let head = first.last().unwrap().position;
    server.stop_immediate();
    let away = models.apply(head, rest).await;
    assert!(matches!(away, Err(Error::Database(_))), "{away:?}");
    server.restart();
    // What was missed meanwhile is told once there is a connection again.
    let end = std::time::Instant::now() + WAIT;
    while tokio::time::timeout(WAIT, moved.next()).await.unwrap().is_err() {
        assert!(std::time::Instant::now() < end, "it does not listen again");
    }
    // The last commits may be lost with the server: rows and cursor together.
    models.refresh().await.unwrap();
    project(&models, &world, 100).await;
    assert_eq!(dump(&models).await, reference(&world).await);
}
