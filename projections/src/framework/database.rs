//! The one place that knows which database the read models live in: SQLite now. It executes SQL
//! text with values, and nothing else, so that PostgreSQL is a second file like this one.
//!
//! A commit here survives the death of the process. It may be lost with the machine's power, and
//! then the log is simply read again: rows and cursor go back together.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{Arguments, Row, Sqlite, Transaction};

use super::error::Error;
use super::value::{Kind, Value};

/// Called with each statement of a write before it runs: for tests that end the process there.
pub type StatementHook = Arc<dyn Fn(&str) + Send + Sync>;

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

pub(crate) struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
    hook: Option<StatementHook>,
}

impl Database {
    pub(crate) async fn open(path: &Path, hook: Option<StatementHook>) -> Result<Self, Error> {
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
        Ok(Self { writer, readers, hook })
    }

    /// Begins a write. Only one is open at a time: a second one waits.
    pub(crate) async fn begin(&self) -> Result<Write, Error> {
        Ok(Write { transaction: self.writer.begin().await?, hook: self.hook.clone() })
    }

    pub(crate) async fn fetch(
        &self,
        sql: &str,
        values: Vec<Value>,
        kinds: &[Kind],
    ) -> Result<Vec<Vec<Value>>, Error> {
        let rows = sqlx::query_with(sql, arguments(values)?).fetch_all(&self.readers).await?;
        rows.iter().map(|row| decode(row, kinds)).collect()
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// An open write transaction; dropped without `commit`, it never was.
pub(crate) struct Write {
    transaction: Transaction<'static, Sqlite>,
    hook: Option<StatementHook>,
}

impl Write {
    fn tell(&self, statement: &str) {
        if let Some(hook) = &self.hook {
            hook(statement);
        }
    }

    pub(crate) async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<(), Error> {
        self.tell(sql);
        sqlx::query_with(sql, arguments(values)?).execute(&mut *self.transaction).await?;
        Ok(())
    }

    pub(crate) async fn fetch(
        &mut self,
        sql: &str,
        values: Vec<Value>,
        kinds: &[Kind],
    ) -> Result<Vec<Vec<Value>>, Error> {
        self.tell(sql);
        let query = sqlx::query_with(sql, arguments(values)?);
        let rows = query.fetch_all(&mut *self.transaction).await?;
        rows.iter().map(|row| decode(row, kinds)).collect()
    }

    pub(crate) async fn commit(self) -> Result<(), Error> {
        self.tell("COMMIT");
        self.transaction.commit().await?;
        if let Some(hook) = &self.hook {
            hook("committed");
        }
        Ok(())
    }
}

fn arguments(values: Vec<Value>) -> Result<SqliteArguments<'static>, Error> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        let added = match value {
            Value::Text(text) => arguments.add(text),
            Value::Int(number) => arguments.add(number),
            Value::Null(Kind::Text) => arguments.add(None::<String>),
            Value::Null(Kind::Int) => arguments.add(None::<i64>),
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
        };
        Ok(value.unwrap_or(Value::Null(*kind)))
    };
    kinds.iter().enumerate().map(value).collect()
}
