//! What wakes a node that did not project: the commits of the others.

use std::time::Duration;

use specline_pg::within;
use sqlx::Executor;
use sqlx::postgres::{PgListener, PgPool};
use uuid::Uuid;

use crate::framework::error::Error;

/// A listener that hears nothing for so long is asked whether it is still there, and for how long.
const SILENCE: Duration = Duration::from_secs(15);
const TRIAL: Duration = Duration::from_secs(2);

/// Tells of the writes of other nodes. On SQLite there are none, and it never does.
pub struct Moved(Option<Channel>);

struct Channel {
    pool: PgPool,
    name: String,
    /// What our own commits say; they are no news.
    ours: Uuid,
    listener: Option<PgListener>,
    /// There was no connection for a time (also before the first), and what was told then was
    /// missed.
    missed: bool,
}

impl Moved {
    pub(super) const fn never() -> Self {
        Self(None)
    }

    pub(super) const fn of(pool: PgPool, name: String, ours: Uuid) -> Self {
        Self(Some(Channel { pool, name, ours, listener: None, missed: true }))
    }

    /// Waits until another node has moved the read models, or may have (at the first call, and
    /// when a connection was lost and is there again); then `ReadModels::refresh` says where they
    /// stand. It waits without a statement. An error means that the server is away: ask again in a
    /// moment. It may be dropped while it waits.
    pub async fn next(&mut self) -> Result<(), Error> {
        let Some(channel) = &mut self.0 else { return std::future::pending().await };
        loop {
            let heard = channel.next().await;
            if heard.is_err() {
                channel.listener = None;
                channel.missed = true;
            }
            if heard? {
                return Ok(());
            }
        }
    }
}

impl Channel {
    async fn listener(&mut self) -> Result<&mut PgListener, Error> {
        if self.listener.is_none() {
            let mut listener = PgListener::connect_with(&self.pool).await?;
            // A loss is told, and not mended within a wait that may be dropped.
            listener.eager_reconnect(false);
            listener.listen(&self.name).await?;
            self.listener = Some(listener);
        }
        Ok(self.listener.as_mut().expect("it was made just above where there was none"))
    }

    /// Whether what was heard is another node's.
    async fn next(&mut self) -> Result<bool, Error> {
        self.listener().await?;
        if std::mem::take(&mut self.missed) {
            return Ok(true);
        }
        let Some(heard) = within(SILENCE, self.listener().await?.try_recv()).await else {
            return self.try_listener().await.map(|()| false);
        };
        let Some(told) = heard? else {
            // The connection is gone; the next turn makes another.
            self.listener = None;
            self.missed = true;
            return Ok(false);
        };
        Ok(told.payload() != self.ours.to_string())
    }

    /// Nobody told of anything, or a connection that was forgotten on the way is deaf.
    async fn try_listener(&mut self) -> Result<(), Error> {
        // Where this is dropped half way, the listener goes with it.
        let Some(mut listener) = self.listener.take() else { return Ok(()) };
        self.missed = true;
        let tried = within(TRIAL, listener.execute("SELECT 1")).await;
        tried.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        self.listener = Some(listener);
        self.missed = false;
        Ok(())
    }
}
