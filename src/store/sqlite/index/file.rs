//! The index file: of which log it is, how far it goes, and under which numbers positions stand.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::store::LogIdentity;
use crate::store::sqlite::{connection, rows};

/// Raised when the file's form or its terms change: one of another form is made anew.
const FORM: i64 = 1;

const SCHEMA: &str = "
    DROP TABLE IF EXISTS reached;
    DROP TABLE IF EXISTS postings;
    CREATE TABLE reached (
        only_row    INTEGER PRIMARY KEY CHECK (only_row = 1),
        form        INTEGER NOT NULL,
        log_id      TEXT    NOT NULL,
        incarnation INTEGER NOT NULL,
        position    INTEGER NOT NULL,
        hash        BLOB
    ) STRICT;
    CREATE TABLE postings (
        term     INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (term, position)
    ) STRICT, WITHOUT ROWID;";

/// How far the index goes: every event up to `position` is in it. `hash` is that event's, and says
/// whether the log is still the one that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reached {
    pub position: u64,
    pub hash: Option<Vec<u8>>,
}

/// Opens the index of the log `identity` for writing. One that is missing, damaged, of another
/// form, or of another log than `log` holds, is made anew.
pub(super) fn open(
    path: &Path,
    identity: LogIdentity,
    log: &Connection,
) -> rusqlite::Result<Connection> {
    if let Ok(connection) = open_file(path) {
        let found = reached(&connection, identity);
        if let Ok(Some(reached)) = found
            && holds(log, &reached)?
        {
            return Ok(connection);
        }
        if make_anew(&connection, identity).is_ok() {
            return Ok(connection);
        }
    }
    for suffix in ["", "-wal", "-shm"] {
        // What cannot be removed makes the next statement fail.
        drop(fs::remove_file(connection::beside(path, suffix)));
    }
    let connection = open_file(path)?;
    make_anew(&connection, identity)?;
    Ok(connection)
}

fn make_anew(connection: &Connection, identity: LogIdentity) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute(
        "INSERT INTO reached VALUES (1, ?1, ?2, ?3, 0, NULL)",
        (FORM, rows::text(&identity.log_id), identity.incarnation),
    )?;
    transaction.commit()
}

/// What is lost with the power is filled in again: only checkpoints are synced.
fn open_file(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    connection::make_private(path);
    let connection = Connection::open_with_flags(path, flags)?;
    connection::prepare(&connection)?;
    let _: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8000;")?;
    Ok(connection)
}

/// None: the file is of another form, another log, or another incarnation of it.
pub(super) fn reached(
    index: &Connection,
    identity: LogIdentity,
) -> rusqlite::Result<Option<Reached>> {
    let sql = "SELECT position, hash FROM reached
               WHERE form = ?1 AND log_id = ?2 AND incarnation = ?3";
    let key = (FORM, rows::text(&identity.log_id), identity.incarnation);
    index
        .prepare_cached(sql)?
        .query_row(key, |row| Ok(Reached { position: rows::fetched(row, 0)?, hash: row.get(1)? }))
        .optional()
}

/// Whether the log still has the event that the index ends with: it may have been replaced by an
/// earlier copy of itself.
pub(super) fn holds(log: &Connection, reached: &Reached) -> rusqlite::Result<bool> {
    if reached.position == 0 {
        return Ok(true);
    }
    let sql = "SELECT hash FROM events WHERE position = ?1";
    let found: Option<Option<Vec<u8>>> = log
        .prepare_cached(sql)?
        .query_row([rows::stored(reached.position)], |row| row.get(0))
        .optional()?;
    Ok(found.is_some_and(|hash| hash == reached.hash))
}

/// Adds postings, which are in order, and with them every event up to `reached`.
pub(super) fn add(
    index: &Connection,
    postings: &[(i64, i64)],
    reached: &Reached,
) -> rusqlite::Result<()> {
    let transaction = index.unchecked_transaction()?;
    let sql = "INSERT INTO postings (term, position) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    let mut statement = transaction.prepare_cached(sql)?;
    for posting in postings {
        statement.execute(*posting)?;
    }
    drop(statement);
    transaction
        .prepare_cached("UPDATE reached SET position = ?1, hash = ?2")?
        .execute((rows::stored(reached.position), &reached.hash))?;
    transaction.commit()
}
