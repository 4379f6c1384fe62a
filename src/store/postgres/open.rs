//! Opens a log: as one of its nodes, which makes the tables where they are missing, or for reading.

use std::fmt;
use std::sync::Arc;

use specline_aggregates::Timestamp;
use specline_pg::within;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor, Row};
use tokio::sync::Notify;
use uuid::Uuid;

use super::batch;
use super::error::unconnected;
use super::follow::{Follower, View, poll, set_back};
use super::log::{Parts, PgLog};
use super::writer::{Setup, Writer};
use super::{OpenError, identity, migrations, session};
use crate::store::{Clock, LogError, LogIdentity, Position};

/// The oldest server that has what the log needs.
const MIN_SERVER: i32 = 140_000;

/// Rows of writers that ended are dropped after this, in microseconds: a day.
const WRITERS_LAST: i64 = 24 * 3_600_000_000;

/// Where a log is, and how it is used.
#[derive(Clone)]
pub struct Settings {
    /// `postgres://user@host/db`.
    pub url: String,
    /// Tests give their own; none is the server's clock.
    pub clock: Option<Clock>,
    /// Types of aggregates whose streams are looked after: rows that another writer left there are
    /// adopted within a second, also when nobody loads them.
    pub adopts: Vec<&'static str>,
}

/// Without the URL: a password may stand in it.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("adopts", &self.adopts).finish_non_exhaustive()
    }
}

impl Settings {
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), clock: None, adopts: Vec::new() }
    }
}

/// Whether the database can be reached now.
pub(super) async fn probe(url: &str) -> Result<(), OpenError> {
    let connection = connect(&session::options(url)?).await?;
    drop(connection.close().await);
    Ok(())
}

/// Draws a new secret. Nodes that run go by the old one until they are started again.
pub(super) async fn renew_secret(url: &str) -> Result<Uuid, OpenError> {
    let mut connection = connect(&session::options(url)?).await?;
    migrations::migrate(&mut connection).await?;
    let identity = identity::load_or_create(&mut connection).await?;
    identity::renew_secret(&mut connection).await?;
    Ok(identity.log.log_id)
}

/// Opens the log as one of its nodes.
pub(super) async fn node(settings: Settings) -> Result<PgLog, OpenError> {
    let options = session::options(&settings.url)?;
    let mut connection = connect(&options).await?;
    migrations::migrate(&mut connection).await?;
    let identity = identity::load_or_create(&mut connection).await?;
    if identity.copying {
        return Err(OpenError::Copying { database: name(&options) });
    }
    let secret = identity::secret_or_create(&mut connection).await?;
    forget_old_writers(&mut connection).await?;
    drop(connection.close().await);
    let known = Known { log: identity.log, secret: Some(secret) };
    assemble(options, settings, known, Mode::Node).await
}

/// Opens the log for reading only; nothing is made.
pub(super) async fn reader(url: &str) -> Result<PgLog, OpenError> {
    let options = session::options(url)?;
    let mut connection = connect(&options).await?;
    let database = name(&options);
    migrations::check(&mut connection, &database).await?;
    let identity = identity::load(&mut connection).await?;
    let identity = identity.ok_or(OpenError::Missing { database })?;
    // Reading needs none, and a role that may only read cannot have it.
    let secret = identity::secret(&mut connection).await.ok().flatten();
    drop(connection.close().await);
    let known = Known { log: identity.log, secret };
    assemble(options, Settings::new(url), known, Mode::Reader).await
}

/// What was read before the log is put together.
struct Known {
    log: LogIdentity,
    secret: Option<[u8; 32]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Node,
    Reader,
}

pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, OpenError> {
    let unreachable = |error: sqlx::Error| unconnected(name(options), &error);
    let connecting = PgConnection::connect_with(options);
    let silent = || OpenError::Unreachable {
        database: name(options),
        cause: "it does not answer".to_owned(),
    };
    let connecting = within(session::CONNECT_PATIENCE, connecting).await;
    let mut connection = connecting.ok_or_else(silent)?.map_err(unreachable)?;
    let sql = "SELECT current_setting('server_version_num')::integer, \
               current_setting('server_version')";
    let row = connection.fetch_one(sql).await.map_err(unreachable)?;
    let version: i32 = row.try_get(0).map_err(unreachable)?;
    if version < MIN_SERVER {
        return Err(OpenError::Server { found: row.try_get(1).map_err(unreachable)? });
    }
    Ok(connection)
}

/// The database as a person knows it; never the password.
pub(super) fn name(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_default();
    format!("{}:{}/{database}", options.get_host(), options.get_port())
}

async fn forget_old_writers(connection: &mut PgConnection) -> Result<(), OpenError> {
    sqlx::query("DELETE FROM log_writers WHERE at < specline_now(NULL) - $1")
        .bind(WRITERS_LAST)
        .execute(connection)
        .await
        .map_err(|error| OpenError::Damaged { cause: error.to_string() })?;
    Ok(())
}

async fn assemble(
    options: PgConnectOptions,
    settings: Settings,
    known: Known,
    mode: Mode,
) -> Result<PgLog, OpenError> {
    let pool = session::pool(options.clone());
    let channel = format!("specline_{}", known.log.log_id.simple());
    let view = Arc::new(View::new(Position(0), Timestamp::default()));
    let damaged = |error: LogError| OpenError::Damaged { cause: error.to_string() };
    if poll(&pool, &view, &[]).await.map_err(damaged)?.set_back && mode == Mode::Node {
        set_back(&pool).await.map_err(damaged)?;
        poll(&pool, &view, &[]).await.map_err(damaged)?;
    }
    let follower = Follower {
        pool: pool.clone(),
        view: Arc::clone(&view),
        channel: channel.clone(),
        adopts: settings.adopts,
        writes: mode == Mode::Node,
        missed: Arc::new(Notify::new()),
    };
    let listening = session::listener(&options);
    let tasks =
        vec![tokio::spawn(follower.clone().poll_on()), tokio::spawn(follower.listen_on(listening))];
    let writer = (mode == Mode::Node).then(|| {
        Writer::start(Setup {
            options: session::for_writer(&options),
            identity: batch::Identity { writer: Uuid::now_v7(), channel: channel.clone() },
            pool: pool.clone(),
            clock: settings.clock.clone(),
            view: Arc::clone(&view),
        })
    });
    Ok(PgLog::new(Parts {
        name: name(&options),
        identity: known.log,
        secret: known.secret,
        clock: settings.clock,
        channel,
        pool,
        beats: session::beats(options),
        view,
        writer,
        tasks,
    }))
}
