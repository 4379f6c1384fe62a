//! The trait `Audit` on `SqliteLog`: queries by the index beside the log, and the tables of the
//! seals.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row};

use super::error::log_error;
use super::events;
use super::index::{Found, Reader};
use super::log::SqliteLog;
use super::rows::{self, EVENT_COLUMNS};
use crate::store::audit::{
    Audit, Bounds, Leaf, MAX_SCANNED, Order, Page, Query, Run, Seal, joined, parted,
};
use crate::store::{LogError, Position};

/// Bytes of a seal's row, roughly.
const SEAL_BYTES: usize = 500;

const SEAL_COLUMNS: &str = "n, root, last_position, at, frontier";

#[async_trait]
impl Audit for SqliteLog {
    async fn find(&self, query: &Query) -> Result<Page, LogError> {
        let (query, index) = (query.clone(), self.index());
        self.read(move |connection| find(connection, &index, &query)).await
    }

    async fn indexed(&self) -> Result<Position, LogError> {
        let index = self.index();
        let reached = self.read(move |connection| index.reached(connection).map_err(log_error));
        reached.await.map(Position)
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

/// What the index has is looked up there; what it does not have yet is looked through.
fn find(connection: &Connection, index: &Reader, query: &Query) -> Result<Page, LogError> {
    let page = found(connection, index, query)?;
    events::check(connection, &page.events)?;
    Ok(page)
}

fn found(connection: &Connection, index: &Reader, query: &Query) -> Result<Page, LogError> {
    let before = |at: Option<specline_aggregates::Timestamp>| {
        at.map(|at| position_before(connection, at.micros())).transpose().map_err(log_error)
    };
    let bounds = query.bounds(before(query.filter.from)?, before(query.filter.to)?);
    if query.filter.conditions().is_empty() {
        return looked_through(connection, query, bounds, Page::default());
    }
    let reached = index.reached(connection).map_err(log_error)?;
    match looked_up(connection, index, query, (bounds, reached))? {
        Some(page) => Ok(page),
        None => looked_through(connection, query, bounds, Page::default()),
    }
}

/// What the index has up to `reached`, and what follows in the log. None: the index failed.
fn looked_up(
    connection: &Connection,
    index: &Reader,
    query: &Query,
    (bounds, reached): (Bounds, u64),
) -> Result<Option<Page>, LogError> {
    let indexed = Bounds { high: bounds.high.min(reached), ..bounds };
    let rest = Bounds { low: bounds.low.max(reached), ..bounds };
    let look_up = |page: Page| {
        let limit = query.limit - page.events.len();
        let found = index.find(&query.filter.conditions(), (indexed, query.order), limit);
        found.map(|found| fetched(connection, query, found, page)).transpose()
    };
    match query.order {
        Order::OldestFirst => match look_up(Page::default())? {
            Some(page) if page.next.is_none() => {
                looked_through(connection, query, rest, page).map(Some)
            }
            page => Ok(page),
        },
        Order::NewestFirst => {
            let page = looked_through(connection, query, rest, Page::default())?;
            if page.next.is_some() { Ok(Some(page)) } else { look_up(page) }
        }
    }
}

/// Adds the events at the positions that were found to `page`.
fn fetched(
    connection: &Connection,
    query: &Query,
    found: Found,
    mut page: Page,
) -> Result<Page, LogError> {
    let sql = format!("SELECT {EVENT_COLUMNS} FROM events WHERE position = ?1");
    let mut statement = connection.prepare_cached(&sql).map_err(log_error)?;
    for position in found.positions {
        let mut row = statement.query([rows::stored(position)]).map_err(log_error)?;
        if let Some(row) = row.next().map_err(log_error)? {
            let event = rows::recorded(row)?;
            // Two values may have one term.
            if query.filter.fits(&event) {
                page.events.push(event);
            }
        }
    }
    page.next = found.stopped_at.map(Position);
    Ok(page)
}

/// Adds what fits in `bounds` to `page`, event by event.
fn looked_through(
    connection: &Connection,
    query: &Query,
    bounds: Bounds,
    mut page: Page,
) -> Result<Page, LogError> {
    let direction = match query.order {
        Order::OldestFirst => "ASC",
        Order::NewestFirst => "DESC",
    };
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE position > ?1 AND position <= ?2
         ORDER BY position {direction} LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(log_error)?;
    let key = (rows::stored(bounds.low), rows::stored(bounds.high), MAX_SCANNED);
    let mut found = statement.query(key).map_err(log_error)?;
    let mut scanned = 0;
    while let Some(row) = found.next().map_err(log_error)? {
        let event = rows::recorded(row)?;
        scanned += 1;
        let position = event.position;
        if query.filter.fits(&event) {
            page.events.push(event);
        }
        if page.events.len() == query.limit || scanned == MAX_SCANNED {
            page.next = Some(position);
            break;
        }
    }
    Ok(page)
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
