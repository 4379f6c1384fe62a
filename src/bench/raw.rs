//! The reference: the shortest program that writes the same rows to the same kind of table on the
//! same disk, with no hashes, no checks, no threads, and nobody to answer.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use super::measure::rate;

/// Longest that one measurement takes.
const TIME: Duration = Duration::from_millis(1_500);

/// Rows that one stream gets, as many as a spec has events.
const ROWS_A_STREAM: u64 = 11;

/// Mean bytes of a row's texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Width {
    pub payload: usize,
    pub metadata: usize,
}

/// The mean width of the events in the log at `path`.
pub(super) fn width_of(path: &Path) -> rusqlite::Result<Width> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sql = "SELECT CAST(avg(length(payload)) AS INTEGER), \
                      CAST(avg(length(metadata)) AS INTEGER) FROM events";
    connection.query_row(sql, [], |row| Ok(Width { payload: row.get(0)?, metadata: row.get(1)? }))
}

pub(super) struct Written {
    pub rows_per_s: f64,
    /// Time of each commit.
    pub commits: Vec<Duration>,
}

/// Writes rows of `width`, `batch` a commit, to `streams` streams in turn, for a while.
pub(super) fn write(
    path: &Path,
    width: Width,
    (batch, streams): (u64, u64),
) -> rusqlite::Result<Written> {
    let connection = open(path)?;
    let mut insert = connection.prepare(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version,
             payload, metadata, recorded_at, hash)
         VALUES ('Spec', ?1, ?2, 'StepRecorded', '1', ?3, ?4, 0, zeroblob(32))",
    )?;
    let (payload, metadata) = ("x".repeat(width.payload), "x".repeat(width.metadata));
    let mut ids: Vec<String> = Vec::new();
    let mut commits = Vec::new();
    let (mut rows, begun) = (0, Instant::now());
    while begun.elapsed() < TIME {
        let commit_begun = Instant::now();
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for _ in 0..batch {
            let (row, stream) = (rows / streams, usize::try_from(rows % streams).unwrap_or(0));
            if row % ROWS_A_STREAM == 0 {
                let id = Uuid::now_v7().to_string();
                match ids.get_mut(stream) {
                    Some(old) => *old = id,
                    None => ids.push(id),
                }
            }
            insert.execute((&ids[stream], row % ROWS_A_STREAM + 1, &payload, &metadata))?;
            rows += 1;
        }
        connection.execute_batch("COMMIT")?;
        commits.push(commit_begun.elapsed());
    }
    Ok(Written { rows_per_s: rate(rows, begun.elapsed()), commits })
}

/// The log's own settings and table.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.query_row("PRAGMA wal_autocheckpoint = 4000", [], |_| Ok(()))?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA cache_size = -16000;
         CREATE TABLE events (
             position       INTEGER PRIMARY KEY AUTOINCREMENT,
             aggregate_type TEXT    NOT NULL,
             aggregate_id   TEXT    NOT NULL,
             sequence       INTEGER NOT NULL,
             event_type     TEXT    NOT NULL,
             event_version  TEXT    NOT NULL,
             payload        TEXT    NOT NULL,
             metadata       TEXT    NOT NULL,
             recorded_at    INTEGER NOT NULL,
             hash           BLOB    NOT NULL,
             UNIQUE (aggregate_type, aggregate_id, sequence)
         ) STRICT;",
    )?;
    Ok(connection)
}
