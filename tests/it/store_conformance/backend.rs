//! What the suite needs of a backend, and the values that its tests are made of.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use specline::store::memory::MemoryLog;
use specline::store::{
    Append, Appended, Blob, Clock, EventLog, Expected, Key, LogError, NewEvent, PgLog, SideTables,
    SqliteLog, StreamHead, StreamId, postgres,
};
use specline_aggregates::Digest;
use uuid::Uuid;

use crate::support::postgres::{Database, server};

/// Everything that a store is.
pub trait Store: EventLog + SideTables {}
impl<T: EventLog + SideTables> Store for T {}

/// Makes empty stores. Each backend runs the very same tests.
pub trait Backend: Sized {
    type Store: Store + 'static;

    fn new() -> Self;

    /// Opens the store; a second time, the same one. The one before must be dropped.
    fn open(&self, clock: Clock) -> Arc<Self::Store>;

    fn store(&self) -> Arc<Self::Store> {
        self.open(Clock::system())
    }
}

pub struct Sqlite {
    folder: tempfile::TempDir,
}

impl Sqlite {
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("log.db")
    }
}

impl Backend for Sqlite {
    type Store = SqliteLog;

    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn open(&self, clock: Clock) -> Arc<SqliteLog> {
        Arc::new(SqliteLog::open(&self.path(), clock).unwrap())
    }
}

pub struct Memory;

impl Backend for Memory {
    type Store = MemoryLog;

    fn new() -> Self {
        Self
    }

    fn open(&self, clock: Clock) -> Arc<MemoryLog> {
        Arc::new(MemoryLog::new(clock))
    }
}

pub struct Postgres {
    database: Database,
}

impl Postgres {
    pub fn url(&self) -> &str {
        self.database.url()
    }
}

impl Backend for Postgres {
    type Store = PgLog;

    fn new() -> Self {
        Self { database: server().database() }
    }

    fn open(&self, clock: Clock) -> Arc<PgLog> {
        let settings = postgres::Settings {
            clock: Some(clock),
            adopts: vec!["Counter"],
            ..postgres::Settings::new(self.url())
        };
        let open = async { Arc::new(PgLog::open(settings).await.unwrap()) };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(open))
    }
}

/// Runs each named check of the calling module on every backend.
macro_rules! on_every_backend {
    ($($check:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$check::<crate::store_conformance::backend::Sqlite>().await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$check::<crate::store_conformance::backend::Postgres>().await;
            })+
        }
        mod on_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$check::<crate::store_conformance::backend::Memory>().await;
            })+
        }
    };
}
pub(crate) use on_every_backend;

pub fn stream() -> StreamId {
    StreamId { aggregate_type: "Counter".to_owned(), aggregate_id: Uuid::now_v7() }
}

pub fn event(payload: &impl ToString) -> NewEvent {
    NewEvent {
        event_type: "Noted".to_owned(),
        event_version: "1".to_owned(),
        payload: payload.to_string(),
        metadata: r#"{"actor":"test"}"#.to_owned(),
    }
}

pub fn blob(bytes: &[u8]) -> Blob {
    Blob { digest: Digest::of(bytes), bytes: bytes.to_vec() }
}

pub fn key(key: &str, request: &str) -> Key {
    Key { key: key.to_owned(), request: Digest::of(request.as_bytes()), answer: "yes".to_owned() }
}

pub fn after(head: Option<StreamHead>) -> Expected {
    head.map_or(Expected::NoStream, Expected::Exact)
}

/// An append of `payloads` behind `head`.
pub fn append(stream: &StreamId, head: Option<StreamHead>, payloads: &[u64]) -> Append {
    Append {
        stream: stream.clone(),
        expected: after(head),
        events: payloads.iter().map(event).collect(),
        key: None,
        blobs: Vec::new(),
    }
}

/// Appends `count` events, one append each, and gives back the last answer.
pub async fn fill(log: &dyn EventLog, stream: &StreamId, count: u64) -> Appended {
    let mut head = log.stream_head(stream).await.unwrap();
    let mut last = None;
    for number in 0..count {
        let appended = log.append(append(stream, head, &[number])).await.unwrap();
        head = Some(appended.head);
        last = Some(appended);
    }
    last.expect("something was appended")
}

pub fn is_conflict(error: &LogError) -> bool {
    matches!(error, LogError::Conflict { .. })
}

/// Looks again and again until `condition` holds, for at most ten seconds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
