//! Which log a command works on: files of this machine, or a database that engines share.

use std::path::PathBuf;
use std::sync::Arc;

use cqrs_es::Aggregate;
use specline_aggregates::{spec::Spec, task::Task, ticket::Ticket};

use super::args::PlaceArgs;
use super::{Exit, Failure, Place, adopted, host_key};
use crate::engine::token_key;
use crate::store::verify::Scan;
use crate::store::{Clock, EventLog, OpenError, PgLog, SideTables, SqliteLog, postgres};

/// Where a log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// SQLite files, which one engine at a time holds.
    Files(Place),
    /// A PostgreSQL database, by its URL.
    Postgres(String),
}

/// A log that was opened, in whichever store.
#[derive(Clone)]
pub struct Opened {
    pub log: Arc<dyn EventLog>,
    pub side: Arc<dyn SideTables>,
    pub rows: Arc<dyn Scan>,
    keeper: Keeper,
}

/// Who keeps the secret of a log's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeper {
    /// The state folder and the log's file, one half each.
    Host,
    /// The database that nodes share.
    Store,
}

impl Opened {
    fn of<L: EventLog + SideTables + Scan + 'static>(log: L, keeper: Keeper) -> Self {
        let log = Arc::new(log);
        Self { log: log.clone(), side: log.clone(), rows: log, keeper }
    }

    /// The secret of this log's tokens, where this user has it.
    pub async fn secret(&self) -> Option<[u8; 32]> {
        let salt = self.side.secret().await.ok()?;
        match self.keeper {
            Keeper::Store => Some(salt),
            Keeper::Host => {
                let key = host_key::look(&self.log.identity().log_id.to_string())?;
                Some(token_key(&key, &salt))
            }
        }
    }
}

/// Whether `url` names a PostgreSQL database.
fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

impl Location {
    /// The log that a command names, or the nearest one.
    pub fn find(args: &PlaceArgs) -> Result<Self, Failure> {
        match args.store.as_deref().filter(|url| is_postgres(url)) {
            Some(url) => Ok(Self::Postgres(url.to_owned())),
            None => Place::find(args).map(Self::Files),
        }
    }

    /// The log that `run` and `serve` work on, which need not be there yet, and the repository.
    pub fn for_repository(args: &PlaceArgs) -> Result<(Self, PathBuf), Failure> {
        let Some(url) = args.store.as_deref().filter(|url| is_postgres(url)) else {
            let (place, repo) = Place::for_repository(args)?;
            return Ok((Self::Files(place), repo));
        };
        let here = PlaceArgs { store: None, ..args.clone() };
        let (_, repo) = Place::for_repository(&here)?;
        Ok((Self::Postgres(url.to_owned()), repo))
    }

    /// The log as a person knows it; without a password.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Files(place) => place.log.display().to_string(),
            Self::Postgres(url) => super::copy::shown(url),
        }
    }

    /// Where the read models of this log are.
    #[must_use]
    pub fn read_models(&self) -> specline_projections::Place {
        match self {
            Self::Files(place) => specline_projections::Place::File(place.read_models.clone()),
            Self::Postgres(url) => specline_projections::Place::Postgres(url.clone()),
        }
    }

    /// Opens the log for reading beside whoever writes it.
    pub async fn open_to_read(&self) -> Result<Opened, Failure> {
        match self {
            Self::Files(place) => {
                let path = place.log.clone();
                let opened =
                    tokio::task::spawn_blocking(move || SqliteLog::open_read_only(&path)).await;
                let opened = opened.map_err(|error| Failure::failed(error.to_string()))?;
                let opened = opened.map(|log| Opened::of(log, Keeper::Host));
                opened.map_err(|error| unopened(&error))
            }
            Self::Postgres(url) => {
                let opened = PgLog::open_read_only(url).await;
                let opened = opened.map(|log| Opened::of(log, Keeper::Store));
                opened.map_err(|error| unopened(&error))
            }
        }
    }
}

/// Takes the files of a log; none when another engine has them.
pub(super) async fn take_files(place: &Place) -> Result<Option<Opened>, Failure> {
    // One that cannot be read yet may be in the making by another engine, which holds it then.
    let readable = adopted::require(&place.log)?;
    let path = place.log.clone();
    let opened = move || SqliteLog::open_at_once(&path, Clock::system());
    let opened = tokio::task::spawn_blocking(opened).await;
    match opened.map_err(|e| Failure::failed(format!("the log: {e}")))? {
        Ok(log) => {
            if !readable {
                adopted::require(&place.log)?;
            }
            adopted::remember(&place.log, log.identity().log_id)?;
            Ok(Some(Opened::of(log, Keeper::Host)))
        }
        Err(OpenError::Busy { .. }) => Ok(None),
        Err(error @ OpenError::Newer { .. }) => Err(Failure::new(Exit::Busy, error.to_string())),
        Err(error) => Err(unopened(&error)),
    }
}

/// Joins the nodes of a database.
pub(super) async fn join(url: &str) -> Result<Opened, Failure> {
    let settings = postgres::Settings {
        adopts: vec![Spec::TYPE, Task::TYPE, Ticket::TYPE],
        ..postgres::Settings::new(url)
    };
    match PgLog::open(settings).await {
        Ok(log) => Ok(Opened::of(log, Keeper::Store)),
        Err(error @ postgres::OpenError::Newer { .. }) => {
            Err(Failure::new(Exit::Busy, error.to_string()))
        }
        Err(error) => Err(unopened(&error)),
    }
}

fn unopened(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Configuration, error.to_string())
}
