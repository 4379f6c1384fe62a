//! Puts a backup in the place of a log: verified first, under the writer's lock, by one rename, and
//! never over what was there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::backup::{Backup, sync_folder};
use super::house::SqliteHouse;
use super::lock::WriteLock;
use super::{OpenError, connection, identity};
use crate::private;
use crate::store::house::{CopySource, Restored};
use crate::store::verify::{Difference, Verification, verify};
use crate::store::{LogError, LogIdentity, Position};

/// What stands where a backup shall go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Present {
    /// None: there is a file, and it cannot be read as a log.
    pub n_events: Option<u64>,
    pub identity: Option<LogIdentity>,
}

/// Why a backup was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the backup {} is damaged, and nothing was changed: {difference}", path.display())]
    Damaged { path: PathBuf, difference: Difference },
    #[error("the backup {} is itself an unfinished copy, and nothing was changed", path.display())]
    Unfinished { path: PathBuf },
}

/// A backup that was verified and waits beside the log that it will replace, whose lock it holds.
pub struct Restore {
    log: PathBuf,
    present: Option<Present>,
    backup: Backup,
    verified: Verification,
    identity: LogIdentity,
    _lock: WriteLock,
}

impl Restore {
    /// Takes the lock of `log`, copies `backup` beside it, verifies the copy, and gives it an
    /// incarnation above its own and that of the log that it replaces, and a new secret.
    pub async fn prepare(backup: &Path, log: &Path) -> Result<Self, RestoreError> {
        // A link stays a link: what it leads to is replaced.
        let log = log.canonicalize().unwrap_or_else(|_| log.to_owned());
        let lock = WriteLock::take_soon(&log)?;
        let present = present(&log);
        let (from, beside) = (backup.to_owned(), connection::beside(&log, ".restoring"));
        let copied = tokio::task::spawn_blocking(move || Backup::take(&from, &beside)).await;
        let copy = copied.map_err(|error| LogError::Transient { cause: error.to_string() })??;
        let house = SqliteHouse::open(copy.file())?;
        if !house.is_whole().await? {
            return Err(RestoreError::Unfinished { path: backup.to_owned() });
        }
        let verified = verify(&house, Position(1), Position(u64::MAX), |_| {}).await?;
        if let Some(difference) = verified.first_difference {
            return Err(RestoreError::Damaged { path: backup.to_owned(), difference });
        }
        let above = present.and_then(|present| present.identity);
        let identity = house.begin_anew(above.map_or(0, |above| above.incarnation)).await?;
        let failed = |error: rusqlite::Error| OpenError::sqlite(copy.file(), &error);
        house.close().map_err(failed)?;
        Ok(Self { log, present, backup: copy, verified, identity, _lock: lock })
    }

    /// What is replaced.
    #[must_use]
    pub const fn present(&self) -> Option<Present> {
        self.present
    }

    #[must_use]
    pub const fn identity(&self) -> LogIdentity {
        self.identity
    }

    #[must_use]
    pub const fn n_events(&self) -> u64 {
        self.verified.events
    }

    /// Puts the backup in place. What was there stays beside it as `<log>.<aside>`; the answer is
    /// its path. A crash before the end leaves one of the two logs under the log's name.
    pub fn put_in_place(self, aside: &str) -> Result<Option<PathBuf>, OpenError> {
        let failed = |error: io::Error| OpenError::io(&self.log, &error);
        let kept = connection::beside(&self.log, &format!(".{aside}"));
        let was_there = self.log.exists();
        if was_there {
            // What cannot be read is moved as it is: opening it might change it.
            if self.present.is_some_and(|present| present.n_events.is_some()) {
                fold(&self.log);
            }
            // A second name first, so that there is a log under this one at every moment.
            fs::hard_link(&self.log, &kept)
                .or_else(|_| fs::rename(&self.log, &kept))
                .map_err(failed)?;
        }
        // Only a damaged log still has these; under a new file they would be taken for its own.
        for suffix in ["-wal", "-shm", "-journal"] {
            let left = connection::beside(&self.log, suffix);
            if left.exists() {
                fs::rename(&left, connection::beside(&kept, suffix)).map_err(failed)?;
            }
        }
        fs::rename(self.backup.file(), &self.log).map_err(failed)?;
        private::mend_family(&self.log);
        sync_folder(&self.log).map_err(failed)?;
        Ok(was_there.then_some(kept))
    }
}

fn present(log: &Path) -> Option<Present> {
    if !log.exists() {
        return None;
    }
    let unreadable = Present { n_events: None, identity: None };
    let read = || -> rusqlite::Result<Present> {
        let connection = connection::open_reader(log)?;
        let sql = "SELECT count(*) FROM events";
        let n_events = connection.query_row(sql, [], |row| row.get(0))?;
        let held = identity::held(&connection).ok().flatten();
        Ok(Present { n_events: Some(n_events), identity: held.map(|(deed, _)| deed.identity) })
    };
    Some(read().unwrap_or(unreadable))
}

/// Folds the write-ahead log into the file, where it can.
fn fold(log: &Path) {
    let folded = Connection::open(log).and_then(|connection| {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    });
    if let Err(error) = folded {
        tracing::warn!(cause = %error, "the log that is replaced keeps its write-ahead log");
    }
}
