//! The trait `Audit` on `PgLog`: queries by index, and the tables of the seals.

use async_trait::async_trait;
use specline_aggregates::Timestamp;
use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};

use super::error::log_error;
use super::log::PgLog;
use super::rows::{self, EVENT_COLUMNS};
use crate::store::audit::{
    Audit, Bounds, Column, Leaf, MAX_SCANNED, Order, Page, Query, Run, Seal, joined, parted,
};
use crate::store::{LogError, Position};

const SEAL_COLUMNS: &str = "n, root, last_position, at, frontier";

#[async_trait]
impl Audit for PgLog {
    async fn find(&self, query: &Query) -> Result<Page, LogError> {
        find(self.pool(), query).await
    }

    async fn leaves(&self, from: Position, limit: usize) -> Result<Vec<Leaf>, LogError> {
        let sql = "SELECT position, recorded_at, hash FROM events WHERE position >= $1
                   ORDER BY position LIMIT $2";
        let leaf = |row: &PgRow| {
            Ok(Leaf {
                position: Position(rows::fetched(row, 0)?),
                recorded_at: rows::time(row, 1)?,
                hash: rows::digest(row, 2)?,
            })
        };
        list(self.pool(), sql, (from.0, limit), leaf).await
    }

    async fn seals(&self, after: u64, limit: usize) -> Result<Vec<Seal>, LogError> {
        let sql = format!("SELECT {SEAL_COLUMNS} FROM seals WHERE n > $1 ORDER BY n LIMIT $2");
        list(self.pool(), &sql, (after, limit), seal).await
    }

    async fn seal_up_to(&self, n: u64) -> Result<Option<Seal>, LogError> {
        let sql =
            format!("SELECT {SEAL_COLUMNS} FROM seals WHERE n <= $1 ORDER BY n DESC LIMIT $2");
        Ok(list(self.pool(), &sql, (n, 1), seal).await?.into_iter().next())
    }

    async fn runs(&self, from: u64, limit: usize) -> Result<Vec<Run>, LogError> {
        let sql = "SELECT first, hashes FROM seal_leaves
                   WHERE first >= (SELECT coalesce(max(first), $1) FROM seal_leaves
                                   WHERE first <= $1)
                   ORDER BY first LIMIT $2";
        let run = |row: &PgRow| {
            let bytes: &[u8] = row.try_get(1)?;
            Ok(Run { first: rows::fetched(row, 0)?, leaves: parted(bytes) })
        };
        list(self.pool(), sql, (from, limit), run).await
    }

    async fn put_seal(&self, seal: Seal, runs: Vec<Run>) -> Result<(), LogError> {
        self.writable()?;
        let sql = format!(
            "WITH sealed AS (
                 INSERT INTO seals ({SEAL_COLUMNS}) VALUES ($1, $2, $3, specline_now($4), $5)
                 ON CONFLICT (n) DO NOTHING RETURNING n)
             INSERT INTO seal_leaves (first, hashes)
             SELECT r.first, r.hashes FROM unnest($6::bigint[], $7::bytea[]) AS r (first, hashes)
             WHERE EXISTS (SELECT FROM sealed)
             ON CONFLICT (first) DO NOTHING"
        );
        let firsts: Vec<i64> = runs.iter().map(|run| rows::stored(run.first)).collect();
        let hashes: Vec<Vec<u8>> = runs.iter().map(|run| joined(&run.leaves)).collect();
        sqlx::query(&sql)
            .bind(rows::stored(seal.n))
            .bind(&seal.root.as_bytes()[..])
            .bind(rows::stored(seal.last_position.0))
            .bind(self.given_now())
            .bind(joined(&seal.frontier))
            .bind(firsts)
            .bind(hashes)
            .execute(self.pool())
            .await
            .map_err(log_error)?;
        Ok(())
    }
}

fn seal(row: &PgRow) -> sqlx::Result<Seal> {
    Ok(Seal {
        n: rows::fetched(row, 0)?,
        root: rows::digest(row, 1)?,
        last_position: Position(rows::fetched(row, 2)?),
        at: rows::time(row, 3)?,
        frontier: parted(row.try_get(4)?),
    })
}

async fn list<T>(
    pool: &PgPool,
    sql: &str,
    (from, limit): (u64, usize),
    read: impl Fn(&PgRow) -> sqlx::Result<T>,
) -> Result<Vec<T>, LogError> {
    let query = sqlx::query(sql).bind(rows::stored(from)).bind(rows::stored(limit as u64));
    let found = query.fetch_all(pool).await.map_err(log_error)?;
    found.iter().map(read).collect::<Result<_, _>>().map_err(log_error)
}

/// As it stands in the index.
fn expression(column: Column) -> String {
    let word = |name: &str| format!("specline_word(metadata, '{name}')");
    match column {
        Column::Aggregate => "aggregate_id".to_owned(),
        Column::EventType => "event_type".to_owned(),
        Column::AggregateType => "aggregate_type".to_owned(),
        Column::Actor => word("actor"),
        Column::Project => word("project_id"),
        Column::Correlation => word("correlation_id"),
        Column::Cause => word("causation_id"),
    }
}

