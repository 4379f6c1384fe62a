//! The rows beside the events, as a copy reads and writes them. Texts are ordered by their bytes,
//! whatever the database's collation is.

use specline_aggregates::{InstanceId, SandboxId};
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Executor, Postgres, Row as _};
use uuid::Uuid;

use super::{leases, rows};
use crate::store::house::{KeyRow, Row, Table};
use crate::store::{Blob, Lease, Position, TelemetryEntry};

/// Blobs read at a time: each has megabytes.
const BLOBS: i64 = 8;

pub(super) async fn page(
    connection: &mut PgConnection,
    table: Table,
    after: Option<&Row>,
    limit: usize,
) -> sqlx::Result<Vec<Row>> {
    let limit = rows::stored(limit as u64);
    let sql = page_sql(table);
    let query = sqlx::query(&sql);
    let (query, read): (_, fn(&PgRow) -> sqlx::Result<Row>) = match table {
        Table::Keys => {
            let (id, key) = match after {
                Some(Row::Key(row)) => (rows::text(&row.aggregate_id), row.key.clone()),
                _ => Default::default(),
            };
            (query.bind(id).bind(key).bind(limit), key_row)
        }
        Table::Blobs => {
            let digest = match after {
                Some(Row::Blob(blob)) => blob.digest.as_bytes().to_vec(),
                _ => Vec::new(),
            };
            (query.bind(digest).bind(limit.min(BLOBS)), blob)
        }
        Table::Leases => {
            (query.bind(sandbox_of(after)).bind(limit), |row| leases::lease(row).map(Row::Lease))
        }
        Table::Telemetry => {
            let number = match after {
                Some(Row::Telemetry(_, entry)) => rows::stored(entry.number),
                _ => -1,
            };
            let id = sandbox_of(after).unwrap_or(Uuid::nil());
            (query.bind(id).bind(number).bind(limit), entry)
        }
        Table::Counters => (query.bind(sandbox_of(after)).bind(limit), |row| {
            Ok(Row::Counter(SandboxId::new(row.try_get(0)?), rows::fetched(row, 1)?))
        }),
        Table::Cursors => {
            let duty = match after {
                Some(Row::Cursor(duty, _)) => duty.clone(),
                _ => String::new(),
            };
            (query.bind(duty).bind(limit), |row| {
                Ok(Row::Cursor(row.try_get(0)?, Position(rows::fetched(row, 1)?)))
            })
        }
    };
    query.fetch_all(connection).await?.iter().map(read).collect()
}

fn page_sql(table: Table) -> String {
    let leases = format!(
        "SELECT {} FROM leases WHERE $1 IS NULL OR sandbox > $1 ORDER BY sandbox LIMIT $2",
        leases::COLUMNS
    );
    match table {
        Table::Keys => {
            "SELECT aggregate_id, key, request, position, version, hash, recorded_at, answer
             FROM idempotency_keys WHERE (aggregate_id, key) > ($1, $2)
             ORDER BY aggregate_id, key LIMIT $3"
        }
        Table::Blobs => {
            "SELECT digest, bytes FROM blobs WHERE digest > $1 ORDER BY digest LIMIT $2"
        }
        Table::Leases => &leases,
        Table::Telemetry => {
            "SELECT sandbox, number, at, kind, body FROM telemetry
             WHERE (sandbox, number) > ($1, $2) ORDER BY sandbox, number LIMIT $3"
        }
        Table::Counters => {
            "SELECT sandbox, last_number FROM telemetry_counters
             WHERE $1 IS NULL OR sandbox > $1 ORDER BY sandbox LIMIT $2"
        }
        Table::Cursors => {
            "SELECT duty, position FROM cursors WHERE duty COLLATE \"C\" > $1
             ORDER BY duty COLLATE \"C\" LIMIT $2"
        }
    }
    .to_owned()
}

fn sandbox_of(after: Option<&Row>) -> Option<Uuid> {
    match after? {
        Row::Lease(lease) => Some(lease.sandbox.uuid()),
        Row::Telemetry(sandbox, _) | Row::Counter(sandbox, _) => Some(sandbox.uuid()),
        Row::Key(_) | Row::Blob(_) | Row::Cursor(..) => None,
    }
}

fn key_row(row: &PgRow) -> sqlx::Result<Row> {
    let id: &str = row.try_get(0)?;
    let aggregate_id = Uuid::try_parse(id).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Row::Key(KeyRow {
        aggregate_id,
        key: row.try_get(1)?,
        request: rows::digest(row, 2)?,
        position: Position(rows::fetched(row, 3)?),
        version: rows::fetched(row, 4)?,
        hash: rows::digest(row, 5)?,
        recorded_at: rows::time(row, 6)?,
        answer: row.try_get(7)?,
    }))
}

