//! Read models in a SQLite file: one connection writes, a few read.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{Arguments, Executor, Row, Sqlite, Transaction};

use crate::framework::error::Error;
use crate::framework::value::{Kind, Value};

/// Connections for reads: a few, as a read takes microseconds.
const N_READERS: u32 = 4;

/// Prepared statements kept a connection: every size of every read model's statements.
const N_STATEMENTS: usize = 256;

/// Pages of the write-ahead log before it is copied into the file: 16 MiB, about ten pages of
/// events while catching up.
const CHECKPOINT_PAGES: &str = "4000";

/// The writer's cache, in KiB (negative: SQLite's way to say so). It holds the inner pages of the
/// keys' trees, as the rows of a page of events lie far apart.
const WRITER_CACHE: &str = "-8192";

/// How long a statement waits for another process that holds the file.
const BUSY: Duration = Duration::from_secs(10);

pub(super) struct Pools {
    writer: SqlitePool,
    pub(super) readers: SqlitePool,
}

impl Pools {
    pub(super) async fn open(path: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY)
            .statement_cache_capacity(N_STATEMENTS);
        let pool = || SqlitePoolOptions::new().min_connections(0).test_before_acquire(false);
        let writing = options
            .clone()
            .create_if_missing(true)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .pragma("cache_size", WRITER_CACHE);
        let writer = pool()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(writing)
            .await?;
        let readers = pool().max_connections(N_READERS).connect_lazy_with(options);
        Ok(Self { writer, readers })
    }

    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        Ok(self.writer.begin().await?)
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

pub(super) async fn execute(
    on: impl Executor<'_, Database = Sqlite>,
    (sql, values): (&str, Vec<Value>),
) -> Result<(), Error> {
    sqlx::query_with(sql, arguments(values)?).execute(on).await?;
    Ok(())
}

pub(super) async fn fetch(
    on: impl Executor<'_, Database = Sqlite>,
    (sql, values): (&str, Vec<Value>),
    kinds: &[Kind],
) -> Result<Vec<Vec<Value>>, Error> {
    let rows = sqlx::query_with(sql, arguments(values)?).fetch_all(on).await?;
    rows.iter().map(|row| decode(row, kinds)).collect()
}

fn arguments(values: Vec<Value>) -> Result<SqliteArguments<'static>, Error> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        let added = match value.stored() {
            Value::Text(text) => arguments.add(text),
            Value::Int(number) | Value::Time(number) => arguments.add(number),
            Value::Null(Kind::Text) => arguments.add(None::<String>),
            Value::Null(Kind::Int | Kind::Time) => arguments.add(None::<i64>),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn decode(row: &SqliteRow, kinds: &[Kind]) -> Result<Vec<Value>, Error> {
    let value = |(index, kind): (usize, &Kind)| {
        let value = match kind {
            Kind::Text => row.try_get::<Option<String>, _>(index)?.map(Value::Text),
            Kind::Int => row.try_get::<Option<i64>, _>(index)?.map(Value::Int),
            Kind::Time => row.try_get::<Option<i64>, _>(index)?.map(Value::Time),
        };
        Ok(value.unwrap_or(Value::Null(*kind)))
    };
    kinds.iter().enumerate().map(value).collect()
}
