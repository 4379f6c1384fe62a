//! A copy is its source, in every byte, whichever stores the two are in.

use std::path::Path;

use specline::store::house::{Copied, CopySource, CopyTarget, Stage, copy};
use specline::store::postgres::{PgHouse, Settings};
use specline::store::sqlite::SqliteHouse;
use specline::store::{Append, Appended, EventLog, PgLog};

use super::filled::{content, equal_files, fill, fill_file, incarnation, keyed, opened, stream};
use crate::support::postgres;

async fn copied(source: &dyn CopySource, target: &dyn CopyTarget) -> Copied {
    copy(source, target, &mut |_| {}).await.unwrap()
}

async fn repeat_is_answered(log: &dyn EventLog, append: &Append, first: &Appended) {
    let again = log.append(append.clone()).await.unwrap();
    assert_eq!(again, Appended { repeated: true, ..first.clone() });
    let other = specline::store::Key {
        request: specline_aggregates::Digest::of(b"?"),
        ..append.key.clone().unwrap()
    };
    let refused = log.append(Append { key: Some(other), ..append.clone() }).await.unwrap_err();
    assert!(matches!(refused, specline::store::LogError::KeyReused { .. }), "{refused}");
    let head = *log.watch_head().borrow();
    let next = log.append(keyed(&stream(), 1_000_000, 2)).await.unwrap();
    assert_eq!(next.position.0, head.0 + 2, "and the log goes on where it ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_from_file_to_file_is_equal() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    let (append, first) = fill_file(&old, 7_000).await;
    let source = SqliteHouse::open(&old).unwrap();
    let target = SqliteHouse::open_or_create(&new).unwrap();
    let mut stages = Vec::new();
    let result = copy(&source, &target, &mut |progress| stages.push(progress)).await.unwrap();
    assert_eq!((result.n_events, result.n_events_before, result.n_keys), (7_003, 0, 71));
    let done = |stage| stages.iter().filter(|p| p.stage == stage).map(|p| p.done).max();
    assert_eq!((done(Stage::Events), done(Stage::VerifyTarget)), (Some(7_003), Some(7_003)));
    drop((source, target));
    equal_files(&old, &new);
    assert_eq!((incarnation(&old), incarnation(&new)), (1, 2));
    let log = opened(&new);
    repeat_is_answered(&log, &append, &first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_from_a_file_to_postgresql_and_back_is_equal() {
    let folder = tempfile::tempdir().unwrap();
    let (old, back) = (folder.path().join("old.db"), folder.path().join("back.db"));
    let database = postgres::server().database();
    let (append, first) = fill_file(&old, 7_000).await;
    to_postgres(&old, database.url()).await;
    let source = PgHouse::open(database.url()).await.unwrap();
    let target = SqliteHouse::open_or_create(&back).unwrap();
    assert_eq!(copied(&source, &target).await.n_events, 7_003);
    drop((source, target));
    equal_files(&old, &back);
    assert_eq!(incarnation(&back), 3);
    let log = PgLog::open(Settings::new(database.url())).await.unwrap();
    let verified = log
        .verify(specline::store::Position(1), specline::store::Position(u64::MAX), |_| {})
        .await
        .unwrap();
    assert_eq!((verified.events, verified.first_difference), (7_003, None));
    repeat_is_answered(&log, &append, &first).await;
}

async fn to_postgres(old: &Path, url: &str) {
    let source = SqliteHouse::open(old).unwrap();
    let target = PgHouse::open_or_create(url).await.unwrap();
    let refused = PgLog::open(Settings::new(url)).await;
    assert!(refused.is_ok(), "an empty place is nobody's yet");
    drop(refused);
    assert_eq!(copied(&source, &target).await.identity.incarnation, 2);
    let (one, two) = (content(&source).await, content(&target).await);
    super::filled::same(&one.events, &two.events, "events");
    super::filled::same(&one.rows, &two.rows, "rows");
    assert_eq!(one.secret, two.secret);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_from_postgresql_to_postgresql_is_equal() {
    let (from, to) = (postgres::server().database(), postgres::server().database());
    let log = PgLog::open(Settings::new(from.url())).await.unwrap();
    let (append, first) = fill(&log, 500).await;
    drop(log);
    let source = PgHouse::open(from.url()).await.unwrap();
    let target = PgHouse::open_or_create(to.url()).await.unwrap();
    copied(&source, &target).await;
    assert_eq!(content(&source).await, content(&target).await);
    drop((source, target));
    let log = PgLog::open(Settings::new(to.url())).await.unwrap();
    repeat_is_answered(&log, &append, &first).await;
}
