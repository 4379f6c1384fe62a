//! Opens connections and sets what every one of them relies on.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// How long a connection waits for a lock that another program holds on the file (a shell, a
/// backup): longer than a checkpoint, shorter than a caller's patience.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements that stay prepared on each connection: more than there are in this module.
const CACHED_STATEMENTS: usize = 64;

/// The connection that writes. Nothing in the file is changed yet: it may be another program's.
///
/// A file that it makes is its owner's alone, and so are those that SQLite makes beside it.
pub(super) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    make_private(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    Ok(connection)
}

/// Makes commits durable when they return: WAL with synchronous=FULL syncs the WAL in each commit.
/// Says false when the file system cannot hold a WAL.
pub(super) fn make_durable(connection: &Connection) -> rusqlite::Result<bool> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA recursive_triggers = ON;
         PRAGMA cache_size = -16000;",
    )?;
    // A WAL of up to 16 MB: fewer, larger checkpoints, still well below the memory promised.
    connection.query_row("PRAGMA wal_autocheckpoint = 4000", [], |_| Ok(()))?;
    Ok(mode == "wal")
}

/// A connection that only reads.
///
/// It needs the `-wal` and `-shm` files, or a folder in which it may make them. Where it may not,
/// and there is no `-wal`, no engine runs that it could meet, and the file is read as it is.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        prepare(&connection)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    });
    let may_be_unwritable = opened.as_ref().is_err_and(|error| {
        let code = error.sqlite_error_code();
        code == Some(rusqlite::ErrorCode::CannotOpen) || code == Some(rusqlite::ErrorCode::ReadOnly)
    });
    if !may_be_unwritable || !path.exists() || beside(path, "-wal").exists() {
        return opened;
    }
    let uri = immutable_uri(path);
    let connection = Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?;
    prepare(&connection)?;
    Ok(connection)
}

/// What every connection is told, also one to another file.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;")
}

/// Before SQLite makes it, since then the umask would say who may read it. Where it cannot be made,
/// SQLite cannot make it either, and says why.
pub(super) fn make_private(path: &Path) {
    if let Err(error) = crate::private::create(path) {
        tracing::debug!(path = %path.display(), cause = %error, "a file cannot be made");
    }
}

/// The file of the same name with `suffix` behind it.
pub(super) fn beside(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn immutable_uri(path: &Path) -> String {
    let path = path.to_string_lossy();
    let escaped = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{escaped}?immutable=1")
}
