//! A transaction that is open over several calls of its owner.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::PgConnection;
use sqlx::{Error, Executor};

use crate::pool::{Held, Pool, TRIAL, in_time};

/// Dropped before it is committed, it is rolled back; and where a call on it was broken off, its
/// connection is closed hard.
#[derive(Debug)]
pub struct Transaction {
    held: Option<Held>,
    /// A call is under way, or was broken off.
    busy: bool,
    /// Longest that one call may take.
    call: Duration,
}

impl Pool {
    pub async fn begin(&self) -> Result<Transaction, Error> {
        let held = self.hold().await?;
        let mut transaction = Transaction { held: Some(held), busy: false, call: self.call };
        transaction.on(|connection| Box::pin(connection.execute("BEGIN"))).await?;
        Ok(transaction)
    }
}

impl Transaction {
    /// Does `work` within the transaction, in time.
    pub async fn on<T>(
        &mut self,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, Error>>,
    ) -> Result<T, Error> {
        let held = self.held.as_mut().filter(|_| !self.busy).ok_or(Error::PoolClosed)?;
        self.busy = true;
        let done = tokio::time::timeout(self.call, work(held)).await;
        let result = done.map_err(|_| crate::pool::silent())?;
        self.busy = false;
        result
    }

    pub async fn commit(mut self) -> Result<(), Error> {
        self.on(|connection| Box::pin(connection.execute("COMMIT"))).await?;
        if let Some(held) = self.held.take() {
            held.give_back();
        }
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(mut held) = self.held.take().filter(|_| !self.busy) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if in_time(TRIAL, held.execute("ROLLBACK")).await.is_ok() {
                held.give_back();
            }
        });
    }
}
