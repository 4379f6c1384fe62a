//! A log in either database, filled by plain appends, and changed behind its back.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;
use specline::store::audit::Audit;
use specline::store::{
    Append, Clock, EventLog, Expected, NewEvent, PgLog, SqliteLog, StreamHead, StreamId, postgres,
    seals,
};
use specline::store::{Position, verify};
use specline_aggregates::Timestamp;
use uuid::Uuid;

use crate::support::postgres::{Database, server};

/// The first event's time, in microseconds since 1970.
pub const BEGIN: i64 = 1_700_000_000_000_000;

/// From one append to the next.
pub const TICK: i64 = 1_000;

/// Where a log is.
pub enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(Database),
}

impl Place {
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub fn postgres() -> Self {
        Self::Postgres(server().database())
    }

    /// Each kind, for tests that hold on both.
    pub fn both() -> [Self; 2] {
        [Self::sqlite(), Self::postgres()]
    }

    pub fn path(&self) -> PathBuf {
        match self {
            Self::Sqlite(folder) => folder.path().join("log.db"),
            Self::Postgres(_) => unreachable!("it has no file"),
        }
    }

    /// As `--store` takes it.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(_) => format!("sqlite:{}", self.path().display()),
            Self::Postgres(database) => database.url().to_owned(),
        }
    }

    /// Opens it for writing, with a clock that goes one tick an append.
    pub async fn open(&self) -> Arc<dyn EventLog> {
        let clock = ticking();
        match self {
            Self::Sqlite(_) => Arc::new(SqliteLog::open(&self.path(), clock).unwrap()),
            Self::Postgres(database) => {
                let settings = postgres::Settings {
                    clock: Some(clock),
                    ..postgres::Settings::new(database.url())
                };
                Arc::new(PgLog::open(settings).await.unwrap())
            }
        }
    }

    pub async fn read(&self) -> Arc<dyn EventLog> {
        match self {
            Self::Sqlite(_) => Arc::new(SqliteLog::open_read_only(&self.path()).unwrap()),
            Self::Postgres(database) => {
                Arc::new(PgLog::open_read_only(database.url()).await.unwrap())
            }
        }
    }

    /// Runs SQL behind the log's back; the triggers are dropped first.
    pub fn tamper(&self, sql: &str) {
        match self {
            Self::Sqlite(_) => {
                let connection = rusqlite::Connection::open(self.path()).unwrap();
                let names = ["events", "seals", "seal_leaves"];
                for name in names {
                    for what in ["update", "delete"] {
                        let drop = format!("DROP TRIGGER IF EXISTS {name}_refuse_{what}");
                        connection.execute_batch(&drop).unwrap();
                    }
                }
                connection.execute_batch(sql).unwrap();
            }
            Self::Postgres(database) => {
                let drop = "DROP TRIGGER IF EXISTS events_refuse_change ON events;
                     DROP TRIGGER IF EXISTS seals_refuse_change ON seals;
                     DROP TRIGGER IF EXISTS seal_leaves_refuse_change ON seal_leaves;";
                server().psql_at(database.url(), &format!("{drop}{sql}"));
            }
        }
    }

    pub const fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Bytes, as SQL writes them.
    pub fn bytes(&self, bytes: &[u8]) -> String {
        let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        if self.is_sqlite() { format!("x'{hex}'") } else { format!("'\\x{hex}'::bytea") }
    }

    /// A text as the type of payloads and metadata.
    pub fn json(&self, expression: &str) -> String {
        if self.is_sqlite() { expression.to_owned() } else { format!("({expression})::json") }
    }
}

fn ticking() -> Clock {
    let next = AtomicI64::new(BEGIN);
    Clock::new(move || Timestamp::from_micros(next.fetch_add(TICK, Ordering::Relaxed)))
}

/// An event with what an audit asks for.
pub fn event(event_type: &str, actor: &str, words: &[(&str, String)]) -> NewEvent {
    let mut metadata = json!({ "actor": actor });
    for (name, value) in words {
        metadata[*name] = json!(value);
    }
    NewEvent {
        event_type: event_type.to_owned(),
        event_version: "1".to_owned(),
        payload: json!({ event_type: { "text": format!("said by {actor}") } }).to_string(),
        metadata: metadata.to_string(),
    }
}

pub fn stream(aggregate_type: &str) -> StreamId {
    StreamId { aggregate_type: aggregate_type.to_owned(), aggregate_id: Uuid::now_v7() }
}

/// Appends at the stream's end.
pub async fn append(log: &dyn EventLog, stream: &StreamId, events: Vec<NewEvent>) -> StreamHead {
    let head = log.stream_head(stream).await.unwrap();
    let expected = head.map_or(Expected::NoStream, Expected::Exact);
    let append = Append { stream: stream.clone(), expected, events, key: None, blobs: Vec::new() };
    log.append(append).await.unwrap().head
}

/// `n` events, turn by turn in four streams.
pub async fn fill(log: &dyn EventLog, n: u64) -> Vec<StreamId> {
    let streams: Vec<StreamId> = ["Spec", "Task", "Spec", "Ticket"].map(stream).into();
    for number in 0..n {
        let stream = &streams[usize::try_from(number % 4).unwrap()];
        append(log, stream, vec![event("Noted", &format!("ann{number}"), &[])]).await;
    }
    streams
}

/// Seals the first `n` events.
pub async fn seal(log: &dyn EventLog, n: u64) -> seals::Given {
    let made = seals::seal(audit(log), Position(n)).await.unwrap().unwrap();
    assert_eq!((made.n, made.last_position), (n, Position(n)));
    seals::Given { n, root: made.root }
}

pub fn audit(log: &dyn EventLog) -> &dyn Audit {
    log.audit().expect("a log in a database")
}

/// Checks the whole log.
pub async fn checked(place: &Place, given: &[seals::Given]) -> seals::Report {
    let log = place.read().await;
    let all = (Position(1), Position(u64::MAX));
    seals::check(audit(&*log), all, given, |_| {}).await.unwrap()
}

/// Whether the chains alone, without seals, show nothing.
pub async fn chains_hold(place: &Place) -> bool {
    let log = place.read().await;
    let found = verify::verify(audit(&*log), Position(1), Position(u64::MAX), |_| {}).await;
    found.unwrap().first_difference.is_none()
}
