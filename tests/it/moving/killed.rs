//! The real binary's copy is killed with SIGKILL at random moments; the same command goes on.

use std::path::Path;
use std::time::{Duration, Instant};

use super::filled::{equal_files, fill_file, table};
use crate::support::{Project, Random, Said, postgres, times, wait_until};

/// A project with a log of `n` events outside of its repository.
async fn with_log(n: u64) -> Project {
    let project = Project::new();
    fill_file(&project.path("old.db"), n).await;
    project.adopt(&project.path("old.db"));
    project
}

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

fn copy_args<'a>(from: &'a str, to: &'a str) -> Vec<&'a str> {
    vec!["log", "copy", "--from", from, "--to", to, "--json"]
}

/// Kills the copy `n` times, then lets it end. Says what the last one said, and how many events
/// lay there when each was killed.
fn killed_and_ended(project: &Project, to: &str, n: u32, seen: impl Fn() -> u64) -> Said {
    let from = url(&project.path("old.db"));
    let mut random = Random::new();
    // How long a whole copy takes here: the kills are spread over that time, as each goes on where
    // the one before it was.
    let begun = Instant::now();
    let dry = url(&project.path("dry.db"));
    project.ok(&copy_args(&from, &dry));
    let whole = u64::try_from(begun.elapsed().as_millis()).unwrap();
    let mut moments = Vec::new();
    for _ in 0..n {
        let delay = Duration::from_millis(random.below(2 * whole / u64::from(n)));
        let mut running = project.start(project.command(&copy_args(&from, to)));
        let end = Instant::now() + delay;
        wait_until("the moment", || Instant::now() >= end || running.has_ended());
        running.kill();
        moments.push((delay, seen()));
    }
    println!("a whole copy takes {whole} ms; killed after, events there: {moments:?}");
    project.specline(&copy_args(&from, to))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_killed_again_and_again_is_complete_in_the_end() {
    let project = with_log(u64::from(times(20_000, 200_000))).await;
    let new = project.path("new.db");
    let seen = || if new.exists() { count(&new) } else { 0 };
    let said = killed_and_ended(&project, &url(&new), times(4, 40), seen);
    // The last of the killed ones may have been done: then there is nothing left to copy into.
    if said.code() != 0 {
        assert!(said.stderr.contains("already holds a log"), "{said:?}");
    }
    equal_files(&project.path("old.db"), &new);
    let store = url(&new);
    project.ok(&["log", "verify", "--store", &store]);
    assert_eq!(table(&new, "log_identity", "log_id")[0][4], "whole".to_owned().into());
}

fn count(path: &Path) -> u64 {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_into_postgresql_that_is_killed_is_complete_in_the_end() {
    let project = with_log(u64::from(times(10_000, 100_000))).await;
    let database = postgres::server().database();
    let counted = || {
        let sql = "SELECT CASE WHEN to_regclass('events') IS NULL THEN 0 ELSE 1 END";
        if postgres::server().psql_at(database.url(), sql) == "0" {
            return 0;
        }
        let count = postgres::server().psql_at(database.url(), "SELECT count(*) FROM events");
        count.parse().unwrap()
    };
    let mut said = killed_and_ended(&project, database.url(), times(3, 20), counted);
    // The server notices within a moment that the killed one is gone, and gives its lock back.
    wait_until("the lock of the killed copy", || {
        let busy = said.code() == 75;
        if busy {
            let from = url(&project.path("old.db"));
            said = project.specline(&copy_args(&from, database.url()));
        }
        !busy
    });
    if said.code() != 0 {
        assert!(said.stderr.contains("already holds a log"), "{said:?}");
    }
    let back = project.path("back.db");
    let back_url = url(&back);
    project.ok(&["log", "verify", "--store", database.url()]);
    project.ok(&copy_args(database.url(), &back_url));
    equal_files(&project.path("old.db"), &back);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_stopped_with_ctrl_c_says_how_to_go_on() {
    let project = with_log(20_000).await;
    let (from, to) = (url(&project.path("old.db")), url(&project.path("new.db")));
    let running = project.start(project.command(&copy_args(&from, &to)));
    wait_until("the first batch", || {
        project.path("new.db").exists() && count(&project.path("new.db")) > 0
    });
    running.signal(rustix::process::Signal::INT);
    let said = running.wait();
    assert_eq!(said.code(), 130, "{said:?}");
    assert!(said.stderr.contains("the same command goes on"), "{said:?}");
    let said = project.ok(&copy_args(&from, &to));
    assert!(said.json()["copied"]["n_events_before"].as_u64().unwrap() > 0, "{said:?}");
    equal_files(&project.path("old.db"), &project.path("new.db"));
}
