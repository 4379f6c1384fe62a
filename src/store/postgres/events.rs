//! Reads events, in order, and says so when one is missing or is not as it was written. Rows
//! without a position are another writer's, and are no events yet.

use specline_aggregates::Digest;
use specline_pg::Pool;
use sqlx::Row;
use sqlx::postgres::{PgExecutor, PgRow};

use super::error::log_error;
use super::rows::{self, EVENT_COLUMNS, place};
use crate::store::links::{self, Page};
use crate::store::{LogError, Position, Recorded, StreamHead, StreamId};

/// The end of a stream.
pub(super) enum End {
    Nothing,
    At(StreamHead),
    /// Rows that are not adopted yet.
    Foreign,
}

/// What is done about rows that are not adopted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    /// Said, so that they are adopted.
    Told,
    /// Left out, by who may not adopt them.
    Ignored,
}

pub(super) async fn end(pool: &Pool, stream: &StreamId, foreign: Foreign) -> Result<End, LogError> {
    let sql = "SELECT sequence, hash, position FROM events WHERE aggregate_type = $1 AND aggregate_id = $2
               AND (position IS NOT NULL OR $3) ORDER BY sequence DESC LIMIT 1";
    let query = sqlx::query(sql)
        .bind(&stream.aggregate_type)
        .bind(rows::text(&stream.aggregate_id))
        .bind(foreign == Foreign::Told);
    let Some(row) = query.fetch_optional(pool).await.map_err(log_error)? else {
        return Ok(End::Nothing);
    };
    let hash: Option<Vec<u8>> = row.try_get(1).map_err(log_error)?;
    if hash.is_none() {
        return Ok(End::Foreign);
    }
    let head = || {
        rows::counted(&row, 2)?;
        Ok(StreamHead { version: rows::counted(&row, 0)?, hash: rows::digest(&row, 1)? })
    };
    head().map(End::At).map_err(log_error)
}

/// Events of a stream, or none at all when it ends in rows that are not adopted yet.
pub(super) async fn of_stream(
    pool: &Pool,
    stream: &StreamId,
    (after, limit): (u64, usize),
    foreign: Foreign,
) -> Result<Option<Vec<Recorded>>, LogError> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS}, (SELECT hash FROM events
             WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence = $3) AS hash_before
         FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence > $3
         ORDER BY sequence LIMIT $4"
    );
    let mut found = sqlx::query(&sql)
        .bind(&stream.aggregate_type)
        .bind(rows::text(&stream.aggregate_id))
        .bind(rows::stored(after))
        .bind(rows::stored(limit as u64))
        .fetch_all(pool)
        .await
        .map_err(log_error)?;
    match foreign {
        Foreign::Told if found.iter().any(is_foreign) => return Ok(None),
        Foreign::Told => {}
        Foreign::Ignored => found.retain(|row| !is_foreign(row)),
    }
    let mut events = Vec::with_capacity(found.len());
    for row in &found {
        let event = rows::recorded(row)?;
        let missing = after + events.len() as u64 + 1;
        if event.sequence != missing {
            return Err(LogError::Corrupt {
                place: place(stream, missing, event.position),
                cause: format!(
                    "sequence {missing} is missing: the next event there is {} at position {}",
                    event.sequence, event.position
                ),
            });
        }
        events.push(event);
    }
    let before = match found.first() {
        Some(row) if after > 0 => hash_before(row)?,
        Some(_) | None => None,
    };
    links::check_run(&events, before)?;
    Ok(Some(events))
}

fn hash_before(row: &PgRow) -> Result<Option<Digest>, LogError> {
    let hash: Option<&[u8]> = row.try_get("hash_before").map_err(log_error)?;
    Ok(hash.and_then(|hash| Some(Digest::from_bytes(hash.try_into().ok()?))))
}

/// Checks that events of any streams are as they were written.
pub(super) async fn check(
    connection: impl PgExecutor<'_>,
    events: &[Recorded],
) -> Result<(), LogError> {
    let mut page = Page::of(events);
    let places = page.missing();
    if places.is_empty() {
        return page.check();
    }
    let sql = "SELECT n, e.hash FROM unnest($1::text[], $2::text[], $3::bigint[])
                   WITH ORDINALITY AS p (kind, id, sequence, n)
               JOIN events e ON e.aggregate_type = p.kind AND e.aggregate_id = p.id
                   AND e.sequence = p.sequence
               WHERE e.hash IS NOT NULL";
    let all = || places.iter();
    let found = sqlx::query(sql)
        .bind(all().map(|(stream, _)| stream.aggregate_type.as_str()).collect::<Vec<_>>())
        .bind(all().map(|(stream, _)| rows::text(&stream.aggregate_id)).collect::<Vec<_>>())
        .bind(all().map(|(_, sequence)| rows::stored(*sequence)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
        .map_err(log_error)?;
    for row in &found {
        let n = rows::counted(row, 0).map_err(log_error)?;
        let place = usize::try_from(n - 1).ok().and_then(|n| places.get(n));
        if let Some(place) = place {
            page.note(*place, rows::digest(row, 1).map_err(log_error)?);
        }
    }
    page.check()
}

fn is_foreign(row: &PgRow) -> bool {
    matches!(row.try_get::<Option<i64>, _>(0), Ok(None))
}

pub(super) async fn of_log(
    pool: &Pool,
    after: Position,
    limit: usize,
) -> Result<Vec<Recorded>, LogError> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE position > $1 ORDER BY position LIMIT $2"
    );
    let query = sqlx::query(&sql).bind(rows::stored(after.0)).bind(rows::stored(limit as u64));
    let found = query.fetch_all(pool).await.map_err(log_error)?;
    let mut events = Vec::with_capacity(found.len());
    for row in &found {
        let event = rows::recorded(row)?;
        let missing = after.0 + events.len() as u64 + 1;
        if event.position.0 != missing {
            return Err(LogError::Corrupt {
                place: format!("position {missing}"),
                cause: format!(
                    "the event there is missing: the next one is {}",
                    place(&event.stream, event.sequence, event.position)
                ),
            });
        }
        events.push(event);
    }
    check(pool, &events).await?;
    Ok(events)
}
