//! The pool, and the one way to use a connection of it.

use std::fmt;
use std::future::Future;
use std::io::ErrorKind;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// A connection that was idle for this long is tried before it is used.
const TRIED_AFTER: Duration = Duration::from_secs(2);

/// Longest that such a try may take.
pub(crate) const TRIAL: Duration = Duration::from_secs(2);

/// What a pool keeps to.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub max_connections: u32,
    /// Longest wait for a free connection, and for a new one.
    pub connect: Duration,
    /// Longest that a call may take.
    pub call: Duration,
    /// An idle connection is closed after this.
    pub idle: Duration,
    /// Greatest age of a connection.
    pub age: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_connections: 8,
            connect: Duration::from_secs(5),
            call: Duration::from_secs(6),
            idle: Duration::from_mins(2),
            age: Duration::from_mins(30),
        }
    }
}

/// A handle; clones share the connections.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
    /// Longest that a call through this handle may take.
    pub(crate) call: Duration,
}

struct Inner {
    options: PgConnectOptions,
    bounds: Bounds,
    permits: Arc<Semaphore>,
    /// The one that was used last is at the end, and is used first.
    idle: Mutex<Vec<Kept>>,
}

struct Kept {
    connection: PgConnection,
    made: Instant,
    used: Instant,
}

/// A connection in use. Dropped without [`give_back`](Self::give_back), it is closed hard: the
/// server ends whatever it was doing.
pub struct Held {
    pool: Arc<Inner>,
    kept: Option<Kept>,
    _permit: OwnedSemaphorePermit,
}

/// Without the options: a password may stand in them.
impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("bounds", &self.inner.bounds).finish_non_exhaustive()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool without connections: they are made when they are needed.
    #[must_use]
    pub fn new(options: PgConnectOptions, bounds: Bounds) -> Self {
        let permits = Arc::new(Semaphore::new(bounds.max_connections as usize));
        let inner = Inner { options, bounds, permits, idle: Mutex::default() };
        Self { inner: Arc::new(inner), call: bounds.call }
    }

    /// The same connections, for calls that may take longer or shorter.
    #[must_use]
    pub fn within(&self, call: Duration) -> Self {
        Self { inner: Arc::clone(&self.inner), call }
    }

    /// A connection for the caller alone.
    pub async fn hold(&self) -> Result<Held, Error> {
        let connect = self.inner.bounds.connect;
        let permit = in_time(connect, async {
            let permit = Arc::clone(&self.inner.permits).acquire_owned().await;
            permit.map_err(|_| Error::PoolClosed)
        });
        let permit = permit.await?;
        let kept = match self.inner.kept().await {
            Some(kept) => kept,
            None => in_time(connect, self.inner.fresh()).await?,
        };
        Ok(Held { pool: Arc::clone(&self.inner), kept: Some(kept), _permit: permit })
    }

    /// Runs `work` on a connection, to its end, whether or not the caller waits for it. A
    /// transaction that `work` begins it also commits; after an error it is rolled back.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, Error>>
        + Send
        + 'static,
    ) -> Result<T, Error> {
        self.run_with(std::convert::identity, work).await
    }

    /// The same for work with an error of its own; `lost` makes that of what befalls a connection.
    pub async fn run_with<T: Send + 'static, E: Send + 'static>(
        &self,
        lost: fn(Error) -> E,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    ) -> Result<T, E> {
        let pool = self.clone();
        let done = tokio::spawn(async move {
            let mut held = pool.hold().await.map_err(lost)?;
            let result = tokio::time::timeout(pool.call, work(&mut held)).await;
            let Ok(result) = result else {
                // It is dropped, and its connection with it. Those that were made before may have
                // met the same fate.
                pool.inner.idle().clear();
                return Err(lost(silent()));
            };
            // A ping takes what is left of a failed call, and its transaction's end, off the line.
            if result.is_ok() || in_time(TRIAL, held.ping()).await.is_ok() {
                held.give_back();
            }
            result
        });
        done.await.unwrap_or_else(|_| Err(lost(Error::WorkerCrashed)))
    }

    /// Closes what is idle; what is in use is closed when it is done.
    pub async fn close(&self) {
        self.inner.permits.close();
        let idle = std::mem::take(&mut *self.inner.idle());
        for kept in idle {
            drop(tokio::time::timeout(TRIAL, kept.connection.close()).await);
        }
    }
}

impl Inner {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle connection that is good.
    async fn kept(&self) -> Option<Kept> {
        let mut kept = self.youngest()?;
        if kept.used.elapsed() < TRIED_AFTER || in_time(TRIAL, kept.connection.ping()).await.is_ok()
        {
            return Some(kept);
        }
        // What forgot this one, or ended it, has most likely done so to the others: to try each in
        // turn would take a caller's patience.
        self.idle().clear();
        None
    }

    /// Takes the one that was used last, and lets go of those that are over their time.
    fn youngest(&self) -> Option<Kept> {
        let mut idle = self.idle();
        let Bounds { idle: longest, age, .. } = self.bounds;
        idle.retain(|kept| kept.used.elapsed() < longest && kept.made.elapsed() < age);
        idle.pop()
    }

    async fn fresh(&self) -> Result<Kept, Error> {
        let connection = PgConnection::connect_with(&self.options).await?;
        let now = Instant::now();
        Ok(Kept { connection, made: now, used: now })
    }
}

impl Held {
    /// It is good for the next caller: nothing is under way on it.
    pub fn give_back(mut self) {
        let Some(mut kept) = self.kept.take() else { return };
        if kept.connection.is_in_transaction() || self.pool.permits.is_closed() {
            return;
        }
        kept.used = Instant::now();
        self.pool.idle().push(kept);
    }
}

impl Deref for Held {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.kept.as_ref().expect("it is held until it is given back").connection
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.kept.as_mut().expect("it is held until it is given back").connection
    }
}

pub(crate) async fn in_time<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| Err(silent()))
}

/// What comes of `call`; none when that takes longer than `limit`.
pub async fn within<T>(limit: Duration, call: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, call).await.ok()
}

pub(crate) fn silent() -> Error {
    Error::Io(std::io::Error::new(ErrorKind::TimedOut, "the database does not answer"))
}
