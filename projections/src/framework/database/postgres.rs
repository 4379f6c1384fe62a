//! Read models in a PostgreSQL database, in a schema of their own. One transaction writes at a
//! time, of all nodes: an advisory lock that ends with it says which.

use std::str::FromStr;
use std::time::Duration;

use specline_pg::{Bounds, Pool, Transaction};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{
    PgArgumentBuffer, PgArguments, PgConnectOptions, PgPoolOptions, PgRow, PgTypeInfo, PgValueRef,
};
use sqlx::{Arguments, Connection, Decode, Encode, Executor, PgConnection, Postgres, Row, Type};
use uuid::Uuid;

use super::moved::Moved;
use crate::framework::error::Error;
use crate::framework::value::{Kind, Value};

/// Connections for reads of this node.
const N_READERS: u32 = 4;

/// Prepared statements kept a connection: every size of every read model's statements.
const N_STATEMENTS: usize = 256;

/// How long one asks for a connection while the server is away.
const ACQUIRE: Duration = Duration::from_secs(10);

/// Longest that one statement may take: of a write, which may wait for another node's, and of a
/// read, which nobody holds up.
const WRITE: Duration = Duration::from_secs(25);
const READ: Duration = Duration::from_secs(10);

/// What each connection is told. A node that stands still inside a write (it was stopped, or lost
/// its network) holds the others up no longer than the first of the two; they wait longer for it.
const SETTINGS: [(&str, &str); 3] = [
    ("idle_in_transaction_session_timeout", "5s"),
    ("lock_timeout", "20s"),
    ("synchronous_commit", "off"),
];

pub(super) const LOCK: &str = "SELECT 1 FROM pg_advisory_xact_lock($1)";

pub(super) const TRY_LOCK: &str =
    "SELECT CASE WHEN pg_try_advisory_xact_lock($1) THEN 1::BIGINT ELSE 0::BIGINT END";

pub(super) const NOTIFY: &str = "SELECT 1 FROM pg_notify($1, $2)";

pub(super) struct Pools {
    writer: Pool,
    pub(super) readers: Pool,
    /// For the one connection that listens.
    options: PgConnectOptions,
    schema: String,
    lock: i64,
    /// What our own commits say.
    ours: Uuid,
}

impl Pools {
    pub(super) async fn open(url: &str) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("specline-models")
            .statement_cache_capacity(N_STATEMENTS)
            .options(SETTINGS);
        let schema = make_schema(&options).await?;
        let options = options.options([("search_path", escaped(&schema))]);
        let writer = pool(options.clone(), 1, WRITE);
        let readers = pool(options.clone(), N_READERS, READ);
        let lock = lock_of(&schema);
        Ok(Self { writer, readers, options, schema, lock, ours: Uuid::now_v7() })
    }

    pub(super) async fn begin(&self) -> Result<Transaction, Error> {
        Ok(self.writer.begin().await?)
    }

    /// Key of the advisory lock.
    pub(super) const fn lock(&self) -> Value {
        Value::Int(self.lock)
    }

    /// Channel and payload of what a commit tells.
    pub(super) fn told(&self) -> Vec<Value> {
        vec![Value::text(&self.schema), Value::text(self.ours)]
    }

    pub(super) fn moved(&self) -> Moved {
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE);
        let pool = pool.idle_timeout(None).max_lifetime(None);
        Moved::of(pool.connect_lazy_with(self.options.clone()), self.schema.clone(), self.ours)
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn pool(options: PgConnectOptions, max_connections: u32, call: Duration) -> Pool {
    Pool::new(options, Bounds { max_connections, connect: ACQUIRE, call, ..Bounds::default() })
}

/// Makes the read models' schema where it is missing, and says its name.
async fn make_schema(options: &PgConnectOptions) -> Result<String, Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    let current: Option<String> =
        sqlx::query_scalar("SELECT current_schema()::TEXT").fetch_one(&mut connection).await?;
    let schema = match current.as_deref() {
        None | Some("public") => "specline_read".to_owned(),
        Some(other) => format!("{other}_read"),
    };
    let exists = "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)";
    let there: bool = sqlx::query_scalar(exists).bind(&schema).fetch_one(&mut connection).await?;
    if !there {
        // Under the lock, as two nodes may make it at once.
        let mut transaction = connection.begin().await?;
        sqlx::query(LOCK).bind(lock_of(&schema)).execute(&mut *transaction).await?;
        let make = format!("CREATE SCHEMA IF NOT EXISTS \"{}\"", schema.replace('"', "\"\""));
        sqlx::query(&make).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    connection.close().await?;
    Ok(schema)
}

