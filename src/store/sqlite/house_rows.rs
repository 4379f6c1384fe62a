//! The rows beside the events, as a copy reads and writes them.

use rusqlite::{Connection, Params, Row as Found};
use specline_aggregates::SandboxId;

use super::{blobs, leases, rows};
use crate::store::house::{KeyRow, Row, Table};
use crate::store::verify::MAX_PAGE_BYTES;
use crate::store::{Blob, Position, TelemetryEntry};

pub(super) fn page(
    connection: &Connection,
    table: Table,
    after: Option<&Row>,
    limit: usize,
) -> rusqlite::Result<Vec<Row>> {
    let page = Page { connection, limit: rows::stored(limit as u64) };
    match table {
        Table::Keys => page.keys(after),
        Table::Blobs => page.blobs(after),
        Table::Leases => page.leases(after),
        Table::Telemetry => page.telemetry(after),
        Table::Counters => page.counters(after),
        Table::Cursors => page.cursors(after),
    }
}

struct Page<'a> {
    connection: &'a Connection,
    limit: i64,
}

/// Before every id, as text.
fn sandbox_after(after: Option<&Row>) -> String {
    let sandbox = after.and_then(|row| match row {
        Row::Lease(lease) => Some(lease.sandbox),
        Row::Telemetry(sandbox, _) | Row::Counter(sandbox, _) => Some(*sandbox),
        Row::Key(_) | Row::Blob(_) | Row::Cursor(..) => None,
    });
    sandbox.map(|sandbox| rows::text(&sandbox.uuid())).unwrap_or_default()
}

fn sandbox(row: &Found<'_>, column: usize) -> rusqlite::Result<SandboxId> {
    Ok(SandboxId::new(rows::uuid(row, column)?))
}

impl Page<'_> {
    fn query(
        &self,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Found<'_>) -> rusqlite::Result<Row>,
    ) -> rusqlite::Result<Vec<Row>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut found = statement.query(params)?;
        let (mut page, mut bytes) = (Vec::new(), 0);
        while bytes < MAX_PAGE_BYTES
            && let Some(row) = found.next()?
        {
            let row = read(row)?;
            if let Row::Blob(blob) = &row {
                bytes += blob.bytes.len();
            }
            page.push(row);
        }
        Ok(page)
    }

    fn keys(&self, after: Option<&Row>) -> rusqlite::Result<Vec<Row>> {
        let (id, key) = match after {
            Some(Row::Key(row)) => (rows::text(&row.aggregate_id), row.key.clone()),
            _ => Default::default(),
        };
        let sql = "SELECT aggregate_id, key, request, position, version, hash, recorded_at, answer
             FROM idempotency_keys WHERE (aggregate_id, key) > (?1, ?2)
             ORDER BY aggregate_id, key LIMIT ?3";
        self.query(sql, (id, key, self.limit), |row| {
            Ok(Row::Key(KeyRow {
                aggregate_id: rows::uuid(row, 0)?,
                key: row.get(1)?,
                request: rows::digest(row, 2)?,
                position: Position(rows::fetched(row, 3)?),
                version: rows::fetched(row, 4)?,
                hash: rows::digest(row, 5)?,
                recorded_at: rows::time(row, 6)?,
                answer: row.get(7)?,
            }))
        })
    }

    fn blobs(&self, after: Option<&Row>) -> rusqlite::Result<Vec<Row>> {
        let digest = match after {
            Some(Row::Blob(blob)) => blob.digest.as_bytes().to_vec(),
            _ => Vec::new(),
        };
        let sql = "SELECT digest, bytes FROM blobs WHERE digest > ?1 ORDER BY digest LIMIT ?2";
        self.query(sql, (digest, self.limit), |row| {
            Ok(Row::Blob(Blob { digest: rows::digest(row, 0)?, bytes: row.get(1)? }))
        })
    }

    fn leases(&self, after: Option<&Row>) -> rusqlite::Result<Vec<Row>> {
        let sql = format!(
            "SELECT {} FROM leases WHERE sandbox > ?1 ORDER BY sandbox LIMIT ?2",
            leases::COLUMNS
        );
        self.query(&sql, (sandbox_after(after), self.limit), |row| {
            leases::lease(row).map(Row::Lease)
        })
    }

    fn telemetry(&self, after: Option<&Row>) -> rusqlite::Result<Vec<Row>> {
        let number = match after {
            Some(Row::Telemetry(_, entry)) => rows::stored(entry.number),
            _ => 0,
        };
        let sql = "SELECT sandbox, number, at, kind, body FROM telemetry
             WHERE (sandbox, number) > (?1, ?2) ORDER BY sandbox, number LIMIT ?3";
        self.query(sql, (sandbox_after(after), number, self.limit), |row| {
            let entry = TelemetryEntry {
                number: rows::fetched(row, 1)?,
                at: rows::time(row, 2)?,
                kind: row.get(3)?,
                body: row.get(4)?,
            };
            Ok(Row::Telemetry(sandbox(row, 0)?, entry))
        })
    }

    fn counters(&self, after: Option<&Row>) -> rusqlite::Result<Vec<Row>> {
        let sql = "SELECT sandbox, last_number FROM telemetry_counters
             WHERE sandbox > ?1 ORDER BY sandbox LIMIT ?2";
        self.query(sql, (sandbox_after(after), self.limit), |row| {
            Ok(Row::Counter(sandbox(row, 0)?, rows::fetched(row, 1)?))
        })
    }

    fn cursors(&self, after: Option<&Row>) -> rusqlite::Result<Vec<Row>> {
        let duty = match after {
            Some(Row::Cursor(duty, _)) => duty.as_str(),
            _ => "",
        };
        let sql = "SELECT duty, position FROM cursors WHERE duty > ?1 ORDER BY duty LIMIT ?2";
        self.query(sql, (duty, self.limit), |row| {
            Ok(Row::Cursor(row.get(0)?, Position(rows::fetched(row, 1)?)))
        })
    }
}

