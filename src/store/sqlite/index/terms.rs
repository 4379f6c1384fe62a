//! The numbers under which the index keeps what events can be asked for by.

use rusqlite::Row;

use crate::store::audit::Column;
use crate::store::words::Words;

/// Columns that [`of_row`] reads, behind the position.
pub(super) const COLUMNS: &str = "position, aggregate_type, aggregate_id, event_type, metadata";

/// The first eight bytes of a hash. Two values may meet in one number: what is found is compared
/// with the event before it is given out.
pub(super) fn of(column: Column, value: &str) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[tag(column)]);
    hasher.update(value.as_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    i64::from_le_bytes(first)
}

/// Never changed: the numbers are in files.
const fn tag(column: Column) -> u8 {
    match column {
        Column::Aggregate => 1,
        Column::Cause => 2,
        Column::Correlation => 3,
        Column::Actor => 4,
        Column::Project => 5,
        Column::EventType => 6,
        Column::AggregateType => 7,
    }
}

/// Adds what an event is found by. What cannot be read is not found by it.
pub(super) fn of_row(row: &Row<'_>, postings: &mut Vec<(i64, i64)>) -> rusqlite::Result<i64> {
    let position: i64 = row.get(0)?;
    let mut add = |column, value: &str| postings.push((of(column, value), position));
    for (n, column) in [(1, Column::AggregateType), (2, Column::Aggregate), (3, Column::EventType)]
    {
        if let Ok(value) = row.get_ref(n)?.as_str() {
            add(column, value);
        }
    }
    let words = row.get_ref(4)?.as_str().map(Words::parse).unwrap_or_default();
    for (column, word) in [
        (Column::Actor, words.actor),
        (Column::Project, words.project_id),
        (Column::Correlation, words.correlation_id),
        (Column::Cause, words.causation_id),
    ] {
        if let Some(word) = word {
            add(column, &word);
        }
    }
    Ok(position)
}
