//! The one place that knows which database the read models live in: SQLite or PostgreSQL. It
//! executes SQL text with values, and nothing else.
//!
//! A commit here survives the death of the process. It may be lost with the machine's power, and
//! then the log is simply read again: rows and cursor go back together.

mod moved;
mod postgres;
mod sqlite;

use std::path::PathBuf;
use std::sync::Arc;

use super::error::Error;
use super::value::{Kind, Value};

pub use moved::Moved;

/// Called with each statement of a write before it runs: for tests that end the process there.
pub type StatementHook = Arc<dyn Fn(&str) + Send + Sync>;

/// Where the read models are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A SQLite file, made where it is missing; one process at a time projects into it.
    File(PathBuf),
    /// A PostgreSQL database by its URL. Every node that names it shares one set of read models,
    /// in the schema `specline_read` (or `<schema>_read` where the connection is in another one).
    Postgres(String),
}

/// Which SQL is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

enum Backend {
    Sqlite(sqlite::Pools),
    Postgres(Box<postgres::Pools>),
}

pub(crate) struct Database {
    backend: Backend,
    hook: Option<StatementHook>,
}

impl Database {
    pub(crate) async fn open(place: &Place, hook: Option<StatementHook>) -> Result<Self, Error> {
        let backend = match place {
            Place::File(path) => Backend::Sqlite(sqlite::Pools::open(path).await?),
            Place::Postgres(url) => Backend::Postgres(Box::new(postgres::Pools::open(url).await?)),
        };
        Ok(Self { backend, hook })
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        match self.backend {
            Backend::Sqlite(_) => Dialect::Sqlite,
            Backend::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Whether other nodes write here too.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self.backend, Backend::Postgres(_))
    }

    /// Begins a write. Only one is open at a time, of all nodes: a second one waits.
    pub(crate) async fn begin(&self) -> Result<Write, Error> {
        let mut write = self.unlocked().await?;
        if let Backend::Postgres(pools) = &self.backend {
            write.fetch(postgres::LOCK, vec![pools.lock()], &[]).await?;
        }
        Ok(write)
    }

    /// Begins a write, unless another node has one open.
    pub(crate) async fn try_begin(&self) -> Result<Option<Write>, Error> {
        let mut write = self.unlocked().await?;
        if let Backend::Postgres(pools) = &self.backend {
            let had = write.fetch(postgres::TRY_LOCK, vec![pools.lock()], &[Kind::Int]).await?;
            if had.first().and_then(|row| row.first()).and_then(Value::as_int) != Some(1) {
                return Ok(None);
            }
        }
        Ok(Some(write))
    }

    async fn unlocked(&self) -> Result<Write, Error> {
        let (transaction, tell) = match &self.backend {
            Backend::Sqlite(pools) => (Transaction::Sqlite(pools.begin().await?), None),
            Backend::Postgres(pools) => {
                (Transaction::Postgres(pools.begin().await?), Some(pools.told()))
            }
        };
        Ok(Write { transaction, tell, hook: self.hook.clone() })
    }

    pub(crate) async fn fetch(
        &self,
        sql: &str,
        values: Vec<Value>,
        kinds: &[Kind],
    ) -> Result<Vec<Vec<Value>>, Error> {
        match &self.backend {
            Backend::Sqlite(pools) => sqlite::fetch(&pools.readers, (sql, values), kinds).await,
            Backend::Postgres(pools) => postgres::fetch(&pools.readers, (sql, values), kinds).await,
        }
    }

    /// What tells of other nodes' writes.
    pub(crate) fn moved(&self) -> Moved {
        match &self.backend {
            Backend::Sqlite(_) => Moved::never(),
            Backend::Postgres(pools) => pools.moved(),
        }
    }

    pub(crate) async fn close(&self) {
        match &self.backend {
            Backend::Sqlite(pools) => pools.close().await,
            Backend::Postgres(pools) => pools.close().await,
        }
    }
}

enum Transaction {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(specline_pg::Transaction),
}

/// An open write transaction; dropped without `commit`, it never was.
pub(crate) struct Write {
    transaction: Transaction,
    /// What to tell the other nodes at the commit: channel and payload.
    tell: Option<Vec<Value>>,
    hook: Option<StatementHook>,
}

impl Write {
    fn hear(&self, statement: &str) {
        if let Some(hook) = &self.hook {
            hook(statement);
        }
    }

    pub(crate) async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<(), Error> {
        self.hear(sql);
        match &mut self.transaction {
            Transaction::Sqlite(transaction) => {
                sqlite::execute(&mut **transaction, (sql, values)).await
            }
            Transaction::Postgres(transaction) => {
                postgres::execute_in(transaction, (sql, values)).await
            }
        }
    }

    pub(crate) async fn fetch(
        &mut self,
        sql: &str,
        values: Vec<Value>,
        kinds: &[Kind],
    ) -> Result<Vec<Vec<Value>>, Error> {
        self.hear(sql);
        match &mut self.transaction {
            Transaction::Sqlite(transaction) => {
                sqlite::fetch(&mut **transaction, (sql, values), kinds).await
            }
            Transaction::Postgres(transaction) => {
                postgres::fetch_in(transaction, (sql, values), kinds).await
            }
        }
    }

    /// Commits, and tells the other nodes where there may be some.
    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        if let Some(told) = self.tell.take() {
            self.fetch(postgres::NOTIFY, told, &[]).await?;
        }
        self.hear("COMMIT");
        match self.transaction {
            Transaction::Sqlite(transaction) => transaction.commit().await?,
            Transaction::Postgres(transaction) => transaction.commit().await?,
        }
        if let Some(hook) = &self.hook {
            hook("committed");
        }
        Ok(())
    }
}
