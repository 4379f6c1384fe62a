//! The log that a benchmark loads, and the reference on the same store: the shortest program that
//! writes the same rows, with no hashes, no checks, and nobody to answer.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::measure::percentile_ms;
use super::{failed, raw, raw_postgres};
use crate::cli::{Failure, Location};
use crate::store::{Clock, EventLog, PgLog, SqliteLog, postgres};

/// What the reference measured.
#[derive(Clone, Copy, Serialize)]
pub(super) struct RawReport {
    pub one_row_commits_per_s: f64,
    pub one_row_p50_ms: f64,
    pub batch: u64,
    pub batch_rows_per_s: f64,
    pub payload_bytes: usize,
    pub metadata_bytes: usize,
}

impl RawReport {
    /// The higher rate and the shorter time of two.
    pub(super) fn better(self, other: Self) -> Self {
        let batches = if other.batch_rows_per_s > self.batch_rows_per_s { &other } else { &self };
        Self {
            one_row_commits_per_s: self.one_row_commits_per_s.max(other.one_row_commits_per_s),
            one_row_p50_ms: self.one_row_p50_ms.min(other.one_row_p50_ms),
            batch: batches.batch,
            batch_rows_per_s: batches.batch_rows_per_s,
            ..self
        }
    }
}

/// A log under load.
pub(super) enum Subject {
    Sqlite(Arc<SqliteLog>),
    Postgres { log: Arc<PgLog>, url: String },
}

impl Subject {
    /// Opens the log at `location`, which must be empty; a file of its own in `scratch` without.
    pub(super) async fn open(location: Option<Location>, scratch: &Path) -> Result<Self, Failure> {
        let subject = match location {
            None => Self::sqlite(&scratch.join("log.db"))?,
            Some(Location::Files(place)) => {
                place.make()?;
                Self::sqlite(&place.log)?
            }
            Some(Location::Postgres(url)) => {
                let log = PgLog::open(postgres::Settings::new(url.clone())).await;
                let log = log.map_err(|e| failed("the log cannot be opened", e))?;
                Self::Postgres { log: Arc::new(log), url }
            }
        };
        if subject.log().watch_head().borrow().0 != 0 {
            let message = "this log holds events already; a benchmark wants a new one";
            return Err(Failure::new(crate::cli::Exit::Configuration, message));
        }
        Ok(subject)
    }

    fn sqlite(path: &Path) -> Result<Self, Failure> {
        let log = SqliteLog::open(path, Clock::system());
        let log = log.map_err(|e| failed("the log cannot be opened", e))?;
        Ok(Self::Sqlite(Arc::new(log)))
    }

    pub(super) fn log(&self) -> Arc<dyn EventLog> {
        match self {
            Self::Sqlite(log) => Arc::clone(log) as Arc<dyn EventLog>,
            Self::Postgres { log, .. } => Arc::clone(log) as Arc<dyn EventLog>,
        }
    }

    /// Commits of the log's writer so far.
    pub(super) fn commits(&self) -> u64 {
        match self {
            Self::Sqlite(log) => log.commits(),
            Self::Postgres { log, .. } => log.commits(),
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres { .. } => "postgres",
        }
    }

    pub(super) const fn durability(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => {
                "synchronous=FULL: the write-ahead log is synced before a step is acknowledged"
            }
            Self::Postgres { .. } => {
                "synchronous_commit=on: the write-ahead log is synced before a step is acknowledged"
            }
        }
    }

    /// The reference on the same disk, while the log is at rest: one row a commit, then `batch`
    /// rows a commit to `streams` streams in turn.
    pub(super) async fn reference(&self, batch: u64, streams: u64) -> Result<RawReport, Failure> {
        let (width, mut one, batches) = match self {
            Self::Sqlite(log) => {
                let log = log.path().to_owned();
                let files = move || beside(&log, (batch, streams));
                let measured = tokio::task::spawn_blocking(files).await;
                let measured = measured.map_err(|error| failed("the reference", error))?;
                measured.map_err(|error| failed("the reference cannot be measured", error))?
            }
            Self::Postgres { url, .. } => {
                let measured = raw_postgres::measure(url, (batch, streams)).await;
                measured.map_err(|error| failed("the reference cannot be measured", error))?
            }
        };
        Ok(RawReport {
            one_row_commits_per_s: one.rows_per_s,
            one_row_p50_ms: percentile_ms(&mut one.commits, 0.5),
            batch,
            batch_rows_per_s: batches.rows_per_s,
            payload_bytes: width.payload,
            metadata_bytes: width.metadata,
        })
    }
}

fn beside(
    log: &Path,
    (batch, streams): (u64, u64),
) -> rusqlite::Result<(raw::Width, raw::Written, raw::Written)> {
    let width = raw::width_of(log)?;
    let written = |name: &str, batch, streams| {
        let path = log.with_extension(name);
        let written = raw::write(&path, width, (batch, streams));
        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.clone().into_os_string();
            file.push(suffix);
            drop(std::fs::remove_file(file));
        }
        written
    };
    Ok((width, written("raw-one", 1, 1)?, written("raw-batch", batch, streams)?))
}
