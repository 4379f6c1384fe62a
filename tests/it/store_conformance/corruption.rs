//! Damage is found and named, wherever it is.

use rusqlite::Connection;
use specline::store::verify::{Cause, Verification};
use specline::store::{Clock, EventLog, LogError, OpenError, Position, SqliteLog, StreamId};
use specline_aggregates::Digest;

use super::backend::{Backend, Sqlite, blob, fill, stream};

/// Two streams of five events each, one after the other; the second is returned.
async fn filled(backend: &Sqlite) -> StreamId {
    let log = backend.store();
    fill(&*log, &stream(), 5).await;
    let second = stream();
    fill(&*log, &second, 5).await;
    log.put_blob(blob(b"bytes")).await.unwrap();
    second
}

/// Does to the file what the log never would.
fn damage(backend: &Sqlite, sql: &str) {
    let connection = Connection::open(backend.path()).unwrap();
    connection
        .execute_batch(&format!(
            "DROP TRIGGER events_refuse_update; DROP TRIGGER events_refuse_delete; {sql}"
        ))
        .unwrap();
}

async fn verified(backend: &Sqlite) -> Verification {
    let log = SqliteLog::open_read_only(&backend.path()).unwrap();
    log.verify(Position(1), Position(u64::MAX), |_| {}).await.unwrap()
}

#[tokio::test]
async fn an_untouched_log_verifies() {
    let backend = Sqlite::new();
    filled(&backend).await;
    let log = backend.store();
    let mut progress = Vec::new();
    let whole = log.verify(Position(0), Position(u64::MAX), |at| progress.push(at)).await.unwrap();
    assert_eq!((whole.events, whole.checked_to, whole.first_difference), (10, Position(10), None));
    assert_eq!(progress, [Position(10)]);
    let part = log.verify(Position(4), Position(7), |_| {}).await.unwrap();
    assert_eq!((part.events, part.checked_to, part.first_difference), (4, Position(7), None));
    let empty = Sqlite::new();
    assert_eq!(empty.store().verify(Position(1), Position(9), |_| {}).await.unwrap().events, 0);
}

#[tokio::test]
async fn the_first_event_that_differs_is_named() {
    let mismatch = Cause::HashMismatch;
    let cases = [
        ("UPDATE events SET payload = '77' WHERE position = 7", 7, mismatch.clone()),
        ("UPDATE events SET metadata = '{}' WHERE position = 8", 8, mismatch.clone()),
        ("UPDATE events SET event_type = 'Other' WHERE position = 9", 9, mismatch.clone()),
        ("UPDATE events SET event_version = '2' WHERE position = 9", 9, mismatch.clone()),
        ("UPDATE events SET hash = zeroblob(32) WHERE position = 10", 10, mismatch),
        ("UPDATE events SET recorded_at = 1 WHERE position = 8", 8, Cause::TimeGoesBack),
        ("DELETE FROM events WHERE position = 7", 8, Cause::PositionGap { expected: Position(7) }),
        (
            "UPDATE events SET sequence = 60 WHERE position = 10",
            10,
            Cause::SequenceGap { expected: 5 },
        ),
        ("DELETE FROM events WHERE position > 8", 9, Cause::Truncated { last: Position(10) }),
    ];
    for (sql, position, cause) in cases {
        let backend = Sqlite::new();
        let second = filled(&backend).await;
        damage(&backend, sql);
        let found = verified(&backend).await.first_difference.expect(sql);
        assert_eq!((found.position, &found.cause), (Position(position), &cause), "{sql}");
        if !matches!(cause, Cause::Truncated { .. }) {
            assert_eq!(found.stream, second.to_string(), "{sql}");
        }
    }
}

#[tokio::test]
async fn a_rewritten_event_is_found_by_a_check_that_starts_behind_it() {
    let backend = Sqlite::new();
    filled(&backend).await;
    damage(&backend, "UPDATE events SET hash = zeroblob(32) WHERE position = 8");
    let log = backend.store();
    let found = log.verify(Position(9), Position(10), |_| {}).await.unwrap();
    let found = found.first_difference.unwrap();
    assert_eq!((found.position, found.cause), (Position(9), Cause::HashMismatch));
}

#[tokio::test]
async fn a_gap_in_a_stream_is_corrupt() {
    let backend = Sqlite::new();
    let second = filled(&backend).await;
    damage(&backend, "DELETE FROM events WHERE position = 8");
    let log = backend.store();
    let error = log.read_stream(&second, 0, 100).await.unwrap_err();
    let LogError::Corrupt { place, cause } = &error else { panic!("{error}") };
    assert_eq!(place, &format!("{second} sequence 3, position 9"));
    assert!(cause.contains("sequence 3 is missing"), "{cause}");
    let error = log.read_all(Position(0), 100).await.unwrap_err();
    let LogError::Corrupt { place, cause } = &error else { panic!("{error}") };
    assert_eq!(place, "position 8");
    assert!(cause.contains(&format!("{second} sequence 4, position 9")), "{cause}");
    let error = log.read_stream(&second, 3, 100).await.unwrap_err();
    assert!(error.to_string().contains("the event before it"), "{error}");
    assert_eq!(log.read_stream(&second, 4, 100).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_unreadable_row_is_corrupt_and_named() {
    let backend = Sqlite::new();
    let second = filled(&backend).await;
    damage(&backend, "UPDATE events SET payload = CAST(X'ff00ff' AS TEXT) WHERE position = 8");
    let log = backend.store();
    let error = log.read_stream(&second, 0, 100).await.unwrap_err();
    let LogError::Corrupt { place, .. } = &error else { panic!("{error}") };
    assert_eq!(place, &format!("{second} sequence 3, position 8"));
    let found = log.verify(Position(1), Position(10), |_| {}).await.unwrap();
    let found = found.first_difference.unwrap();
    assert_eq!((found.position, found.sequence), (Position(8), 3));
    assert!(matches!(found.cause, Cause::Unreadable { .. }), "{found}");
}

#[tokio::test]
async fn a_changed_blob_is_corrupt() {
    let backend = Sqlite::new();
    filled(&backend).await;
    damage(&backend, "UPDATE blobs SET bytes = X'00'");
    let error = backend.store().blob(&Digest::of(b"bytes")).await.unwrap_err();
    let LogError::Corrupt { place, .. } = &error else { panic!("{error}") };
    assert_eq!(place, &format!("blob {}", Digest::of(b"bytes")));
}

#[tokio::test]
async fn a_log_whose_end_was_cut_off_is_not_written_on() {
    let backend = Sqlite::new();
    filled(&backend).await;
    damage(&backend, "DELETE FROM events WHERE position > 8");
    let error = SqliteLog::open(&backend.path(), Clock::system()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("ends at position 8"), "{error}");
}
