//! What the index finds: the positions under all of several terms.

use rusqlite::{CachedStatement, Connection, OptionalExtension};

use crate::store::audit::{Bounds, MAX_SCANNED, Order};
use crate::store::sqlite::rows;

/// Positions that were found, in the query's order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::store::sqlite) struct Found {
    pub positions: Vec<u64>,
    /// Where the look ended before it had gone through everything.
    pub stopped_at: Option<u64>,
}

/// At most `limit` positions within `bounds` that stand under each of `terms`.
pub(super) fn positions(
    index: &Connection,
    terms: &[i64],
    (bounds, order): (Bounds, Order),
    limit: usize,
) -> rusqlite::Result<Found> {
    match terms {
        [term] => of_one(index, *term, (bounds, order), limit),
        terms => of_several(index, terms, (bounds, order), limit),
    }
}

fn of_one(
    index: &Connection,
    term: i64,
    (bounds, order): (Bounds, Order),
    limit: usize,
) -> rusqlite::Result<Found> {
    let mut statement = prepare(index, order)?;
    let key = (term, rows::stored(bounds.low), rows::stored(bounds.high), limit);
    let found = statement.query_map(key, |row| rows::fetched(row, 0))?;
    let positions: Vec<u64> = found.collect::<Result<_, _>>()?;
    let stopped_at = positions.last().copied().filter(|_| positions.len() == limit);
    Ok(Found { positions, stopped_at })
}

/// Goes round the terms: each says the next position that it has, and where all say the same, that
/// one is found. So the rarest of them sets the pace.
fn of_several(
    index: &Connection,
    terms: &[i64],
    (mut left, order): (Bounds, Order),
    limit: usize,
) -> rusqlite::Result<Found> {
    let mut statement = prepare(index, order)?;
    let (mut found, mut agreed) = (Found::default(), 0);
    for (term, n) in terms.iter().cycle().zip(1..) {
        let Some(position) = next(&mut statement, *term, left)? else { return Ok(found) };
        // The first of what is left is the one that the terms before agreed on.
        agreed = if first(left, order) == position { agreed + 1 } else { 1 };
        left = from(left, order, position);
        if agreed == terms.len() {
            found.positions.push(position);
            left = behind(left, order, position);
            agreed = 0;
        }
        if found.positions.len() == limit || n == MAX_SCANNED {
            found.stopped_at = Some(last_gone_through(left, order));
            return Ok(found);
        }
    }
    Ok(found)
}

fn prepare(index: &Connection, order: Order) -> rusqlite::Result<CachedStatement<'_>> {
    let direction = match order {
        Order::OldestFirst => "ASC",
        Order::NewestFirst => "DESC",
    };
    index.prepare_cached(&format!(
        "SELECT position FROM postings WHERE term = ?1 AND position > ?2 AND position <= ?3
         ORDER BY position {direction} LIMIT ?4"
    ))
}

fn next(
    statement: &mut CachedStatement<'_>,
    term: i64,
    left: Bounds,
) -> rusqlite::Result<Option<u64>> {
    let key = (term, rows::stored(left.low), rows::stored(left.high), 1);
    statement.query_row(key, |row| rows::fetched(row, 0)).optional()
}

/// The first position within.
const fn first(bounds: Bounds, order: Order) -> u64 {
    match order {
        Order::OldestFirst => bounds.low + 1,
        Order::NewestFirst => bounds.high,
    }
}

/// What is left from `position` on.
const fn from(bounds: Bounds, order: Order, position: u64) -> Bounds {
    match order {
        Order::OldestFirst => Bounds { low: position - 1, ..bounds },
        Order::NewestFirst => Bounds { high: position, ..bounds },
    }
}

/// What is left behind `position`.
const fn behind(bounds: Bounds, order: Order, position: u64) -> Bounds {
    match order {
        Order::OldestFirst => Bounds { low: position, ..bounds },
        Order::NewestFirst => Bounds { high: position - 1, ..bounds },
    }
}

/// A cursor: `left` is what lies behind it.
const fn last_gone_through(left: Bounds, order: Order) -> u64 {
    match order {
        Order::OldestFirst => left.low,
        Order::NewestFirst => left.high + 1,
    }
}
