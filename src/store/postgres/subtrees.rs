//! The table of subtrees' roots, which proofs are made from.

use std::collections::HashMap;

use async_trait::async_trait;
use specline_aggregates::Digest;
use sqlx::Row;

use super::error::log_error;
use super::log::PgLog;
use super::rows;
use crate::store::LogError;
use crate::store::seals::{Subtree, Subtrees};

#[async_trait]
impl Subtrees for PgLog {
    async fn subtrees(&self, wanted: Vec<Subtree>) -> Result<HashMap<Subtree, Digest>, LogError> {
        let sql = "SELECT t.height, t.number, t.root
             FROM unnest($1::integer[], $2::bigint[]) AS w (height, number)
             JOIN seal_subtrees t ON t.height = w.height AND t.number = w.number";
        let (heights, numbers) = columns(&wanted);
        let found = sqlx::query(sql).bind(heights).bind(numbers).fetch_all(self.pool()).await;
        let read = |row: &sqlx::postgres::PgRow| -> sqlx::Result<(Subtree, Digest)> {
            let height: i32 = row.try_get(0)?;
            let height = u32::try_from(height).unwrap_or(0);
            Ok((Subtree { height, number: rows::fetched(row, 1)? }, rows::digest(row, 2)?))
        };
        found.map_err(log_error)?.iter().map(read).collect::<Result<_, _>>().map_err(log_error)
    }

    async fn count_subtrees(&self, height: u32) -> Result<u64, LogError> {
        let sql = "SELECT coalesce(max(number) + 1, 0) FROM seal_subtrees WHERE height = $1";
        let height = i32::try_from(height).unwrap_or(i32::MAX);
        let row = sqlx::query(sql).bind(height).fetch_one(self.pool()).await;
        rows::fetched(&row.map_err(log_error)?, 0).map_err(log_error)
    }

    async fn put_subtrees(&self, made: Vec<(Subtree, Digest)>) -> Result<(), LogError> {
        self.writable()?;
        let sql = "INSERT INTO seal_subtrees (height, number, root)
             SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bytea[])
             ON CONFLICT (height, number) DO NOTHING";
        let (subtrees, roots): (Vec<Subtree>, Vec<Digest>) = made.into_iter().unzip();
        let (heights, numbers) = columns(&subtrees);
        let roots: Vec<&[u8]> = roots.iter().map(|root| &root.as_bytes()[..]).collect();
        let done = sqlx::query(sql).bind(heights).bind(numbers).bind(roots).execute(self.pool());
        done.await.map(|_| ()).map_err(log_error)
    }
}

fn columns(subtrees: &[Subtree]) -> (Vec<i32>, Vec<i64>) {
    let height = |subtree: &Subtree| i32::try_from(subtree.height).unwrap_or(i32::MAX);
    subtrees.iter().map(|subtree| (height(subtree), rows::stored(subtree.number))).unzip()
}
