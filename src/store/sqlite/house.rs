//! A log's file as a house that a log is copied from or into. It is held by the lock of a writer,
//! so no engine writes it meanwhile; each batch is one transaction.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::{Connection, TransactionBehavior};

use super::error::log_error;
use super::identity::{self, State};
use super::lock::WriteLock;
use super::{OpenError, connection, house_rows, migrations, rows, scan, writer};
use crate::private;
use crate::store::house::{CopySource, CopyTarget, Deed, Restored, Row, Standing, Table};
use crate::store::verify::{Census, Scan, Scanned, Strays};
use crate::store::{LogError, LogIdentity, Position, Recorded, StreamHead};

/// Dropping it closes the file and gives the lock back.
pub struct SqliteHouse {
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
    _lock: WriteLock,
}

impl SqliteHouse {
    /// Opens a log that is there, and takes its lock.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        if !path.exists() {
            return Err(OpenError::Missing { path: path.to_owned() });
        }
        Self::open_or_create(path)
    }

    /// The same; it makes the file when it is not there.
    pub fn open_or_create(path: &Path) -> Result<Self, OpenError> {
        let lock = WriteLock::take_soon(path)?;
        let failed = |error: rusqlite::Error| OpenError::sqlite(path, &error);
        let mut connection = connection::open_writer(path).map_err(failed)?;
        migrations::check_writable(path, &connection)?;
        private::mend_family(path);
        connection::make_durable(&connection).map_err(failed)?;
        migrations::migrate(path, &mut connection)?;
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self { path: path.to_owned(), connection, _lock: lock })
    }

    /// Closes it so that the file alone is the log, and is on the disk.
    pub(super) fn close(self) -> rusqlite::Result<()> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        self.run(move |connection| read(connection)).await
    }

    /// One transaction.
    async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        self.run(move |connection| {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(log_error)?;
            let written = write(&transaction)?;
            transaction.commit().map_err(log_error)?;
            Ok(written)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let connection = Arc::clone(&self.connection);
        let done = tokio::task::spawn_blocking(move || {
            work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        let broken = |_| LogError::Transient { cause: "the work was broken off".to_owned() };
        done.await.map_err(broken)?
    }
}

#[async_trait]
impl Scan for SqliteHouse {
    async fn scan(&self, from: Position, limit: usize) -> Result<Vec<Scanned>, LogError> {
        self.read(move |connection| scan::page(connection, from, limit)).await
    }

    async fn given_out(&self) -> Result<Position, LogError> {
        self.read(|connection| scan::given_out(connection).map_err(log_error)).await
    }

    async fn strays(&self) -> Result<Strays, LogError> {
        self.read(|connection| scan::strays(connection).map_err(log_error)).await
    }

    async fn own_fault(&self) -> Result<Option<String>, LogError> {
        self.read(|connection| scan::own_fault(connection).map_err(log_error)).await
    }

    async fn by_stream(&self, to: Position, like: &Census) -> Result<Option<Census>, LogError> {
        let census = like.emptied();
        let counted =
            self.read(move |connection| scan::by_stream(connection, to, census).map_err(log_error));
        counted.await.map(Some)
    }

    async fn head_before(&self, event: &Recorded) -> Result<Option<StreamHead>, LogError> {
        let event = event.clone();
        self.read(move |connection| scan::head_before(connection, &event).map_err(log_error)).await
    }
}

#[async_trait]
impl CopySource for SqliteHouse {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    async fn deed(&self) -> Result<Option<Deed>, LogError> {
        let held = self.read(|connection| identity::held(connection).map_err(log_error)).await?;
        Ok(held.map(|(deed, _)| deed))
    }

    async fn is_whole(&self) -> Result<bool, LogError> {
        let held = self.read(|connection| identity::held(connection).map_err(log_error)).await?;
        Ok(held.is_some_and(|(_, state)| state == State::Whole))
    }

    async fn rows(
        &self,
        table: Table,
        after: Option<&Row>,
        limit: usize,
    ) -> Result<Vec<Row>, LogError> {
        let after = after.cloned();
        self.read(move |connection| {
            house_rows::page(connection, table, after.as_ref(), limit).map_err(log_error)
        })
        .await
    }
}

#[async_trait]
impl CopyTarget for SqliteHouse {
    async fn standing(&self) -> Result<Standing, LogError> {
        self.read(|connection| standing(connection).map_err(log_error)).await
    }

    async fn begin(&self, deed: &Deed) -> Result<(), LogError> {
        let deed = *deed;
        self.write(move |connection| {
            connection
                .execute_batch("DELETE FROM log_identity; DELETE FROM snapshots;")
                .and_then(|()| identity::insert(connection, &deed, State::Copying))
                .map_err(log_error)
        })
        .await
    }

    async fn put_events(&self, events: Vec<Recorded>) -> Result<(), LogError> {
        self.write(move |connection| put_events(connection, &events)).await
    }

    async fn clear(&self, table: Table) -> Result<(), LogError> {
        self.write(move |connection| house_rows::clear(connection, table).map_err(log_error)).await
    }

    async fn put_rows(&self, rows: Vec<Row>) -> Result<(), LogError> {
        self.write(move |connection| {
            rows.iter().try_for_each(|row| house_rows::put(connection, row)).map_err(log_error)
        })
        .await
    }

    async fn finish(&self) -> Result<(), LogError> {
        self.write(|connection| {
            connection
                .execute("UPDATE log_identity SET state = 'whole'", [])
                .map(|_| ())
                .map_err(log_error)
        })
        .await
    }
}

impl SqliteHouse {
    /// Makes a copied file a log of its own: another id and secret, and none of the sandboxes that
    /// live for the one that it was copied from.
    pub async fn become_another(&self) -> Result<LogIdentity, LogError> {
        let random = |error: std::io::Error| LogError::Transient {
            cause: format!("no random numbers: {error}"),
        };
        let secret: [u8; 32] = identity::random().map_err(random)?;
        let log_id = uuid::Builder::from_random_bytes(identity::random().map_err(random)?);
        let identity = LogIdentity { log_id: log_id.into_uuid(), incarnation: 1 };
        self.write(move |connection| {
            let change = || -> rusqlite::Result<()> {
                connection.execute_batch("DELETE FROM leases; DELETE FROM snapshots;")?;
                connection.execute(
                    "UPDATE log_identity SET log_id = ?1, incarnation = ?2, secret = ?3",
                    (rows::text(&identity.log_id), identity.incarnation, secret),
                )?;
                Ok(())
            };
            change().map(|()| identity).map_err(log_error)
        })
        .await
    }
}

#[async_trait]
impl Restored for SqliteHouse {
    async fn begin_anew(&self, above: u32) -> Result<LogIdentity, LogError> {
        let random = |error: std::io::Error| LogError::Transient {
            cause: format!("no random numbers: {error}"),
        };
        let secret: [u8; 32] = identity::random().map_err(random)?;
        self.write(move |connection| {
            connection
                .execute(
                    "UPDATE log_identity SET incarnation = max(incarnation, ?1) + 1, secret = ?2",
                    (above, secret),
                )
                .map_err(log_error)?;
            let held = identity::held(connection).map_err(log_error)?;
            held.map(|(deed, _)| deed.identity).ok_or_else(|| LogError::Corrupt {
                place: "log_identity".to_owned(),
                cause: "it has no row".to_owned(),
            })
        })
        .await
    }
}

fn standing(connection: &Connection) -> rusqlite::Result<Standing> {
    let sql = "SELECT EXISTS (SELECT 1 FROM events) OR EXISTS (SELECT 1 FROM idempotency_keys)
                   OR EXISTS (SELECT 1 FROM blobs)";
    let is_used: bool = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(match identity::held(connection)? {
        Some((deed, State::Copying)) => Standing::Unfinished(deed.identity),
        Some((deed, State::Whole)) if is_used => Standing::Whole(deed.identity),
        Some(_) | None => Standing::Empty,
    })
}

fn put_events(connection: &Connection, events: &[Recorded]) -> Result<(), LogError> {
    let end = writer::read_end(connection).map_err(log_error)?;
    for (event, expected) in events.iter().zip(end.position + 1..) {
        if event.position.0 != expected {
            return Err(LogError::Corrupt {
                place: format!("position {expected}"),
                cause: format!("the copy would go on with position {}", event.position),
            });
        }
        put_event(connection, event).map_err(log_error)?;
    }
    Ok(())
}

fn put_event(connection: &Connection, event: &Recorded) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO events (position, aggregate_type, aggregate_id, sequence, event_type,
             event_version, payload, metadata, recorded_at, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    statement.execute((
        rows::stored(event.position.0),
        &event.stream.aggregate_type,
        rows::text(&event.stream.aggregate_id),
        rows::stored(event.sequence),
        &event.event_type,
        &event.event_version,
        &event.payload,
        &event.metadata,
        event.recorded_at.micros(),
        event.hash.as_bytes(),
    ))?;
    Ok(())
}
