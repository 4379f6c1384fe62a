//! The table of subtrees' roots, which proofs are made from.

use std::collections::HashMap;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};
use specline_aggregates::Digest;

use super::error::log_error;
use super::log::SqliteLog;
use super::rows;
use crate::store::LogError;
use crate::store::seals::{Subtree, Subtrees};

/// Bytes of a row, roughly.
const ROW_BYTES: usize = 50;

#[async_trait]
impl Subtrees for SqliteLog {
    async fn subtrees(&self, wanted: Vec<Subtree>) -> Result<HashMap<Subtree, Digest>, LogError> {
        self.read(move |connection| subtrees(connection, &wanted).map_err(log_error)).await
    }

    async fn count_subtrees(&self, height: u32) -> Result<u64, LogError> {
        let sql = "SELECT coalesce(max(number) + 1, 0) FROM seal_subtrees WHERE height = ?1";
        self.read(move |connection| {
            let found = connection.query_row(sql, [height], |row| rows::fetched(row, 0));
            found.map_err(log_error)
        })
        .await
    }

    async fn put_subtrees(&self, made: Vec<(Subtree, Digest)>) -> Result<(), LogError> {
        self.write(made.len() * ROW_BYTES, move |batch| {
            let sql = "INSERT INTO seal_subtrees (height, number, root) VALUES (?1, ?2, ?3)
                       ON CONFLICT (height, number) DO NOTHING";
            let mut statement = batch.connection.prepare_cached(sql)?;
            for (Subtree { height, number }, root) in &made {
                statement.execute((height, rows::stored(*number), root.as_bytes()))?;
            }
            Ok(())
        })
        .await
    }
}

fn subtrees(
    connection: &Connection,
    wanted: &[Subtree],
) -> rusqlite::Result<HashMap<Subtree, Digest>> {
    let sql = "SELECT root FROM seal_subtrees WHERE height = ?1 AND number = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = HashMap::new();
    for subtree in wanted {
        let key = (subtree.height, rows::stored(subtree.number));
        let root = statement.query_row(key, |row| rows::digest(row, 0)).optional()?;
        found.extend(root.map(|root| (*subtree, root)));
    }
    Ok(found)
}
