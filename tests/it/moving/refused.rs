//! What must not be copied into, from, or started on, is refused, and stays as it is.

use std::path::Path;

use specline::store::house::{CopyError, CopyTarget, Deed, copy};
use specline::store::postgres::{OpenError as PgOpenError, PgHouse, Settings};
use specline::store::sqlite::SqliteHouse;
use specline::store::verify::Cause;
use specline::store::{
    Clock, EventLog, LogIdentity, Node, OpenError, PgLog, Position, SideTables, SqliteLog,
};
use uuid::Uuid;

use super::filled::{fill, fill_file, opened, set_state, table};
use crate::support::{Project, postgres};

async fn copied(from: &Path, to: &Path) -> Result<u64, CopyError> {
    let source = SqliteHouse::open(from).unwrap();
    let target = SqliteHouse::open_or_create(to).unwrap();
    copy(&source, &target, &mut |_| {}).await.map(|copied| copied.n_events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_holds_a_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    fill_file(&old, 100).await;
    fill_file(&new, 100).await;
    let before = table(&new, "events", "position");
    let error = copied(&old, &new).await.unwrap_err();
    assert!(matches!(error, CopyError::Occupied { .. }), "{error}");
    assert_eq!(table(&new, "events", "position"), before);
    // A finished copy is a log like any other, and is not written over by a second.
    let third = folder.path().join("third.db");
    copied(&old, &third).await.unwrap();
    let error = copied(&old, &third).await.unwrap_err();
    assert!(matches!(error, CopyError::Occupied { .. }), "{error}");
    // An engine that started on an empty place left nothing but a name.
    let fourth = folder.path().join("fourth.db");
    drop(opened(&fourth));
    assert_eq!(copied(&old, &fourth).await.unwrap(), 103);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfinished_copy_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    fill_file(&old, 100).await;
    let target = SqliteHouse::open_or_create(&new).unwrap();
    let identity = LogIdentity { log_id: Uuid::now_v7(), incarnation: 2 };
    target.begin(&Deed { identity, secret: [0; 32] }).await.unwrap();
    drop(target);
    let error = copied(&old, &new).await.unwrap_err();
    assert!(matches!(error, CopyError::OtherCopy { .. }), "{error}");
    // And it is no source either.
    let error = copied(&new, &folder.path().join("third.db")).await.unwrap_err();
    assert!(matches!(error, CopyError::UnfinishedSource { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_engine_writes_an_unfinished_copy() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    fill_file(&old, 100).await;
    copied(&old, &new).await.unwrap();
    let project = Project::new();
    project.adopt(&new);
    set_state(&new, "copying");
    let error = SqliteLog::open(&new, Clock::system()).unwrap_err();
    assert!(matches!(error, OpenError::Unfinished { .. }), "{error:?}");
    let store = format!("sqlite:{}", new.display());
    let said = project.specline(&["run", "Something", "--store", &store]);
    assert_eq!(said.code(), 78, "{said:?}");
    assert!(said.stderr.contains("is not finished; run `specline log copy` again"), "{said:?}");
    // The copy itself goes on, finds nothing left to do, and verifies.
    assert_eq!(copied(&old, &new).await.unwrap(), 103);
    drop(opened(&new));

    let database = postgres::server().database();
    let source = SqliteHouse::open(&old).unwrap();
    let target = PgHouse::open_or_create(database.url()).await.unwrap();
    copy(&source, &target, &mut |_| {}).await.unwrap();
    drop(target);
    postgres::server().psql_at(database.url(), "UPDATE log_identity SET state = 'copying'");
    let error = PgLog::open(Settings::new(database.url())).await.unwrap_err();
    assert!(matches!(error, PgOpenError::Copying { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_whose_events_are_not_the_sources_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    fill_file(&old, 100).await;
    let unfinished_with = |sql: &str| {
        let sql = format!(
            "DROP TRIGGER IF EXISTS events_refuse_update; \
             DROP TRIGGER IF EXISTS events_refuse_delete; \
             UPDATE log_identity SET state = 'copying'; {sql}"
        );
        rusqlite::Connection::open(&new).unwrap().execute_batch(&sql).unwrap();
    };
    copied(&old, &new).await.unwrap();
    unfinished_with("UPDATE events SET recorded_at = recorded_at + 1 WHERE position = 103");
    let error = copied(&old, &new).await.unwrap_err();
    assert!(matches!(error, CopyError::Diverged { position: Position(103), .. }), "{error}");
    unfinished_with(
        "UPDATE events SET recorded_at = recorded_at - 1 WHERE position = 103;
         UPDATE events SET recorded_at = recorded_at - 1 WHERE position = 1",
    );
    let error = copied(&old, &new).await.unwrap_err();
    assert!(matches!(error, CopyError::Unequal { .. }), "{error}");
    unfinished_with("UPDATE events SET payload = '{}' WHERE position = 50");
    let error = copied(&old, &new).await.unwrap_err();
    let CopyError::Damaged { difference, .. } = &error else { panic!("{error}") };
    assert_eq!((difference.position, &difference.cause), (Position(50), &Cause::HashMismatch));
    unfinished_with("UPDATE idempotency_keys SET answer = 'no'");
    let other = folder.path().join("other.db");
    copied(&old, &other).await.unwrap();
    set_state(&other, "copying");
    let sql = "UPDATE idempotency_keys SET answer = 'no'";
    rusqlite::Connection::open(&other).unwrap().execute_batch(sql).unwrap();
    let error = copied(&old, &other).await.unwrap_err();
    assert!(error.to_string().contains("idempotency keys"), "{error}");
    let error = SqliteLog::open(&other, Clock::system()).unwrap_err();
    assert!(matches!(error, OpenError::Unfinished { .. }), "it stays marked: {error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_source_is_named_and_its_copy_stays_unfinished() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    fill_file(&old, 100).await;
    let sql = "UPDATE blobs SET bytes = X'00' WHERE digest = (SELECT min(digest) FROM blobs)";
    rusqlite::Connection::open(&old).unwrap().execute_batch(sql).unwrap();
    let error = copied(&old, &new).await.unwrap_err();
    assert!(error.to_string().contains("blob"), "{error}");
    assert!(SqliteLog::open(&new, Clock::system()).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_an_engine_holds_is_not_copied() {
    let project = Project::new();
    let (old, new) = (project.path("old.db"), project.path("new.db"));
    let url = |path: &Path| format!("sqlite:{}", path.display());
    fill_file(&old, 100).await;
    project.adopt(&old);
    let log = opened(&old);
    let said = project.specline(&["log", "copy", "--from", &url(&old), "--to", &url(&new)]);
    assert_eq!(said.code(), 75, "{said:?}");
    assert!(said.stderr.contains("stop it first"), "{said:?}");
    assert!(!new.exists(), "nothing was made");
    drop(log);
    let absent = url(&project.path("absent.db"));
    let said = project.specline(&["log", "copy", "--from", &absent, "--to", &url(&new)]);
    assert_eq!(said.code(), 78, "{said:?}");
    assert!(!project.path("absent.db").exists() && !new.exists(), "nothing was made");
    let said = project.specline(&["log", "copy", "--from", &url(&old), "--to", "ftp://x"]);
    assert_eq!(said.code(), 2, "{said:?}");
    let said = project.specline(&["log", "copy", "--from", &url(&old), "--to", &url(&old)]);
    assert_eq!(said.code(), 2, "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_postgresql_stands_still_while_it_is_copied() {
    let database = postgres::server().database();
    let log = PgLog::open(Settings::new(database.url())).await.unwrap();
    fill(&log, 100).await;
    let node = Node {
        id: Uuid::now_v7(),
        place: "here".to_owned(),
        api_url: "http://127.0.0.1:1".to_owned(),
        version: "1".to_owned(),
    };
    log.beat(&node, &[]).await.unwrap();
    let error = PgHouse::open(database.url()).await.err().unwrap();
    assert!(matches!(error, PgOpenError::Busy { .. }), "a node lives: {error}");
    let error = PgHouse::open_or_create(database.url()).await.err().unwrap();
    assert!(matches!(error, PgOpenError::Busy { .. }), "a node lives: {error}");
    postgres::server().psql_at(database.url(), "DELETE FROM nodes");
    let house = PgHouse::open(database.url()).await.unwrap();
    let error = PgHouse::open(database.url()).await.err().unwrap();
    assert!(matches!(error, PgOpenError::Busy { .. }), "another copy: {error}");
    let head = *log.watch_head().borrow();
    let mut late =
        std::pin::pin!(log.append(super::filled::keyed(&super::filled::stream(), 9_999, 1)));
    let refused = tokio::time::timeout(std::time::Duration::from_millis(300), &mut late).await;
    assert!(refused.is_err() || refused.unwrap().is_err(), "it waits for the copy, or is refused");
    drop(house);
    assert_eq!(late.await.unwrap().position, Position(head.0 + 1));
}
