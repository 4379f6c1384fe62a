//! The trait `Audit` on `SqliteLog`: queries by index, and the tables of the seals.

use async_trait::async_trait;
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Row};

use super::error::log_error;
use super::log::SqliteLog;
use super::rows::{self, EVENT_COLUMNS};
use crate::store::audit::{
    Audit, Bounds, Column, Leaf, MAX_SCANNED, Order, Page, Query, Run, Seal, joined, parted,
};
use crate::store::{LogError, Position};

/// Bytes of a seal's row, roughly.
const SEAL_BYTES: usize = 500;

const SEAL_COLUMNS: &str = "n, root, last_position, at, frontier";

#[async_trait]
impl Audit for SqliteLog {
    async fn find(&self, query: &Query) -> Result<Page, LogError> {
        let query = query.clone();
        self.read(move |connection| find(connection, &query)).await
    }

    async fn leaves(&self, from: Position, limit: usize) -> Result<Vec<Leaf>, LogError> {
        let sql = "SELECT position, recorded_at, hash FROM events WHERE position >= ?1
                   ORDER BY position LIMIT ?2";
        let leaf = |row: &Row<'_>| {
            Ok(Leaf {
                position: Position(rows::fetched(row, 0)?),
                recorded_at: rows::time(row, 1)?,
                hash: rows::digest(row, 2)?,
            })
        };
        self.read(move |connection| list(connection, sql, (from.0, limit), leaf)).await
    }

    async fn seals(&self, after: u64, limit: usize) -> Result<Vec<Seal>, LogError> {
        let sql = format!("SELECT {SEAL_COLUMNS} FROM seals WHERE n > ?1 ORDER BY n LIMIT ?2");
        self.read(move |connection| list(connection, &sql, (after, limit), seal)).await
    }

    async fn seal_up_to(&self, n: u64) -> Result<Option<Seal>, LogError> {
        let sql =
            format!("SELECT {SEAL_COLUMNS} FROM seals WHERE n <= ?1 ORDER BY n DESC LIMIT ?2");
        let found = self.read(move |connection| list(connection, &sql, (n, 1), seal)).await?;
        Ok(found.into_iter().next())
    }

    async fn runs(&self, from: u64, limit: usize) -> Result<Vec<Run>, LogError> {
        let sql = "SELECT first, hashes FROM seal_leaves
                   WHERE first >= (SELECT coalesce(max(first), ?1) FROM seal_leaves
                                   WHERE first <= ?1)
                   ORDER BY first LIMIT ?2";
        let run = |row: &Row<'_>| {
            let bytes: Vec<u8> = row.get(1)?;
            Ok(Run { first: rows::fetched(row, 0)?, leaves: parted(&bytes) })
        };
        self.read(move |connection| list(connection, sql, (from, limit), run)).await
    }

    async fn put_seal(&self, seal: Seal, runs: Vec<Run>) -> Result<(), LogError> {
        let weight = runs.iter().map(|run| run.leaves.len() * 32).sum::<usize>() + SEAL_BYTES;
        self.write(weight, move |batch| {
            let sql = format!(
                "INSERT INTO seals ({SEAL_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (n) DO NOTHING"
            );
            let (n, last) = (rows::stored(seal.n), rows::stored(seal.last_position.0));
            let (root, frontier) = (seal.root.as_bytes(), joined(&seal.frontier));
            let row = (n, root, last, batch.now.micros(), frontier);
            if batch.connection.prepare_cached(&sql)?.execute(row)? == 0 {
                return Ok(());
            }
            let sql = "INSERT INTO seal_leaves (first, hashes) VALUES (?1, ?2)
                       ON CONFLICT (first) DO NOTHING";
            for run in &runs {
                let row = (rows::stored(run.first), joined(&run.leaves));
                batch.connection.prepare_cached(sql)?.execute(row)?;
            }
            Ok(())
        })
        .await
    }
}

fn seal(row: &Row<'_>) -> rusqlite::Result<Seal> {
    let frontier: Vec<u8> = row.get(4)?;
    Ok(Seal {
        n: rows::fetched(row, 0)?,
        root: rows::digest(row, 1)?,
        last_position: Position(rows::fetched(row, 2)?),
        at: rows::time(row, 3)?,
        frontier: parted(&frontier),
    })
}

