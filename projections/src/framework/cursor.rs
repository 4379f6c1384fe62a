//! Where a read model stands in which log.

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::database::{Database, Write};
use super::error::Error;
use super::sql::{self, Slot};
use super::value::{Kind, Value};

/// Which log a cursor counts in. A restored log is another incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogId {
    pub log_id: Uuid,
    pub incarnation: u32,
}

/// Why a read model stopped, and at which event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ProjectionFailure")]
pub struct Failure {
    pub position: u64,
    pub cause: String,
}

/// Whether a read model goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Running,
    /// It met an event that it cannot fold, and stands before it until it is rebuilt.
    Failed(Failure),
}

/// A read model as health pages show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    pub model: &'static str,
    /// Every event up to here is in its rows.
    pub position: u64,
    pub state: State,
    /// Where its rebuild stands, when one is under way.
    pub rebuilding: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    pub generation: i64,
    pub position: u64,
    pub state: State,
}

impl Cursor {
    pub(crate) const fn start(generation: i64) -> Self {
        Self { generation, position: 0, state: State::Running }
    }

    pub(crate) const fn is_running(&self) -> bool {
        matches!(self.state, State::Running)
    }
}

/// A cursor as it is stored.
pub(crate) struct Stored {
    pub model: String,
    pub slot: String,
    pub log: Option<LogId>,
    pub version: i64,
    pub cursor: Cursor,
}

const KINDS: [Kind; sql::CURSOR_WIDTH] = [
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Text,
    Kind::Int,
    Kind::Text,
];

pub(crate) async fn load(write: &mut Write) -> Result<Vec<Stored>, Error> {
    let rows = write.fetch(sql::SELECT_CURSORS, Vec::new(), &KINDS).await?;
    Ok(rows.into_iter().filter_map(decode).collect())
}

/// The cursors as they are now, beside any write.
pub(crate) async fn look(db: &Database) -> Result<Vec<Stored>, Error> {
    let rows = db.fetch(sql::SELECT_CURSORS, Vec::new(), &KINDS).await?;
    Ok(rows.into_iter().filter_map(decode).collect())
}

/// None: the row is not one that this program writes, and is as good as missing.
fn decode(row: Vec<Value>) -> Option<Stored> {
    let mut values = row.into_iter();
    let mut next = || values.next().unwrap_or(Value::Null(Kind::Text));
    let (model, slot) = (next().into_text()?, next().into_text()?);
    let log_id = next().into_text().and_then(|id| id.parse().ok());
    let incarnation = next().as_int().and_then(|number| u32::try_from(number).ok());
    let log = log_id.zip(incarnation).map(|(log_id, incarnation)| LogId { log_id, incarnation });
    let (version, generation) = (next().as_int()?, next().as_int()?);
    let position = next().as_position()?;
    let state = match next().into_text()?.as_str() {
        "running" => State::Running,
        _ => State::Failed(Failure {
            position: next().as_position()?,
            cause: next().into_text().unwrap_or_default(),
        }),
    };
    Some(Stored { model, slot, log, version, cursor: Cursor { generation, position, state } })
}

/// What a cursor belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    pub model: &'static str,
    pub version: u32,
    pub slot: Slot,
    pub log: LogId,
}

/// Saves cursors, in one statement.
pub(crate) async fn save(write: &mut Write, cursors: &[(Owner, Cursor)]) -> Result<(), Error> {
    if cursors.is_empty() {
        return Ok(());
    }
    let values = cursors.iter().flat_map(|(owner, cursor)| values(*owner, cursor)).collect();
    write.execute(&sql::upsert_cursors(cursors.len()), values).await
}

fn values(owner: Owner, cursor: &Cursor) -> [Value; sql::CURSOR_WIDTH] {
    let (state, failure) = match &cursor.state {
        State::Running => ("running", None),
        State::Failed(failure) => ("failed", Some(failure)),
    };
    [
        Value::text(owner.model),
        Value::text(owner.slot.as_str()),
        Value::text(owner.log.log_id),
        Value::Int(owner.log.incarnation.into()),
        Value::Int(owner.version.into()),
        Value::Int(cursor.generation),
        Value::position(cursor.position),
        Value::text(state),
        failure.map_or(Value::Null(Kind::Int), |failure| Value::position(failure.position)),
        Value::text_or_null(failure.map(|failure| &failure.cause)),
    ]
}

pub(crate) async fn delete(write: &mut Write, model: &str, slot: Slot) -> Result<(), Error> {
    let values = vec![Value::text(model), Value::text(slot.as_str())];
    write.execute(sql::DELETE_CURSOR, values).await
}
