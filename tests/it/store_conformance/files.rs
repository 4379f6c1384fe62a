//! The SQLite file: its lock, its readers, its refusals.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;
use specline::store::{Clock, EventLog, LogError, OpenError, Position, SideTables, SqliteLog};

use super::backend::{Backend, Sqlite, append, fill, stream, until};

#[tokio::test]
async fn a_log_is_the_same_when_opened_again() {
    let backend = Sqlite::new();
    let stream = stream();
    let log = backend.store();
    let appended = fill(&*log, &stream, 3).await;
    let (identity, secret) = (log.identity(), log.secret().await.unwrap());
    drop(log);
    let log = backend.store();
    assert_eq!((log.identity(), log.secret().await.unwrap()), (identity, secret));
    assert_eq!(*log.watch_head().borrow(), Position(3));
    let next = log.append(append(&stream, Some(appended.head), &[4])).await.unwrap();
    assert_eq!((next.position, next.head.version), (Position(4), 4));
}

#[tokio::test]
async fn a_second_writer_is_told_that_the_log_is_busy() {
    let backend = Sqlite::new();
    let log = backend.store();
    let error = SqliteLog::open(&backend.path(), Clock::system()).unwrap_err();
    assert!(matches!(error, OpenError::Busy { .. }), "{error}");
    assert!(error.to_string().contains("in use by another engine"), "{error}");
    let alias = backend.path().with_file_name("alias.db");
    std::os::unix::fs::symlink(backend.path(), &alias).unwrap();
    let error = SqliteLog::open(&alias, Clock::system()).unwrap_err();
    assert!(matches!(error, OpenError::Busy { .. }), "{error}");
    drop(log);
    SqliteLog::open(&backend.path(), Clock::system()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_follows_a_log_while_it_is_written() {
    let backend = Sqlite::new();
    let log = backend.store();
    let reader = SqliteLog::open_read_only(&backend.path()).unwrap();
    assert_eq!(reader.identity(), log.identity());
    let stream = stream();
    let writing = {
        let (log, stream) = (Arc::clone(&log), stream.clone());
        tokio::spawn(async move { fill(&*log, &stream, 200).await })
    };
    let seen = std::cell::Cell::new(Position(0));
    until("the reader has seen everything", || async {
        let page = reader.read_all(seen.get(), 10).await.unwrap();
        if let Some(last) = page.last() {
            seen.set(last.position);
        }
        seen.get() == Position(200)
    })
    .await;
    let last = writing.await.unwrap();
    assert_eq!(reader.stream_head(&stream).await.unwrap(), Some(last.head));
    assert_eq!(*reader.watch_head().borrow(), Position(200));
    let error = reader.append(append(&stream, Some(last.head), &[1])).await.unwrap_err();
    assert!(error.to_string().contains("open for reading only"), "{error}");
}

#[tokio::test]
async fn a_reader_needs_no_engine() {
    let backend = Sqlite::new();
    fill(&*backend.store(), &stream(), 3).await;
    assert!(!backend.path().with_extension("db-wal").exists(), "a closed log is one file");
    let reader = SqliteLog::open_read_only(&backend.path()).unwrap();
    assert_eq!(reader.read_all(Position(0), 10).await.unwrap().len(), 3);
    let writer = backend.store();
    fill(&*writer, &stream(), 2).await;
    assert_eq!(reader.read_all(Position(0), 10).await.unwrap().len(), 5);
    drop(writer);
    assert_eq!(reader.read_all(Position(0), 10).await.unwrap().len(), 5);
}

#[test]
fn a_missing_log_is_not_made_by_a_reader() {
    let backend = Sqlite::new();
    let error = SqliteLog::open_read_only(&backend.path()).unwrap_err();
    assert!(matches!(error, OpenError::Missing { .. }), "{error}");
    assert!(!backend.path().exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o555)).unwrap();
    // Permissions do not bind root; the kernel's own folders bind everyone.
    let writable = std::fs::File::create(folder.path().join("try")).is_ok();
    let refusing = if writable { PathBuf::from("/sys") } else { folder.path().to_owned() };
    for path in [refusing.join("log.db"), folder.path().join("absent").join("log.db")] {
        let error = SqliteLog::open(&path, Clock::system()).unwrap_err();
        assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
}

#[test]
fn other_files_are_refused_and_left_as_they_are() {
    let backend = Sqlite::new();
    std::fs::write(
        backend.path(),
        "a letter to my aunt, and long enough to have a header".repeat(9),
    )
    .unwrap();
    refused_unchanged(&backend);
    std::fs::remove_file(backend.path()).unwrap();
    Connection::open(backend.path()).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    refused_unchanged(&backend);
}

fn refused_unchanged(backend: &Sqlite) {
    let before = std::fs::read(backend.path()).unwrap();
    let writing = SqliteLog::open(&backend.path(), Clock::system()).unwrap_err();
    let reading = SqliteLog::open_read_only(&backend.path()).unwrap_err();
    for error in [writing, reading] {
        assert!(matches!(error, OpenError::NotALog { .. }), "{error:?}");
    }
    assert_eq!(std::fs::read(backend.path()).unwrap(), before);
}

#[test]
fn a_newer_schema_is_refused() {
    let backend = Sqlite::new();
    drop(backend.store());
    Connection::open(backend.path())
        .unwrap()
        .execute("INSERT INTO schema_migrations VALUES (999, 'future', '')", [])
        .unwrap();
    let writing = SqliteLog::open(&backend.path(), Clock::system()).unwrap_err();
    let reading = SqliteLog::open_read_only(&backend.path()).unwrap_err();
    for error in [writing, reading] {
        assert!(matches!(error, OpenError::Newer { found: 999, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn events_cannot_be_changed_or_deleted_by_sql() {
    let backend = Sqlite::new();
    fill(&*backend.store(), &stream(), 2).await;
    let sql = Connection::open(backend.path()).unwrap();
    for change in ["UPDATE events SET payload = '0'", "DELETE FROM events"] {
        let error = sql.execute(change, []).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}

#[tokio::test]
async fn a_writer_that_is_overtaken_by_plain_sql_recovers() {
    let backend = Sqlite::new();
    let log = backend.store();
    let stream = stream();
    let head = fill(&*log, &stream, 1).await.head;
    Connection::open(backend.path())
        .unwrap()
        .execute(
            "INSERT INTO events SELECT 2, aggregate_type, 'aaaaaaaa-0000-0000-0000-000000000000',
                 1, event_type, event_version, payload, metadata, recorded_at, hash FROM events",
            [],
        )
        .unwrap();
    let error = log.append(append(&stream, Some(head), &[1])).await.unwrap_err();
    assert!(matches!(error, LogError::Transient { .. }), "{error}");
    let appended = log.append(append(&stream, Some(head), &[1])).await.unwrap();
    assert_eq!(appended.position, Position(3));
}