fn blob(row: &PgRow) -> sqlx::Result<Row> {
    Ok(Row::Blob(Blob { digest: rows::digest(row, 0)?, bytes: row.try_get(1)? }))
}

fn entry(row: &PgRow) -> sqlx::Result<Row> {
    let entry = TelemetryEntry {
        number: rows::fetched(row, 1)?,
        at: rows::time(row, 2)?,
        kind: row.try_get(3)?,
        body: row.try_get(4)?,
    };
    Ok(Row::Telemetry(SandboxId::new(row.try_get(0)?), entry))
}

pub(super) async fn clear(connection: &mut PgConnection, table: Table) -> sqlx::Result<()> {
    let sql = match table {
        Table::Keys => "DELETE FROM idempotency_keys",
        Table::Blobs => "DELETE FROM blobs",
        Table::Leases => "DELETE FROM leases",
        Table::Telemetry => "DELETE FROM telemetry",
        Table::Counters => "DELETE FROM telemetry_counters",
        Table::Cursors => "DELETE FROM cursors",
    };
    connection.execute(sql).await.map(|_| ())
}

/// Writes a row, unless it is there.
pub(super) async fn put(connection: &mut PgConnection, row: &Row) -> sqlx::Result<()> {
    let query = match row {
        Row::Key(row) => put_key(row),
        Row::Blob(blob) => put_blob(blob),
        Row::Lease(lease) => put_lease(lease),
        Row::Telemetry(sandbox, entry) => put_entry(*sandbox, entry),
        Row::Counter(sandbox, last) => sqlx::query(
            "INSERT INTO telemetry_counters (sandbox, last_number) VALUES ($1, $2)
             ON CONFLICT DO NOTHING",
        )
        .bind(sandbox.uuid())
        .bind(rows::stored(*last)),
        Row::Cursor(duty, position) => sqlx::query(
            "INSERT INTO cursors (duty, position) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(duty)
        .bind(rows::stored(position.0)),
    };
    query.execute(connection).await.map(|_| ())
}

type Put<'q> = Query<'q, Postgres, PgArguments>;

fn put_key(row: &KeyRow) -> Put<'_> {
    sqlx::query(
        "INSERT INTO idempotency_keys
             (aggregate_id, key, request, position, version, hash, recorded_at, answer)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
    )
    .bind(rows::text(&row.aggregate_id))
    .bind(rows::storable(&row.key))
    .bind(row.request.as_bytes().as_slice())
    .bind(rows::stored(row.position.0))
    .bind(rows::stored(row.version))
    .bind(row.hash.as_bytes().as_slice())
    .bind(row.recorded_at.micros())
    .bind(rows::storable(&row.answer))
}

fn put_blob(blob: &Blob) -> Put<'_> {
    sqlx::query("INSERT INTO blobs (digest, bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(blob.digest.as_bytes().as_slice())
        .bind(&blob.bytes)
}

fn put_entry(sandbox: SandboxId, entry: &TelemetryEntry) -> Put<'_> {
    sqlx::query(
        "INSERT INTO telemetry (sandbox, number, at, kind, body) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
    )
    .bind(sandbox.uuid())
    .bind(rows::stored(entry.number))
    .bind(entry.at.micros())
    .bind(rows::storable(&entry.kind))
    .bind(rows::storable(&entry.body))
}

fn put_lease(lease: &Lease) -> Put<'_> {
    sqlx::query(
        "INSERT INTO leases (sandbox, owner, epoch, state, instance, engine, handle, lease_ms,
             expires_at, last_heard, last_progress,
             input_tokens, output_tokens, cost_micro_usd, duration_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         ON CONFLICT DO NOTHING",
    )
    .bind(lease.sandbox.uuid())
    .bind(lease.owner)
    .bind(i64::from(lease.epoch.0))
    .bind(leases::state_text(lease.state))
    .bind(lease.instance.map(InstanceId::uuid))
    .bind(lease.engine)
    .bind(rows::storable(&lease.handle))
    .bind(rows::stored(lease.lease_ms))
    .bind(lease.expires_at.micros())
    .bind(lease.last_heard.micros())
    .bind(lease.last_progress.micros())
    .bind(rows::stored(lease.usage.input_tokens))
    .bind(rows::stored(lease.usage.output_tokens))
    .bind(rows::stored(lease.usage.cost_micro_usd))
    .bind(rows::stored(lease.usage.duration_ms))
}
