//! One event that was written while a clock was far ahead stops nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use specline::store::{AggregateStore, Clock, Commit, EventLog, SqliteLog};
use specline_aggregates::Timestamp;
use specline_aggregates::spec::{Event, Spec};

use super::log_world::World;

/// Two years, in microseconds.
const AHEAD: i64 = 2 * 365 * 24 * 3_600_000_000;

const MINUTE: i64 = 60_000_000;

fn ahead() -> Clock {
    Clock::new(|| Timestamp::from_micros(Clock::system().now().micros() + AHEAD))
}

/// Has the log's last event written two years ahead.
fn write_ahead(world: &World, spec: &str) {
    if !world.is_sqlite() {
        world.tamper(&format!("UPDATE log_head SET recorded_at = recorded_at + {AHEAD}"));
        return;
    }
    world.block_on(async {
        let log: Arc<dyn EventLog> = Arc::new(SqliteLog::open(&world.file(), ahead()).unwrap());
        let store = AggregateStore::<Spec>::new(log);
        let loaded = store.load(spec.parse().unwrap()).await.unwrap();
        let said = Event::CommentAdded { by: "ann".to_owned(), text: "from then".to_owned() };
        let mut commit = Commit::new(vec![said]);
        commit.metadata.insert("actor".to_owned(), "person:ann".to_owned());
        store.commit(loaded, commit).await.unwrap();
    });
}

fn world_ahead(world: &World) -> String {
    let key = world.admin("ops");
    let serving = world.serve();
    let spec = world.draft(&serving, &key);
    drop(serving.stop());
    write_ahead(world, &spec);
    key
}

#[tokio::test]
async fn time_goes_on_from_a_head_that_is_ahead() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let wall = Arc::new(AtomicI64::new(1_700_000_000_000_000));
    let clock = || {
        let wall = Arc::clone(&wall);
        Clock::new(move || Timestamp::from_micros(wall.load(Ordering::SeqCst)))
    };
    let log = SqliteLog::open(&path, clock()).unwrap();
    wall.fetch_add(AHEAD, Ordering::SeqCst);
    crate::store_conformance::backend::fill(&log, &crate::store_conformance::backend::stream(), 1)
        .await;
    let head = log.now().await.unwrap();
    wall.fetch_sub(AHEAD, Ordering::SeqCst);
    assert_eq!(log.now().await.unwrap(), head, "it does not go back");
    wall.fetch_add(MINUTE, Ordering::SeqCst);
    assert_eq!(log.now().await.unwrap().micros(), head.micros() + MINUTE);
    drop(log);
    let log = SqliteLog::open(&path, clock()).unwrap();
    let begun = log.now().await.unwrap();
    assert_eq!(begun, head, "after a restart it goes on from the last event");
    wall.fetch_add(MINUTE, Ordering::SeqCst);
    assert_eq!(log.now().await.unwrap().micros(), head.micros() + MINUTE);
    crate::store_conformance::backend::fill(&log, &crate::store_conformance::backend::stream(), 1)
        .await;
    let last = log.read_all(specline::store::Position(1), 1).await.unwrap().remove(0);
    assert_eq!(last.recorded_at.micros(), head.micros() + MINUTE);
    wall.fetch_add(2 * AHEAD, Ordering::SeqCst);
    assert!(log.now().await.unwrap().micros() >= wall.load(Ordering::SeqCst), "at least the wall");
}

#[test]
fn retries_are_not_held_up_by_an_event_from_the_future() {
    for world in World::both() {
        world_ahead(&world);
        world.project.agent.on("explore", "if [ \"$attempt\" = 1 ]; then exit 1; fi\n");
        let said = world.project.run(&[]);
        assert_eq!(said.code(), 0, "{said:?}");
        assert!(world.project.agent.calls().contains(&"explore 2".to_owned()));
        assert!(said.stderr.contains("ahead of this machine's clock"), "{said:?}");
        world.is_clean();
    }
}

#[test]
fn keys_expire_by_the_wall_clock_in_the_list_as_in_the_check() {
    for world in World::both() {
        let key = world_ahead(&world);
        let made = world.project.ok(&["keys", "create", "short", "--expires", "90d"]);
        let short = made.stdout.lines().find(|line| line.starts_with("sl_")).unwrap();
        let serving = world.serve();
        let (status, body) = world.get(&serving, "/specs", short);
        assert_eq!(status, 200, "{body}");
        let (status, body) = world.get(&serving, "/specs", &key);
        assert_eq!(status, 200, "{body}");
        drop(serving.stop());
        let listed = world.project.ok(&["keys", "list"]);
        assert!(listed.stdout.contains("short"), "{listed:?}");
    }
}

/// A database whose clock jumped ahead, wrote, and was set right again.
#[test]
fn a_database_clock_that_was_set_right_goes_on() {
    let world = World::postgres();
    world_ahead(&world);
    // As if that event had been written by that clock.
    world.tamper(&format!("UPDATE log_head SET clock_at = clock_at + {AHEAD}"));
    world.project.agent.on("explore", "if [ \"$attempt\" = 1 ]; then exit 1; fi\n");
    let said = world.project.run(&[]);
    assert_eq!(said.code(), 0, "{said:?}");
}
