//! Adoption: rows that postgres-es's own repository wrote at the end of a stream get their place in
//! the log, their time and their hash. The database cannot compute our hash, so it is computed here
//! from what was read, and the database takes it only if the rows are still those.

use serde_json::{Map, Value};
use specline_aggregates::Digest;
use specline_pg::Pool;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::error::log_error;
use super::foreign::{self, Said};
use super::rows;
use crate::store::chain::{Content, GENESIS, chain_hash};
use crate::store::{LogError, StreamHead, StreamId};

/// Times that an adoption is tried again because the stream moved meanwhile.
const MAX_TRIES: u32 = 20;

/// Who wrote an adopted event, for the audit.
const ACTOR: &str = "foreign";

/// Where and as what adoption happens.
pub(super) struct Adopter<'a> {
    pub(super) pool: &'a Pool,
    pub(super) channel: &'a str,
    pub(super) now: Option<i64>,
}

/// What became of the rows at the end of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Adoption {
    /// So many became events.
    Done(u64),
    /// They stay what they are: another program's, and no events.
    Refused { place: String, cause: String },
}

/// A row that is not adopted yet.
struct Foreign {
    sequence: u64,
    event_type: String,
    event_version: String,
    payload: String,
    metadata: String,
}

impl Adopter<'_> {
    /// Adopts what stands at the end of `stream`, all of it or nothing.
    pub(super) async fn adopt(&self, stream: &StreamId) -> Result<Adoption, LogError> {
        for _ in 0..MAX_TRIES {
            let (head, foreign) = self.read(stream).await?;
            if foreign.is_empty() {
                return Ok(Adoption::Done(0));
            }
            if let Some(refused) = refusal(stream, head, &foreign) {
                return Ok(refused);
            }
            let adopted = self.write(stream, head, &foreign).await?;
            if adopted > 0 {
                tracing::info!(%stream, adopted, "events of another writer were adopted");
                return Ok(Adoption::Done(adopted));
            }
        }
        let cause = format!("{stream} is being written by something else");
        Err(LogError::Transient { cause })
    }

    /// The adopted end of the stream, and what stands behind it.
    async fn read(
        &self,
        stream: &StreamId,
    ) -> Result<(Option<StreamHead>, Vec<Foreign>), LogError> {
        let sql = "SELECT sequence, hash, event_type, event_version, payload::text, metadata::text
                   FROM events
                   WHERE aggregate_type = $1 AND aggregate_id = $2
                     AND (position IS NULL OR sequence = (
                         SELECT max(sequence) FROM events WHERE aggregate_type = $1
                             AND aggregate_id = $2 AND position IS NOT NULL))
                   ORDER BY sequence";
        let found = sqlx::query(sql)
            .bind(&stream.aggregate_type)
            .bind(rows::text(&stream.aggregate_id))
            .fetch_all(self.pool)
            .await
            .map_err(log_error)?;
        let mut head = None;
        let mut foreign = Vec::new();
        for row in &found {
            let hash: Option<&[u8]> = row.try_get(1).map_err(log_error)?;
            if hash.is_some() {
                let hash = rows::digest(row, 1).map_err(log_error)?;
                head = Some(StreamHead { version: sequence(row)?, hash });
            } else {
                foreign.push(read_foreign(row)?);
            }
        }
        Ok((head, foreign))
    }

    async fn write(
        &self,
        stream: &StreamId,
        head: Option<StreamHead>,
        foreign: &[Foreign],
    ) -> Result<u64, LogError> {
        let start = head.unwrap_or(StreamHead { version: 0, hash: GENESIS });
        let (mut sequences, mut metadata, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        let mut previous = start;
        for row in foreign {
            let noted = with_actor(&row.metadata);
            let hash = hash_of(stream, row, &noted, &previous.hash);
            previous = StreamHead { version: row.sequence, hash };
            sequences.push(rows::stored(row.sequence));
            metadata.push(noted);
            hashes.push(hash.as_bytes().to_vec());
        }
        let sql = "SELECT specline_adopt($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let row = sqlx::query(sql)
            .bind(self.channel)
            .bind(self.now)
            .bind(&stream.aggregate_type)
            .bind(rows::text(&stream.aggregate_id))
            .bind(rows::stored(start.version))
            .bind(start.hash.as_bytes().as_slice())
            .bind(sequences)
            .bind(metadata)
            .bind(hashes)
            .fetch_one(self.pool)
            .await
            .map_err(log_error)?;
        rows::fetched(&row, 0).map_err(log_error)
    }

    /// The streams of these aggregates that have rows to adopt; not those of the ids `but`.
    pub(super) async fn waiting(
        &self,
        types: &[&str],
        but: &[String],
    ) -> Result<Vec<StreamId>, LogError> {
        let sql = "SELECT DISTINCT aggregate_type, aggregate_id FROM events
                   WHERE position IS NULL AND aggregate_type = ANY ($1)
                     AND aggregate_id <> ALL ($2) LIMIT 100";
        let query = sqlx::query(sql).bind(types).bind(but);
        let found = query.fetch_all(self.pool).await.map_err(log_error)?;
        let stream = |row: &PgRow| {
            let id: &str = row.try_get(1).ok()?;
            // Ids of ours are UUIDs; other streams are another program's.
            let aggregate_id =
                Uuid::try_parse(id).ok().filter(|id| rows::text(id) == row_id(row))?;
            Some(StreamId { aggregate_type: row.try_get(0).ok()?, aggregate_id })
        };
        Ok(found.iter().filter_map(stream).collect())
    }
}

