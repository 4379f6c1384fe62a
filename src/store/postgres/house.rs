//! The log's tables as a house that a log is copied from or into, over one connection.
//!
//! A source is read in one transaction that holds the head row: what is read is one moment, and no
//! append gets past it. A target is held by an advisory lock, and each batch is one transaction.
//! Either is refused while an engine lives on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, Row as _};
use tokio::sync::{Mutex, MutexGuard};

use super::error::log_error;
use super::{OpenError, foreign, house_rows, identity, migrations, open, rows, scan, session};
use crate::store::house::{CopySource, CopyTarget, Deed, Restored, Row, Standing, Table};
use crate::store::verify::{Scan, Scanned, Strays};
use crate::store::{LogError, LogIdentity, Position, Recorded, StreamHead};

/// Two halves of an advisory lock's key: "SPEC", and the schema in which the log is.
const LOCK: &str = "SELECT pg_try_advisory_lock(1397769539, hashtext(current_schema() || '/copy'))";

/// Longest wait for that lock, and the pause between two tries.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(50);

/// Nodes that have beaten not long ago.
const LIVES: &str = "SELECT EXISTS (SELECT FROM nodes WHERE expires_at > specline_now(NULL))";

/// Events of our aggregates that postgres-es's repository wrote, and that have no place yet.
const FOREIGN: &str = "SELECT EXISTS (SELECT FROM events WHERE position IS NULL
     AND aggregate_type IN ('Spec', 'Task', 'Ticket'))";

/// A log in PostgreSQL that nobody else writes.
pub struct PgHouse {
    name: String,
    connection: Arc<Mutex<PgConnection>>,
}

impl PgHouse {
    /// Opens a log that is there, for reading: it stands still until this is dropped.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let options = session::options(url)?;
        let mut connection = open::connect(&options).await?;
        let name = open::name(&options);
        migrations::check(&mut connection, &name).await?;
        connection.execute("SET idle_in_transaction_session_timeout = 0").await.map_err(damaged)?;
        hold(&mut connection, &name).await?;
        let still = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM log_head FOR UPDATE";
        connection.execute(still).await.map_err(damaged)?;
        if is(&mut connection, FOREIGN).await? {
            let cause = "events that postgres-es wrote wait for adoption; start an engine once";
            return Err(OpenError::Damaged { cause: cause.to_owned() });
        }
        Ok(Self { name, connection: Arc::new(Mutex::new(connection)) })
    }

    /// Opens a place for a copy, and makes the tables where they are missing.
    pub async fn open_or_create(url: &str) -> Result<Self, OpenError> {
        let options = session::options(url)?;
        let mut connection = open::connect(&options).await?;
        let name = open::name(&options);
        migrations::migrate(&mut connection).await?;
        hold(&mut connection, &name).await?;
        Ok(Self { name, connection: Arc::new(Mutex::new(connection)) })
    }

    async fn connection(&self) -> MutexGuard<'_, PgConnection> {
        self.connection.lock().await
    }

    async fn held(&self) -> Result<Option<identity::Identity>, LogError> {
        let held = identity::load(&mut *self.connection().await).await;
        held.map_err(|error| LogError::Transient { cause: error.to_string() })
    }
}

fn damaged(error: sqlx::Error) -> OpenError {
    OpenError::Damaged { cause: log_error(error).to_string() }
}

async fn is(connection: &mut PgConnection, sql: &str) -> Result<bool, OpenError> {
    let row = connection.fetch_one(sql).await.map_err(damaged)?;
    row.try_get(0).map_err(damaged)
}

/// No other copy, and no engine. The server may take a moment to see that a copy was killed.
async fn hold(connection: &mut PgConnection, name: &str) -> Result<(), OpenError> {
    let busy = || OpenError::Busy { database: name.to_owned() };
    let end = Instant::now() + PATIENCE;
    while !is(connection, LOCK).await? {
        if Instant::now() >= end {
            return Err(busy());
        }
        tokio::time::sleep(LOOK).await;
    }
    if is(connection, LIVES).await? { Err(busy()) } else { Ok(()) }
}

