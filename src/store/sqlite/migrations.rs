//! Brings a log file's schema up to date: forward only, each migration once, in a transaction.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::OpenError;

/// `PRAGMA application_id` of a log, set by the first migration.
const APPLICATION_ID: i64 = 0x5350_4543;

struct Migration {
    version: u32,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "log",
        sql: include_str!("../../../migrations/sqlite/0001_log.sql"),
    },
    Migration {
        version: 2,
        name: "side_tables",
        sql: include_str!("../../../migrations/sqlite/0002_side_tables.sql"),
    },
    Migration {
        version: 3,
        name: "house",
        sql: include_str!("../../../migrations/sqlite/0003_house.sql"),
    },
    Migration {
        version: 4,
        name: "audit",
        sql: include_str!("../../../migrations/sqlite/0004_audit.sql"),
    },
    Migration {
        version: 5,
        name: "seal_subtrees",
        sql: include_str!("../../../migrations/sqlite/0005_seal_subtrees.sql"),
    },
    Migration {
        version: 6,
        name: "trust",
        sql: include_str!("../../../migrations/sqlite/0006_trust.sql"),
    },
    Migration {
        version: 7,
        name: "parked",
        sql: include_str!("../../../migrations/sqlite/0007_parked.sql"),
    },
];

/// The schema that this program writes.
const KNOWN: u32 = MIGRATIONS[MIGRATIONS.len() - 1].version;

const CREATE_RECORD: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version    INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    applied_at TEXT    NOT NULL
) STRICT";

/// Applies what is missing, once the file is known to be a log or empty.
pub(super) fn migrate(path: &Path, connection: &mut Connection) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| OpenError::sqlite(path, &error);
    let found = found_schema(path, connection)?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > found) {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        transaction.execute_batch(CREATE_RECORD).map_err(failed)?;
        transaction.execute_batch(migration.sql).map_err(failed)?;
        transaction
            .execute(
                "INSERT INTO schema_migrations (version, name, applied_at)
                 VALUES (?1, ?2, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
                (migration.version, migration.name),
            )
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

/// Checks, for a writer, that the file is empty, or a log that this program may write.
pub(super) fn check_writable(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let found = found_schema(path, connection)?;
    if found > KNOWN {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: KNOWN });
    }
    Ok(())
}

/// Checks, for a reader, that the file is a log of the schema that this program reads.
pub(super) fn check_readable(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let (path_buf, found) = (path.to_owned(), found_schema(path, connection)?);
    match found.cmp(&KNOWN) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => {
            Err(OpenError::Newer { path: path_buf, found, known: KNOWN })
        }
        std::cmp::Ordering::Less if found == 0 => Err(OpenError::NotALog { path: path_buf }),
        std::cmp::Ordering::Less => Err(OpenError::Older { path: path_buf, found, known: KNOWN }),
    }
}

/// Checks that the file is a log, of whatever schema this program knows.
pub(super) fn check_log(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    check_writable(path, connection)?;
    match found_schema(path, connection)? {
        0 => Err(OpenError::NotALog { path: path.to_owned() }),
        _ => Ok(()),
    }
}

/// The schema of the file; 0 when it is empty. Another program's database is refused.
fn found_schema(path: &Path, connection: &Connection) -> Result<u32, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::sqlite(path, &error);
    let application: i64 = connection
        .query_row("SELECT application_id FROM pragma_application_id", [], |row| row.get(0))
        .map_err(failed)?;
    let tables: u32 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    if tables == 0 && application == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(OpenError::NotALog { path: path.to_owned() });
    }
    let found = connection
        .query_row("SELECT max(version) FROM schema_migrations", [], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    Ok(found.unwrap_or(0))
}