fn list<T>(
    connection: &Connection,
    sql: &str,
    (from, limit): (u64, usize),
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, LogError> {
    let mut statement = connection.prepare_cached(sql).map_err(log_error)?;
    let key = (rows::stored(from), rows::stored(limit as u64));
    let found = statement.query_map(key, read).map_err(log_error)?;
    found.collect::<Result<_, _>>().map_err(log_error)
}

/// As it stands in the index, to the letter: only then does SQLite use it.
fn expression(column: Column) -> String {
    let word = |name: &str| {
        format!("CASE WHEN json_valid(metadata) THEN json_extract(metadata, '$.{name}') END")
    };
    match column {
        Column::Aggregate => "aggregate_id".to_owned(),
        Column::EventType => "event_type".to_owned(),
        // The plus keeps it from the index that begins with it, which has another order.
        Column::AggregateType => "+aggregate_type".to_owned(),
        Column::Actor => word("actor"),
        Column::Project => word("project_id"),
        Column::Correlation => word("correlation_id"),
        Column::Cause => word("causation_id"),
    }
}

/// The index of a column; none goes through the whole log.
const fn index(column: Column) -> Option<&'static str> {
    match column {
        Column::Aggregate => Some("events_by_aggregate"),
        Column::EventType => Some("events_by_type"),
        Column::Actor => Some("events_by_actor"),
        Column::Project => Some("events_by_project"),
        Column::Correlation => Some("events_by_correlation"),
        Column::Cause => Some("events_by_cause"),
        Column::AggregateType => None,
    }
}

fn find(connection: &Connection, query: &Query) -> Result<Page, LogError> {
    let before = |at: Option<specline_aggregates::Timestamp>| {
        at.map(|at| position_before(connection, at.micros())).transpose().map_err(log_error)
    };
    let bounds = query.bounds(before(query.filter.from)?, before(query.filter.to)?);
    let (found, scanned_to) = positions(connection, query, bounds).map_err(log_error)?;
    let sql = format!("SELECT {EVENT_COLUMNS} FROM events WHERE position = ?1");
    let mut statement = connection.prepare_cached(&sql).map_err(log_error)?;
    let mut events = Vec::with_capacity(found.len());
    for position in found {
        let mut row = statement.query([position]).map_err(log_error)?;
        if let Some(row) = row.next().map_err(log_error)? {
            events.push(rows::recorded(row)?);
        }
    }
    Ok(query.page(events, scanned_to))
}

/// The positions that fit, and where the look ended when it did not reach the end.
fn positions(
    connection: &Connection,
    query: &Query,
    bounds: Bounds,
) -> rusqlite::Result<(Vec<i64>, Option<u64>)> {
    let conditions = query.filter.conditions();
    let mut statement = connection.prepare_cached(&statement_of(query.order, &conditions))?;
    let (low, high) = (rows::stored(bounds.low), rows::stored(bounds.high));
    let mut values: Vec<&dyn ToSql> = vec![&low, &high];
    values.extend(conditions.iter().map(|(_, value)| value as &dyn ToSql));
    let mut rows = statement.query(values.as_slice())?;
    let (mut found, mut scanned) = (Vec::new(), 0);
    while found.len() < query.limit
        && let Some(row) = rows.next()?
    {
        let position: i64 = row.get(0)?;
        if row.get::<_, Option<bool>>(1)?.unwrap_or(false) {
            found.push(position);
        }
        scanned += 1;
        if scanned == MAX_SCANNED {
            return Ok((found, u64::try_from(position).ok()));
        }
    }
    Ok((found, None))
}

/// Goes through the first condition's index, and says of each position whether the rest fits.
fn statement_of(order: Order, conditions: &[(Column, String)]) -> String {
    let direction = match order {
        Order::OldestFirst => "ASC",
        Order::NewestFirst => "DESC",
    };
    let driver = conditions.first().and_then(|(column, _)| index(*column));
    let from = driver.map_or_else(|| "NOT INDEXED".to_owned(), |name| format!("INDEXED BY {name}"));
    let mut within = String::new();
    let mut fits = vec!["1".to_owned()];
    for (n, (column, _)) in conditions.iter().enumerate() {
        let expression = expression(*column);
        let condition = format!("({expression}) = ?{}", n + 3);
        if n > 0 || driver.is_none() {
            fits.push(condition);
        } else {
            within = format!(" AND {condition}");
            if *column == Column::Cause {
                // The index leaves out what has no cause.
                within.push_str(&format!(" AND ({expression}) IS NOT NULL"));
            }
        }
    }
    format!(
        "SELECT position, ({}) FROM events {from} WHERE position > ?1 AND position <= ?2{within}
         ORDER BY position {direction}",
        fits.join(" AND ")
    )
}

/// The last position that was recorded before `at`, in microseconds: times rise with positions.
fn position_before(connection: &Connection, at: i64) -> rusqlite::Result<u64> {
    let last = "SELECT coalesce(max(position), 0) FROM events";
    let last: i64 = connection.prepare_cached(last)?.query_row([], |row| row.get(0))?;
    let (mut low, mut high) = (0, last);
    let mut time =
        connection.prepare_cached("SELECT recorded_at FROM events WHERE position = ?1")?;
    while low < high {
        let middle = low + (high - low + 1) / 2;
        let found: Option<i64> = time.query_row([middle], |row| row.get(0)).optional()?;
        if found.is_some_and(|found| found < at) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok(u64::try_from(low).unwrap_or(0))
}