pub(super) fn clear(connection: &Connection, table: Table) -> rusqlite::Result<()> {
    connection.execute_batch(match table {
        Table::Keys => "DELETE FROM idempotency_keys",
        Table::Blobs => "DELETE FROM blobs",
        Table::Leases => "DELETE FROM leases",
        Table::Telemetry => "DELETE FROM telemetry",
        Table::Counters => "DELETE FROM telemetry_counters",
        Table::Cursors => "DELETE FROM cursors",
    })
}

/// Writes a row, unless it is there.
pub(super) fn put(connection: &Connection, row: &Row) -> rusqlite::Result<()> {
    match row {
        Row::Key(row) => put_key(connection, row),
        Row::Blob(blob) => blobs::put(connection, blob),
        Row::Lease(lease) => leases::put(connection, lease),
        Row::Telemetry(sandbox, entry) => put_entry(connection, *sandbox, entry),
        Row::Counter(sandbox, last) => connection
            .prepare_cached(
                "INSERT INTO telemetry_counters (sandbox, last_number) VALUES (?1, ?2)
                 ON CONFLICT DO NOTHING",
            )?
            .execute((rows::text(&sandbox.uuid()), rows::stored(*last)))
            .map(|_| ()),
        Row::Cursor(duty, position) => connection
            .prepare_cached(
                "INSERT INTO cursors (duty, position) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?
            .execute((duty, rows::stored(position.0)))
            .map(|_| ()),
    }
}

fn put_key(connection: &Connection, row: &KeyRow) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO idempotency_keys
             (aggregate_id, key, request, position, version, hash, recorded_at, answer)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
    )?;
    statement.execute((
        rows::text(&row.aggregate_id),
        &row.key,
        row.request.as_bytes(),
        rows::stored(row.position.0),
        rows::stored(row.version),
        row.hash.as_bytes(),
        row.recorded_at.micros(),
        &row.answer,
    ))?;
    Ok(())
}

fn put_entry(
    connection: &Connection,
    sandbox: SandboxId,
    entry: &TelemetryEntry,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO telemetry (sandbox, number, at, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO NOTHING",
    )?;
    let key = (rows::text(&sandbox.uuid()), rows::stored(entry.number));
    statement.execute((key.0, key.1, entry.at.micros(), &entry.kind, &entry.body))?;
    Ok(())
}
