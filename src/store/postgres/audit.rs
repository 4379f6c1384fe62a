//! The trait `Audit` on `PgLog`: the tables of the seals. Queries are in `find`.

use async_trait::async_trait;
use specline_pg::Pool;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::error::log_error;
use super::log::PgLog;
use super::reading::patiently;
use super::{find, rows};
use crate::store::audit::{Audit, Leaf, Page, Query, Run, Seal, joined, parted};
use crate::store::{EventLog, LogError, Position};

const SEAL_COLUMNS: &str = "n, root, last_position, at, frontier";

#[async_trait]
impl Audit for PgLog {
    async fn find(&self, query: &Query) -> Result<Page, LogError> {
        patiently(|| find::find(self.pool(), query)).await
    }

    /// The indexes are the events' own.
    async fn indexed(&self) -> Result<Position, LogError> {
        Ok(*EventLog::watch_head(self).borrow())
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
    pool: &Pool,
    sql: &str,
    (from, limit): (u64, usize),
    read: impl Fn(&PgRow) -> sqlx::Result<T>,
) -> Result<Vec<T>, LogError> {
    let query = sqlx::query(sql).bind(rows::stored(from)).bind(rows::stored(limit as u64));
    let found = query.fetch_all(pool).await.map_err(log_error)?;
    found.iter().map(read).collect::<Result<_, _>>().map_err(log_error)
}