#[async_trait]
impl Scan for PgHouse {
    async fn scan(&self, from: Position, limit: usize) -> Result<Vec<Scanned>, LogError> {
        scan::page(&mut *self.connection().await, from, limit).await
    }

    async fn given_out(&self) -> Result<Position, LogError> {
        scan::given_out(&mut *self.connection().await).await
    }

    async fn strays(&self) -> Result<Strays, LogError> {
        foreign::strays(&mut *self.connection().await).await
    }

    async fn head_before(&self, event: &Recorded) -> Result<Option<StreamHead>, LogError> {
        scan::head_before(&mut *self.connection().await, event).await
    }
}

#[async_trait]
impl CopySource for PgHouse {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn deed(&self) -> Result<Option<Deed>, LogError> {
        let Some(held) = self.held().await? else { return Ok(None) };
        let secret = identity::secret(&mut *self.connection().await).await;
        let secret = secret.map_err(|error| LogError::Transient { cause: error.to_string() })?;
        Ok(secret.map(|secret| Deed { identity: held.log, secret }))
    }

    async fn is_whole(&self) -> Result<bool, LogError> {
        Ok(self.held().await?.is_some_and(|held| !held.copying))
    }

    async fn rows(
        &self,
        table: Table,
        after: Option<&Row>,
        limit: usize,
    ) -> Result<Vec<Row>, LogError> {
        let mut connection = self.connection().await;
        house_rows::page(&mut connection, table, after, limit).await.map_err(log_error)
    }
}

#[async_trait]
impl CopyTarget for PgHouse {
    async fn standing(&self) -> Result<Standing, LogError> {
        let sql = "SELECT EXISTS (SELECT FROM events WHERE position IS NOT NULL)
                       OR EXISTS (SELECT FROM idempotency_keys) OR EXISTS (SELECT FROM blobs)";
        let row = self.connection().await.fetch_one(sql).await.map_err(log_error)?;
        let is_used: bool = row.try_get(0).map_err(log_error)?;
        Ok(match self.held().await? {
            Some(held) if held.copying => Standing::Unfinished(held.log),
            Some(held) if is_used => Standing::Whole(held.log),
            Some(_) | None => Standing::Empty,
        })
    }

    async fn begin(&self, deed: &Deed) -> Result<(), LogError> {
        let sql = "INSERT INTO log_identity (log_id, incarnation, state)
             VALUES ($1, $2, 'copying')
             ON CONFLICT (only_row) DO UPDATE SET log_id = excluded.log_id, state = 'copying',
                 incarnation = excluded.incarnation";
        let mut connection = self.connection().await;
        let mut transaction = connection.begin().await.map_err(log_error)?;
        sqlx::query(sql)
            .bind(deed.identity.log_id)
            .bind(i32::try_from(deed.identity.incarnation).unwrap_or(i32::MAX))
            .execute(&mut *transaction)
            .await
            .map_err(log_error)?;
        identity::put_secret(&mut transaction, &deed.secret).await.map_err(log_error)?;
        transaction.commit().await.map_err(log_error)
    }

    async fn put_events(&self, events: Vec<Recorded>) -> Result<(), LogError> {
        let mut connection = self.connection().await;
        let mut transaction = connection.begin().await.map_err(log_error)?;
        let row = transaction.fetch_one("SELECT position FROM log_head FOR UPDATE").await;
        let end = row.and_then(|row| rows::fetched(&row, 0)).map_err(log_error)?;
        for (event, expected) in events.iter().zip(end + 1..) {
            if event.position.0 != expected {
                return Err(LogError::Corrupt {
                    place: format!("position {expected}"),
                    cause: format!("the copy would go on with position {}", event.position),
                });
            }
        }
        insert_events(&mut transaction, &events).await.map_err(log_error)?;
        transaction.commit().await.map_err(log_error)
    }

    async fn clear(&self, table: Table) -> Result<(), LogError> {
        house_rows::clear(&mut *self.connection().await, table).await.map_err(log_error)
    }

