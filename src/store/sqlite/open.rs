//! Opens a log file: for writing, which makes it when it is not there, or for reading.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::watch;

use super::identity;
use super::index::Index;
use super::job::End;
use super::lock::WriteLock;
use super::log::{Parts, SqliteLog};
use super::readers::Readers;
use super::writer::{Setup, Writer, read_end};
use super::{OpenError, connection, migrations, scan};
use crate::metrics::Histogram;
use crate::private;
use crate::store::house::Deed;
use crate::store::time::LogTime;
use crate::store::{Clock, Position};

/// Opens `path` as its one writer, under its lock.
pub(super) fn writer(path: &Path, clock: Clock, lock: WriteLock) -> Result<SqliteLog, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::sqlite(path, &error);
    let mut connection = connection::open_writer(path).map_err(failed)?;
    migrations::check_writable(path, &connection)?;
    sound(path, &connection)?;
    private::mend_family(path);
    if !connection::make_durable(&connection).map_err(failed)? {
        let cause = "its file system cannot hold a write-ahead log (is it a network drive?)";
        return Err(OpenError::Other { path: path.to_owned(), cause: cause.to_owned() });
    }
    migrations::migrate(path, &mut connection)?;
    let deed = identity::load_or_create(path, &connection)?;
    let end = checked_end(path, &connection)?;
    let time = Arc::new(LogTime::new(clock, end.recorded_at));
    let commits = Arc::new(Histogram::of_sizes());
    let setup = Setup {
        path: path.to_owned(),
        connection,
        lock,
        time: Arc::clone(&time),
        end,
        commits: Arc::clone(&commits),
    };
    let (writer, watched) = Writer::start(setup).map_err(|error| OpenError::io(path, &error))?;
    Ok(assemble(path, &deed, time, Mode::Write(writer, watched, commits)))
}

/// Opens `path` for reading, whether or not an engine writes it.
pub(super) fn reader(path: &Path, clock: Clock) -> Result<SqliteLog, OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing { path: path.to_owned() });
    }
    let failed = |error: rusqlite::Error| OpenError::sqlite(path, &error);
    let connection = connection::open_reader(path).map_err(failed)?;
    migrations::check_readable(path, &connection)?;
    private::mend_family(path);
    let deed = identity::load(path, &connection)?;
    let end = read_end(&connection).map_err(failed)?;
    let time = Arc::new(LogTime::new(clock, end.recorded_at));
    let (head, watched) = watch::channel(Position(end.position));
    Ok(assemble(path, &deed, time, Mode::Read(head, watched)))
}

/// Up to this size SQLite's full check is made at every opening: some 15 ms. It compares each index
/// with its table, and so finds an index that hides an event.
const FULLY_CHECKED: u64 = 4 * 1024 * 1024;

/// Up to this size the quick one is made, of pages and rows alone: some 80 ms. A log of a million
/// events would take a second and more, at each start; it is checked by `log verify` only.
const QUICKLY_CHECKED: u64 = 64 * 1024 * 1024;

/// SQLite's own check of its file, as far as a start can wait for it.
fn sound(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let size = std::fs::metadata(path).map_or(0, |about| about.len());
    if size == 0 || size > QUICKLY_CHECKED {
        return Ok(());
    }
    let sql =
        if size <= FULLY_CHECKED { "PRAGMA integrity_check(1)" } else { "PRAGMA quick_check(1)" };
    let said: String = connection
        .query_row(sql, [], |row| row.get(0))
        .map_err(|error| OpenError::sqlite(path, &error))?;
    if said == "ok" {
        return Ok(());
    }
    Err(OpenError::Damaged { path: path.to_owned(), cause: said })
}

enum Mode {
    Write(Writer, watch::Receiver<Position>, Arc<Histogram>),
    Read(watch::Sender<Position>, watch::Receiver<Position>),
}

fn assemble(path: &Path, deed: &Deed, time: Arc<LogTime>, mode: Mode) -> SqliteLog {
    let (writer, seen, head, commits) = match mode {
        Mode::Write(writer, head, commits) => (Some(writer), None, head, commits),
        Mode::Read(seen, head) => (None, Some(seen), head, Arc::new(Histogram::of_sizes())),
    };
    let readers = Readers::new(path.to_owned());
    let index = match &writer {
        Some(_) => Index::filled(path, deed.identity, head.clone()),
        None => Index::of(path, deed.identity),
    };
    SqliteLog::new(Parts {
        path: path.to_owned(),
        identity: deed.identity,
        secret: deed.secret,
        time,
        commits,
        head,
        seen,
        readers,
        index,
        writer,
    })
}

/// The end of the log, unless events were cut off it: SQLite remembers the highest position that it
/// ever gave out, and using a position twice would mislead every cursor.
fn checked_end(path: &Path, connection: &Connection) -> Result<End, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::sqlite(path, &error);
    let end = read_end(connection).map_err(failed)?;
    let given_out = scan::given_out(connection).map_err(failed)?;
    if given_out.0 > end.position {
        let cause =
            format!("it ends at position {}, but had events up to {given_out}", end.position);
        return Err(OpenError::Damaged { path: path.to_owned(), cause });
    }
    Ok(end)
}