/// The schema's name as the value of a connection option.
fn escaped(schema: &str) -> String {
    let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
    quoted.replace('\\', "\\\\").replace(' ', "\\ ")
}

/// FNV-1a of the schema's name, so that two sets of read models in one database do not meet.
fn lock_of(schema: &str) -> i64 {
    let hash = format!("specline read models in {schema}")
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    i64::from_be_bytes(hash.to_be_bytes())
}

pub(super) async fn execute_in(
    transaction: &mut Transaction,
    (sql, values): (&str, Vec<Value>),
) -> Result<(), Error> {
    let (sql, arguments) = (sql.to_owned(), arguments(values)?);
    let done = transaction.on(|connection| {
        Box::pin(async move { sqlx::query_with(&sql, arguments).execute(connection).await })
    });
    done.await?;
    Ok(())
}

pub(super) async fn fetch_in(
    transaction: &mut Transaction,
    (sql, values): (&str, Vec<Value>),
    kinds: &[Kind],
) -> Result<Vec<Vec<Value>>, Error> {
    let (sql, arguments) = (sql.to_owned(), arguments(values)?);
    let found = transaction.on(|connection| {
        Box::pin(async move { sqlx::query_with(&sql, arguments).fetch_all(connection).await })
    });
    found.await?.iter().map(|row| decode(row, kinds)).collect()
}

pub(super) async fn fetch(
    pool: &Pool,
    (sql, values): (&str, Vec<Value>),
    kinds: &[Kind],
) -> Result<Vec<Vec<Value>>, Error> {
    let rows = pool.fetch_all(sqlx::query_with(sql, arguments(values)?)).await?;
    rows.iter().map(|row| decode(row, kinds)).collect()
}

fn arguments(values: Vec<Value>) -> Result<PgArguments, Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        let added = match value.stored() {
            Value::Text(text) => arguments.add(text),
            Value::Int(number) => arguments.add(number),
            Value::Time(micros) => arguments.add(Instant(micros)),
            Value::Null(Kind::Text) => arguments.add(None::<String>),
            Value::Null(Kind::Int) => arguments.add(None::<i64>),
            Value::Null(Kind::Time) => arguments.add(None::<Instant>),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn decode(row: &PgRow, kinds: &[Kind]) -> Result<Vec<Value>, Error> {
    let value = |(index, kind): (usize, &Kind)| {
        let value = match kind {
            Kind::Text => row.try_get::<Option<String>, _>(index)?.map(Value::Text),
            Kind::Int => row.try_get::<Option<i64>, _>(index)?.map(Value::Int),
            Kind::Time => row.try_get::<Option<Instant>, _>(index)?.map(|at| Value::Time(at.0)),
        };
        Ok(value.unwrap_or(Value::Null(*kind)))
    };
    kinds.iter().enumerate().map(value).collect()
}

/// A `timestamptz`: microseconds since 1970 here, since 2000 on the wire.
struct Instant(i64);

/// Microseconds from 1970 to 2000.
const EPOCH: i64 = 946_684_800_000_000;

/// What PostgreSQL takes, from 4713 BC to AD 294276.
const EARLIEST: i64 = -211_813_488_000_000_000;
const LATEST: i64 = 9_223_371_331_199_999_999;

impl Type<Postgres> for Instant {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz")
    }
}

impl Encode<'_, Postgres> for Instant {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = self.0.saturating_sub(EPOCH).clamp(EARLIEST, LATEST);
        Encode::<Postgres>::encode_by_ref(&micros, buffer)
    }
}

impl Decode<'_, Postgres> for Instant {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let micros = <i64 as Decode<Postgres>>::decode(value)?;
        Ok(Self(micros.saturating_add(EPOCH)))
    }
}