/// Why rows do not become events; none where they do.
fn refusal(stream: &StreamId, head: Option<StreamHead>, rows: &[Foreign]) -> Option<Adoption> {
    let first = head.map_or(1, |head| head.version + 1);
    let refused = |row: &Foreign, cause: String| Adoption::Refused {
        place: format!("{stream} sequence {}", row.sequence),
        cause: format!(
            "another program wrote the {} that stands there, and it is refused: {cause}; whoever \
             looks after the database has to take that row away",
            row.event_type
        ),
    };
    rows.iter().zip(first..).find_map(|(row, expected)| {
        if row.sequence != expected {
            return Some(refused(row, format!("the stream goes on at sequence {expected}")));
        }
        let said = Said {
            aggregate_type: &stream.aggregate_type,
            event_type: &row.event_type,
            event_version: &row.event_version,
            payload: &row.payload,
        };
        foreign::objection(&said).map(|cause| refused(row, cause))
    })
}

fn row_id(row: &PgRow) -> &str {
    row.try_get(1).unwrap_or_default()
}

fn sequence(row: &PgRow) -> Result<u64, LogError> {
    rows::fetched(row, 0).map_err(log_error)
}

fn read_foreign(row: &PgRow) -> Result<Foreign, LogError> {
    let text = |column: usize| row.try_get::<String, _>(column).map_err(log_error);
    Ok(Foreign {
        sequence: sequence(row)?,
        event_type: text(2)?,
        event_version: text(3)?,
        payload: text(4)?,
        metadata: text(5)?,
    })
}

fn hash_of(stream: &StreamId, row: &Foreign, metadata: &str, previous: &Digest) -> Digest {
    let content = Content {
        event_type: &row.event_type,
        event_version: &row.event_version,
        payload: &row.payload,
        metadata,
    };
    chain_hash(previous, stream, row.sequence, content)
}

/// The metadata with its actor named, which another writer leaves open. Metadata of ours is a flat
/// map of strings: what is not a string becomes its text.
fn with_actor(metadata: &str) -> String {
    let mut map: Map<String, Value> = serde_json::from_str(metadata).unwrap_or_default();
    for value in map.values_mut() {
        if !value.is_string() {
            *value = Value::String(value.to_string());
        }
    }
    map.insert("actor".to_owned(), Value::String(ACTOR.to_owned()));
    Value::Object(map).to_string()
}

#[cfg(test)]
mod tests {
    use super::with_actor;

    #[test]
    fn the_actor_of_an_adopted_event_is_named_and_the_rest_is_kept() {
        assert_eq!(with_actor("{}"), r#"{"actor":"foreign"}"#);
        assert_eq!(with_actor("null"), r#"{"actor":"foreign"}"#);
        assert_eq!(with_actor(r#"{"a":1,"actor":"x"}"#), r#"{"a":"1","actor":"foreign"}"#);
    }
}
