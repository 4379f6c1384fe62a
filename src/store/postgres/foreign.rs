//! Rows that another program (postgres-es's own repository) wrote into the table of events: which
//! become events of this log, and which are refused where they stand.
//!
//! Whoever can write the table could otherwise mint an access key by one plain row. So only the
//! aggregates that other programs are meant to write are adopted, and of those only what this
//! program can read.

use cqrs_es::Aggregate;
use specline_aggregates::access_key::AccessKey;
use specline_aggregates::project::Project;
use specline_aggregates::spec::Spec;
use specline_aggregates::task::Task;
use specline_aggregates::ticket::Ticket;
use specline_aggregates::{DecodeError, EventSourced};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Executor, Row};
use uuid::Uuid;

use super::error::log_error;
use super::rows;
use crate::store::LogError;
use crate::store::verify::{Stray, Strays};

/// Rows that a verification looks at.
const MAX_LOOKED_AT: i64 = 10_000;

/// Whether rows of these aggregates are ever adopted.
pub(super) fn may_be_adopted(aggregate_type: &str) -> bool {
    [Spec::TYPE, Task::TYPE, Ticket::TYPE].contains(&aggregate_type)
}

/// What a row says.
pub(super) struct Said<'a> {
    pub(super) aggregate_type: &'a str,
    pub(super) event_type: &'a str,
    pub(super) event_version: &'a str,
    pub(super) payload: &'a str,
}

/// Why a row is no event of ours; none where it is one.
pub(super) fn objection(said: &Said<'_>) -> Option<String> {
    let Said { aggregate_type, event_type, event_version, payload } = *said;
    let decoded: Result<(), DecodeError> = if aggregate_type == Spec::TYPE {
        Spec::decode(event_type, event_version, payload).map(drop)
    } else if aggregate_type == Task::TYPE {
        Task::decode(event_type, event_version, payload).map(drop)
    } else if aggregate_type == Ticket::TYPE {
        Ticket::decode(event_type, event_version, payload).map(drop)
    } else {
        return Some(format!("no other program writes events of {aggregate_type}"));
    };
    decoded.err().map(|error| error.to_string())
}

/// What stands in the table and is no event.
pub(super) async fn strays(connection: &mut PgConnection) -> Result<Strays, LogError> {
    let ours = [Spec::TYPE, Task::TYPE, Ticket::TYPE, Project::TYPE, AccessKey::TYPE];
    let sql = "SELECT count(*) FROM events WHERE position IS NULL AND aggregate_type <> ALL ($1)";
    let row = sqlx::query(sql).bind(ours.as_slice()).fetch_one(&mut *connection).await;
    let beside = row.and_then(|row| rows::fetched(&row, 0)).map_err(log_error)?;
    let below = below(connection).await?;
    let sql = "SELECT aggregate_type, aggregate_id, sequence, event_type, event_version,
                   payload::text
               FROM events WHERE position IS NULL AND aggregate_type = ANY ($1)
               ORDER BY aggregate_type, aggregate_id, sequence LIMIT $2";
    let query = sqlx::query(sql).bind(ours.as_slice()).bind(MAX_LOOKED_AT);
    let found = query.fetch_all(connection).await.map_err(log_error)?;
    let refused = found.iter().map(refused).collect::<sqlx::Result<Vec<_>>>();
    let refused = refused.map_err(log_error)?.into_iter().flatten().next();
    Ok(Strays { below, refused, beside })
}

async fn below(connection: &mut PgConnection) -> Result<Option<Stray>, LogError> {
    let sql = "SELECT aggregate_type, aggregate_id, sequence, position FROM events
               WHERE position < 1 ORDER BY position LIMIT 1";
    let found = connection.fetch_optional(sql).await.map_err(log_error)?;
    let Some(row) = found else { return Ok(None) };
    let read = || -> sqlx::Result<Stray> {
        let position: i64 = row.try_get(3)?;
        let what = format!("it stands at position {position}, below the first");
        stray(&row, what)
    };
    read().map(Some).map_err(log_error)
}

fn refused(row: &PgRow) -> sqlx::Result<Option<Stray>> {
    let id: &str = row.try_get(1)?;
    let said = Said {
        aggregate_type: row.try_get(0)?,
        event_type: row.try_get(3)?,
        event_version: row.try_get(4)?,
        payload: row.try_get(5)?,
    };
    let strange = Uuid::try_parse(id).map(|uuid| rows::text(&uuid)).ok().as_deref() != Some(id);
    let cause = match objection(&said) {
        Some(cause) => cause,
        None if strange => "its aggregate's id is none of ours".to_owned(),
        None => return Ok(None),
    };
    let event_type = said.event_type;
    stray(row, format!("another program wrote this {event_type}, and it is refused: {cause}"))
        .map(Some)
}

fn stray(row: &PgRow, what: String) -> sqlx::Result<Stray> {
    let (kind, id): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
    let sequence = rows::fetched(row, 2).unwrap_or(0);
    Ok(Stray { stream: format!("{kind} {id}"), sequence, what })
}
