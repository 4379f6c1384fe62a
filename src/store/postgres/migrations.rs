//! Brings the schema up to date: forward only, each migration once, in a transaction, under an
//! advisory lock, so that nodes that start together do not meet.

use sqlx::{Connection, Executor, PgConnection, Row};

use super::OpenError;

/// Two halves of an advisory lock's key: "SPEC", and the schema in which the log is.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1397769539, hashtext(current_schema()))";

struct Migration {
    version: u32,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "log",
        sql: include_str!("../../../migrations/postgres/0001_log.sql"),
    },
    Migration {
        version: 2,
        name: "append",
        sql: include_str!("../../../migrations/postgres/0002_append.sql"),
    },
    Migration {
        version: 3,
        name: "side_tables",
        sql: include_str!("../../../migrations/postgres/0003_side_tables.sql"),
    },
    Migration {
        version: 4,
        name: "audit",
        sql: include_str!("../../../migrations/postgres/0004_audit.sql"),
    },
    Migration {
        version: 5,
        name: "seal_subtrees",
        sql: include_str!("../../../migrations/postgres/0005_seal_subtrees.sql"),
    },
    Migration {
        version: 6,
        name: "trust",
        sql: include_str!("../../../migrations/postgres/0006_trust.sql"),
    },
    Migration {
        version: 7,
        name: "secret",
        sql: include_str!("../../../migrations/postgres/0007_secret.sql"),
    },
    Migration {
        version: 8,
        name: "parked",
        sql: include_str!("../../../migrations/postgres/0008_parked.sql"),
    },
];

/// The schema that this program writes.
const KNOWN: u32 = MIGRATIONS[MIGRATIONS.len() - 1].version;

const CREATE_RECORD: &str = "CREATE TABLE IF NOT EXISTS specline_migrations (
    version    INTEGER     PRIMARY KEY,
    name       TEXT        NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
)";

/// Applies what is missing.
pub(super) async fn migrate(connection: &mut PgConnection) -> Result<(), OpenError> {
    if found(connection).await? == KNOWN {
        return Ok(());
    }
    let failed = |error: sqlx::Error| OpenError::Schema { cause: error.to_string() };
    let mut transaction = connection.begin().await.map_err(failed)?;
    // Another node may be at it, for as long as it takes.
    transaction.execute("SET LOCAL lock_timeout = 0").await.map_err(failed)?;
    transaction.execute(LOCK).await.map_err(failed)?;
    // This also makes the session see a table that another node has made since the first look.
    transaction.execute(CREATE_RECORD).await.map_err(failed)?;
    let found = found(&mut transaction).await?;
    if found > KNOWN {
        return Err(OpenError::Newer { found, known: KNOWN });
    }
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > found) {
        transaction.execute(migration.sql).await.map_err(failed)?;
        sqlx::query("INSERT INTO specline_migrations (version, name) VALUES ($1, $2)")
            .bind(i32::try_from(migration.version).unwrap_or(i32::MAX))
            .bind(migration.name)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

/// Checks, for a reader, that the log is there in the form that this program reads.
pub(super) async fn check(connection: &mut PgConnection, database: &str) -> Result<(), OpenError> {
    match found(connection).await? {
        0 => Err(OpenError::Missing { database: database.to_owned() }),
        found if found > KNOWN => Err(OpenError::Newer { found, known: KNOWN }),
        found if found < KNOWN => {
            let cause = format!("it has schema {found}, start an engine on it once");
            Err(OpenError::Damaged { cause })
        }
        _ => Ok(()),
    }
}

/// The schema of the log; 0 when there is none.
async fn found(connection: &mut PgConnection) -> Result<u32, OpenError> {
    let failed = |error: sqlx::Error| OpenError::Damaged { cause: error.to_string() };
    let there = "SELECT to_regclass(quote_ident(current_schema()) || '.specline_migrations') \
                 IS NOT NULL";
    let row = connection.fetch_one(there).await.map_err(failed)?;
    if !row.try_get::<bool, _>(0).map_err(failed)? {
        return Ok(0);
    }
    let sql = "SELECT coalesce(max(version), 0) FROM specline_migrations";
    let row = connection.fetch_one(sql).await.map_err(failed)?;
    let version: i32 = row.try_get(0).map_err(failed)?;
    Ok(u32::try_from(version).unwrap_or(0))
}
