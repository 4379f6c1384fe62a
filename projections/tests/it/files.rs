//! Read models of their own, in a file or in a PostgreSQL database, and the few things that every
//! test does with them.

use specline_projections::{LogId, Place, ReadModels};
use tempfile::TempDir;
use uuid::Uuid;

use crate::postgres;
use crate::world::World;

/// The database that a test is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
}

/// The tests named, once on each database; each takes `On`.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::files::On::Sqlite).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::files::On::Postgres).await;
            })+
        }
    };
}
pub(crate) use on_both;

pub struct Files {
    pub folder: TempDir,
    place: Place,
}

pub const LOG: LogId = LogId { log_id: Uuid::from_u128(7), incarnation: 1 };

impl Files {
    pub fn new(on: On) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = match on {
            On::Sqlite => Place::File(folder.path().join("read.db")),
            On::Postgres => Place::Postgres(postgres::server().database().url().to_owned()),
        };
        Self { folder, place }
    }

    /// Read models of their own in the same database where that is PostgreSQL, as a database takes
    /// longer to make than a schema.
    pub fn sibling(&self, n: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = match &self.place {
            Place::File(_) => Place::File(folder.path().join("read.db")),
            Place::Postgres(url) => {
                postgres::server().psql_at(url, &format!("CREATE SCHEMA s{n}"));
                Place::Postgres(format!("{url}?options[search_path]=s{n}"))
            }
        };
        Self { folder, place }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub async fn open(&self, head: u64) -> ReadModels {
        ReadModels::open(&self.place, LOG, head).await.unwrap()
    }

    /// Runs a statement beside the read models.
    pub async fn execute(&self, sql: &str) {
        use sqlx::Connection;
        match &self.place {
            Place::File(path) => {
                let url = format!("sqlite://{}", path.display());
                let mut database = sqlx::SqliteConnection::connect(&url).await.unwrap();
                sqlx::query(sql).execute(&mut database).await.unwrap();
                database.close().await.unwrap();
            }
            Place::Postgres(url) => {
                let url = format!("{url}?options[search_path]=specline_read");
                let mut database = sqlx::PgConnection::connect(&url).await.unwrap();
                sqlx::query(sql).execute(&mut database).await.unwrap();
                database.close().await.unwrap();
            }
        }
    }
}

/// Applies what the read models lack, in pages of `size`.
pub async fn catch_up(models: &ReadModels, world: &World, size: usize) {
    let mut after = models.resume_position().expect("some read model goes on");
    while after < world.head() {
        let rest = world.after(after);
        let page = &rest[..size.min(rest.len())];
        // A transaction that was given up may still be about to end.
        while models.apply(after, page).await.unwrap().contended {
            tokio::task::yield_now().await;
        }
        after = page.last().unwrap().position;
    }
}

/// The bytes of every read model.
pub async fn dump(models: &ReadModels) -> Vec<(&'static str, String)> {
    let mut dumps = Vec::new();
    for name in models.names() {
        dumps.push((name, String::from_utf8(models.dump(name).await.unwrap()).unwrap()));
    }
    dumps
}
