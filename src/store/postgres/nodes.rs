//! Who works on the log, and on what: nodes and their claims, as SQL.

use specline_pg::Pool;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::error::log_error;
use super::rows;
use crate::store::{Beat, LogError, NODE_LASTS_MS, Node, Peer};

pub(super) async fn beat(
    pool: &Pool,
    node: &Node,
    duties: &[&str],
    now: Option<i64>,
) -> Result<Beat, LogError> {
    let found = sqlx::query("SELECT * FROM specline_beat($1, $2, $3, $4, $5, $6, $7)")
        .bind(now)
        .bind(node.id)
        .bind(&node.place)
        .bind(&node.api_url)
        .bind(&node.version)
        .bind(rows::stored(NODE_LASTS_MS))
        .bind(duties)
        .fetch_all(pool)
        .await
        .map_err(log_error)?;
    let read = || -> sqlx::Result<Beat> {
        let mut beat = Beat::default();
        for row in &found {
            beat.peers.push(peer(row)?);
            beat.held = row.try_get("held")?;
            beat.leased = row.try_get("leased")?;
        }
        Ok(beat)
    };
    read().map_err(log_error)
}

fn peer(row: &PgRow) -> sqlx::Result<Peer> {
    let node = Node {
        id: row.try_get("id")?,
        place: row.try_get("place")?,
        api_url: row.try_get("api_url")?,
        version: row.try_get("version")?,
    };
    Ok(Peer { node, alive: row.try_get("alive")? })
}

/// The node's row stays, as dead, for as long as a lease names it.
pub(super) async fn leave(pool: &Pool, node: Uuid) -> Result<(), LogError> {
    let sql = "WITH released AS (DELETE FROM work_claims WHERE owner = $1)
               UPDATE nodes SET expires_at = 0 WHERE id = $1";
    sqlx::query(sql).bind(node).execute(pool).await.map_err(log_error)?;
    Ok(())
}

/// The keys are taken in one order everywhere, so that two nodes never wait in a circle.
pub(super) async fn claim(
    pool: &Pool,
    keys: &[String],
    (owner, for_ms): (Uuid, u64),
    now: Option<i64>,
) -> Result<Vec<String>, LogError> {
    let sql = "INSERT INTO work_claims AS c (key, owner, expires_at)
               SELECT k, $2, t.now + $3 * 1000
               FROM specline_now($4) AS t (now), (SELECT DISTINCT unnest($1) ORDER BY 1) AS d (k)
               ON CONFLICT (key) DO UPDATE SET owner = excluded.owner,
                   expires_at = excluded.expires_at
               WHERE c.owner = excluded.owner OR c.expires_at <= excluded.expires_at - $3 * 1000
               RETURNING c.key";
    let query = sqlx::query(sql).bind(keys).bind(owner).bind(rows::stored(for_ms)).bind(now);
    let found = query.fetch_all(pool).await.map_err(log_error)?;
    found.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>().map_err(log_error)
}

pub(super) async fn release(pool: &Pool, key: &str, owner: Uuid) -> Result<(), LogError> {
    let sql = "DELETE FROM work_claims WHERE key = $1 AND owner = $2";
    sqlx::query(sql).bind(key).bind(owner).execute(pool).await.map_err(log_error)?;
    Ok(())
}