/// A statement's parts: what it goes by, and what it looks at in each event.
struct Parts {
    within: String,
    fits: String,
    direction: &'static str,
}

fn parts(query: &Query, conditions: &[(Column, String)]) -> Parts {
    let mut within = String::new();
    let mut fits = String::new();
    for (n, (column, _)) in conditions.iter().enumerate() {
        let expression = expression(*column);
        let condition = match column {
            Column::Aggregate | Column::AggregateType | Column::EventType => {
                format!(" AND {expression} = ${}", n + 3)
            }
            Column::Actor | Column::Project | Column::Correlation | Column::Cause => {
                format!(" AND {expression} = left(${}, 200)", n + 3)
            }
        };
        if n > 0 || *column == Column::AggregateType {
            fits.push_str(&condition);
        } else {
            within.push_str(&condition);
            if *column == Column::Cause {
                // The index leaves out what has no cause.
                within.push_str(&format!(" AND {expression} IS NOT NULL"));
            }
        }
    }
    let direction = match query.order {
        Order::OldestFirst => "ASC",
        Order::NewestFirst => "DESC",
    };
    Parts { within, fits, direction }
}

async fn find(pool: &PgPool, query: &Query) -> Result<Page, LogError> {
    let (from, to) = (query.filter.from, query.filter.to);
    let (before, until) = if from.is_none() && to.is_none() {
        (None, None)
    } else {
        let micros = Timestamp::micros;
        positions_before(pool, from.map(micros), to.map(micros)).await?
    };
    let bounds = query.bounds(before, until);
    let conditions = query.filter.conditions();
    let Parts { within, fits, direction } = parts(query, &conditions);
    // The inner limit is what may be looked at; both are in the index's own order.
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM (
             SELECT * FROM events WHERE position > $1 AND position <= $2{within}
             ORDER BY position {direction} LIMIT {MAX_SCANNED}) looked_at
         WHERE true{fits} ORDER BY position {direction} LIMIT ${}",
        conditions.len() + 3
    );
    let mut statement =
        sqlx::query(&sql).bind(rows::stored(bounds.low)).bind(rows::stored(bounds.high));
    for (_, value) in &conditions {
        statement = statement.bind(rows::storable(value).into_owned());
    }
    let statement = statement.bind(rows::stored(query.limit as u64));
    let found = if fits.is_empty() {
        statement.fetch_all(pool).await.map_err(log_error)?
    } else {
        // A few events are wanted: all that may be looked at must not be gathered and sorted first.
        let mut transaction = pool.begin().await.map_err(log_error)?;
        let plan = "SET LOCAL enable_bitmapscan = off";
        sqlx::query(plan).execute(&mut *transaction).await.map_err(log_error)?;
        let found = statement.fetch_all(&mut *transaction).await.map_err(log_error)?;
        transaction.commit().await.map_err(log_error)?;
        found
    };
    let events = found.iter().map(rows::recorded).collect::<Result<Vec<_>, _>>()?;
    let scanned_to = if events.len() >= query.limit || fits.is_empty() {
        None
    } else {
        end_of_look(pool, query, bounds).await?
    };
    Ok(query.page(events, scanned_to))
}

/// Where the look ended, when it did not reach the end.
async fn end_of_look(
    pool: &PgPool,
    query: &Query,
    bounds: Bounds,
) -> Result<Option<u64>, LogError> {
    let conditions = query.filter.conditions();
    let Parts { within, direction, .. } = parts(query, &conditions);
    let sql = format!(
        "SELECT position FROM events WHERE position > $1 AND position <= $2{within}
         ORDER BY position {direction} OFFSET {} LIMIT 1",
        MAX_SCANNED - 1
    );
    let mut statement =
        sqlx::query(&sql).bind(rows::stored(bounds.low)).bind(rows::stored(bounds.high));
    if !within.is_empty() {
        statement = statement.bind(rows::storable(&conditions[0].1).into_owned());
    }
    let row = statement.fetch_optional(pool).await.map_err(log_error)?;
    row.map(|row| rows::fetched(&row, 0)).transpose().map_err(log_error)
}

async fn positions_before(
    pool: &PgPool,
    from: Option<i64>,
    to: Option<i64>,
) -> Result<(Option<u64>, Option<u64>), LogError> {
    let sql = "SELECT CASE WHEN $1::bigint IS NOT NULL THEN specline_position_before($1) END,
                      CASE WHEN $2::bigint IS NOT NULL THEN specline_position_before($2) END";
    let row = sqlx::query(sql).bind(from).bind(to).fetch_one(pool).await.map_err(log_error)?;
    let read = |column: usize| -> sqlx::Result<Option<u64>> {
        let position: Option<i64> = row.try_get(column)?;
        Ok(position.and_then(|position| u64::try_from(position).ok()))
    };
    Ok((read(0).map_err(log_error)?, read(1).map_err(log_error)?))
}
