//! A few read-only connections. They see committed data only, and never wait for the writer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::connection;
use super::error::log_error;
use crate::store::LogError;

/// Reads at one time: as many as a small machine's disk serves well; each connection has a page
/// cache of up to 2 MB.
const MAX_READERS: usize = 4;

/// A cheap handle to the pool.
#[derive(Clone)]
pub(super) struct Readers(Arc<Pool>);

struct Pool {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        let permits = Arc::new(Semaphore::new(MAX_READERS));
        Self(Arc::new(Pool { path, permits, idle: Mutex::default() }))
    }

    /// Runs `read` on a connection, on a thread where it may block.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        ended(self.start(read).await?).await
    }

    /// The same, without waiting for its end.
    pub(super) async fn start<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, LogError> + Send + 'static,
    ) -> Result<JoinHandle<Result<T, LogError>>, LogError> {
        let permit = Arc::clone(&self.0.permits).acquire_owned().await;
        let permit = permit.map_err(|_| stopped("the log is being closed"))?;
        let pool = Arc::clone(&self.0);
        Ok(tokio::task::spawn_blocking(move || {
            let connection = pool.take()?;
            let answer = read(&connection);
            pool.put_back(connection);
            drop(permit);
            answer
        }))
    }

    /// Runs `read` on a connection, on this thread, which may block. One that failed is not used
    /// again.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let connection = self.0.idle().pop();
        let connection = connection.map_or_else(|| connection::open_reader(&self.0.path), Ok)?;
        let answer = read(&connection)?;
        self.0.put_back(connection);
        Ok(answer)
    }
}

/// What came of a read that was started.
pub(super) async fn ended<T>(read: JoinHandle<Result<T, LogError>>) -> Result<T, LogError> {
    read.await.map_err(|_| stopped("a read of the log was broken off"))?
}

fn stopped(cause: &str) -> LogError {
    LogError::Transient { cause: cause.to_owned() }
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Result<Connection, LogError> {
        let idle = self.idle().pop();
        idle.map_or_else(|| connection::open_reader(&self.path).map_err(log_error), Ok)
    }

    fn put_back(&self, connection: Connection) {
        self.idle().push(connection);
    }
}
