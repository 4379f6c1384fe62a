//! A batch of appends as the arrays that the append function takes, and its answer.

use specline_aggregates::{Digest, Timestamp};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres, Row};
use uuid::Uuid;

use super::append::Waiting;
use super::rows;
use crate::store::Expected;
use crate::store::chain::GENESIS;

/// Who writes, and where readers hear of it.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) writer: Uuid,
    pub(super) channel: String,
}

/// What the append function did with one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The position of its last event.
    Written(u64),
    KeyKnown,
    /// The stream's version.
    Conflict(u64),
    /// The stream ends in rows of another writer.
    Foreign,
}

/// What the append function did with a batch.
#[derive(Debug)]
pub(super) enum Answer {
    Done {
        outcomes: Vec<Outcome>,
        at: Timestamp,
        head: u64,
    },
    /// This very batch was committed before, and its answer was lost.
    Repeated,
}

const SQL: &str = "SELECT * FROM specline_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
     $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)";

/// Sends `appends` as batch number `number` of this writer.
pub(super) async fn send(
    connection: &mut PgConnection,
    (identity, number): (&Identity, i64),
    now: Option<i64>,
    appends: &[Waiting],
) -> sqlx::Result<Answer> {
    let query =
        sqlx::query(SQL).bind(&identity.channel).bind(now).bind(identity.writer).bind(number);
    let query = bind_appends(query, appends);
    let query = bind_events(query, appends);
    let row = bind_blobs(query, appends).fetch_one(connection).await?;
    answer(&row)
}

type Query<'q> = sqlx::query::Query<'q, Postgres, sqlx::postgres::PgArguments>;

fn bind_appends<'q>(query: Query<'q>, appends: &'q [Waiting]) -> Query<'q> {
    let head = |waiting: &Waiting| match waiting.append.expected {
        Expected::NoStream => (0, GENESIS),
        Expected::Exact(head) => (rows::stored(head.version), head.hash),
    };
    let bytes = |digest: Digest| digest.as_bytes().to_vec();
    let all = || appends.iter();
    let key = |waiting: &'q Waiting| waiting.append.key.as_ref();
    query
        .bind(all().map(|w| w.append.stream.aggregate_type.as_str()).collect::<Vec<_>>())
        .bind(all().map(|w| w.id.as_str()).collect::<Vec<_>>())
        .bind(all().map(|w| head(w).0).collect::<Vec<_>>())
        .bind(all().map(|w| bytes(head(w).1)).collect::<Vec<_>>())
        .bind(all().map(|w| rows::stored(w.append.events.len() as u64)).collect::<Vec<_>>())
        .bind(all().map(|w| bytes(w.head().hash)).collect::<Vec<_>>())
        .bind(all().map(|w| key(w).map(|k| rows::storable(&k.key))).collect::<Vec<_>>())
        .bind(all().map(|w| key(w).map(|k| bytes(k.request))).collect::<Vec<_>>())
        .bind(all().map(|w| key(w).map(|k| rows::storable(&k.answer))).collect::<Vec<_>>())
}

fn bind_events<'q>(query: Query<'q>, appends: &'q [Waiting]) -> Query<'q> {
    let all = || {
        (1_i32..).zip(appends).flat_map(|(number, waiting)| {
            let events = waiting.append.events.iter().zip(&waiting.hashes);
            events.zip(1..).map(move |((event, hash), n)| {
                (number, rows::stored(waiting.before() + n), event, hash)
            })
        })
    };
    query
        .bind(all().map(|(append, ..)| append).collect::<Vec<i32>>())
        .bind(all().map(|(_, sequence, ..)| sequence).collect::<Vec<i64>>())
        .bind(all().map(|(_, _, event, _)| event.event_type.as_str()).collect::<Vec<_>>())
        .bind(all().map(|(_, _, event, _)| event.event_version.as_str()).collect::<Vec<_>>())
        .bind(all().map(|(_, _, event, _)| event.payload.as_str()).collect::<Vec<_>>())
        .bind(all().map(|(_, _, event, _)| event.metadata.as_str()).collect::<Vec<_>>())
        .bind(all().map(|(_, _, _, hash)| hash.as_bytes().as_slice()).collect::<Vec<_>>())
}

fn bind_blobs<'q>(query: Query<'q>, appends: &'q [Waiting]) -> Query<'q> {
    let all = || {
        (1_i32..).zip(appends).flat_map(|(number, waiting)| {
            waiting.append.blobs.iter().map(move |blob| (number, blob))
        })
    };
    query
        .bind(all().map(|(append, _)| append).collect::<Vec<i32>>())
        .bind(all().map(|(_, blob)| blob.digest.as_bytes().as_slice()).collect::<Vec<_>>())
        .bind(all().map(|(_, blob)| blob.bytes.as_slice()).collect::<Vec<_>>())
}

fn answer(row: &PgRow) -> sqlx::Result<Answer> {
    let status: &str = row.try_get("o_status")?;
    if status == "repeated" {
        return Ok(Answer::Repeated);
    }
    let outcomes: Vec<i32> = row.try_get("o_outcomes")?;
    let positions: Vec<i64> = row.try_get("o_positions")?;
    let versions: Vec<i64> = row.try_get("o_versions")?;
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
    let read =
        outcomes.into_iter().zip(positions).zip(versions).map(|((code, position), version)| {
            match code {
                0 => Outcome::Written(unsigned(position)),
                1 => Outcome::KeyKnown,
                3 => Outcome::Foreign,
                _ => Outcome::Conflict(unsigned(version)),
            }
        });
    Ok(Answer::Done {
        outcomes: read.collect(),
        at: Timestamp::from_micros(row.try_get("o_at")?),
        head: unsigned(row.try_get("o_head")?),
    })
}