    async fn put_rows(&self, rows: Vec<Row>) -> Result<(), LogError> {
        let mut connection = self.connection().await;
        let mut transaction = connection.begin().await.map_err(log_error)?;
        for row in &rows {
            house_rows::put(&mut transaction, row).await.map_err(log_error)?;
        }
        transaction.commit().await.map_err(log_error)
    }

    async fn finish(&self) -> Result<(), LogError> {
        let mut connection = self.connection().await;
        // Planners that believe the tables to be empty choose badly for the first minutes.
        connection.execute("ANALYZE events, idempotency_keys, blobs").await.map_err(log_error)?;
        let sql = "UPDATE log_identity SET state = 'open'";
        connection.execute(sql).await.map(|_| ()).map_err(log_error)
    }
}

fn texts(events: &[Recorded], of: fn(&Recorded) -> &str) -> Vec<&str> {
    events.iter().map(of).collect()
}

async fn insert_events(connection: &mut PgConnection, events: &[Recorded]) -> sqlx::Result<()> {
    let Some(last) = events.last() else { return Ok(()) };
    let numbers = |of: fn(&Recorded) -> i64| events.iter().map(of).collect::<Vec<_>>();
    let sql = "INSERT INTO events (position, aggregate_type, aggregate_id, sequence, event_type,
             event_version, payload, metadata, recorded_at, hash)
         SELECT position, type, id, sequence, event_type, version, payload::json, metadata::json,
             recorded_at, hash
         FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[],
                     $7::text[], $8::text[], $9::bigint[], $10::bytea[])
             AS e (position, type, id, sequence, event_type, version, payload, metadata,
                   recorded_at, hash)";
    sqlx::query(sql)
        .bind(numbers(|event| rows::stored(event.position.0)))
        .bind(texts(events, |event| &event.stream.aggregate_type))
        .bind(events.iter().map(|e| rows::text(&e.stream.aggregate_id)).collect::<Vec<_>>())
        .bind(numbers(|event| rows::stored(event.sequence)))
        .bind(texts(events, |event| &event.event_type))
        .bind(texts(events, |event| &event.event_version))
        .bind(texts(events, |event| &event.payload))
        .bind(texts(events, |event| &event.metadata))
        .bind(numbers(|event| event.recorded_at.micros()))
        .bind(events.iter().map(|event| event.hash.as_bytes().as_slice()).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    sqlx::query("UPDATE log_head SET position = $1, recorded_at = $2, clock_at = NULL")
        .bind(rows::stored(last.position.0))
        .bind(last.recorded_at.micros())
        .execute(connection)
        .await?;
    Ok(())
}

#[async_trait]
impl Restored for PgHouse {
    async fn begin_anew(&self, above: u32) -> Result<LogIdentity, LogError> {
        let random = |error: std::io::Error| LogError::Transient {
            cause: format!("no random numbers: {error}"),
        };
        let secret: [u8; 32] = identity::random().map_err(random)?;
        let mut connection = self.connection().await;
        // Engines of the lost time are gone, and what they had claimed with them.
        connection
            .execute("DELETE FROM work_claims; DELETE FROM nodes")
            .await
            .map_err(log_error)?;
        identity::put_secret(&mut connection, &secret).await.map_err(log_error)?;
        let sql = "UPDATE log_identity SET incarnation = greatest(incarnation, $1) + 1
                   RETURNING log_id, incarnation";
        let row = sqlx::query(sql)
            .bind(i32::try_from(above).unwrap_or(i32::MAX - 1))
            .fetch_one(&mut *connection)
            .await
            .map_err(log_error)?;
        // The transaction in which a log that is opened for reading stands still.
        connection.execute("COMMIT").await.map_err(log_error)?;
        let incarnation: i32 = row.try_get(1).map_err(log_error)?;
        Ok(LogIdentity {
            log_id: row.try_get(0).map_err(log_error)?,
            incarnation: u32::try_from(incarnation).unwrap_or(0),
        })
    }
}
