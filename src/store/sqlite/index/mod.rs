//! The index for audit queries: a file beside the log, filled behind the writer, so that an append
//! costs nothing more. It is a cache: one that is missing, damaged or of another log is made anew,
//! and what it does not have yet is looked through in the log itself.

mod file;
mod fill;
mod look;
mod terms;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tokio::sync::watch;

use self::fill::{Filler, Setup};
pub(super) use self::look::Found;
use super::connection;
use super::readers::Readers;
use crate::store::audit::{Bounds, Column, Order};
use crate::store::{LogIdentity, Position};

/// The index of one log. The thread that fills it, if it is this process's, ends with it.
pub(super) struct Index {
    reader: Reader,
    _filler: Option<Filler>,
}

/// Reads the index; cheap to copy.
#[derive(Clone)]
pub(super) struct Reader {
    connections: Readers,
    identity: LogIdentity,
}

impl Index {
    /// For a log that is only read: another process may be filling its index.
    pub(super) fn of(log: &Path, identity: LogIdentity) -> Self {
        let reader = Reader { connections: Readers::new(path_of(log)), identity };
        Self { reader, _filler: None }
    }

    /// Fills it beside: queries are right also where that is not possible.
    pub(super) fn filled(
        log: &Path,
        identity: LogIdentity,
        head: watch::Receiver<Position>,
    ) -> Self {
        let setup = Setup { log: log.to_owned(), index: path_of(log), identity, head };
        let filler = Filler::start(setup).inspect_err(|error| {
            tracing::warn!(cause = %error, "the log's index is not filled");
        });
        Self { _filler: filler.ok(), ..Self::of(log, identity) }
    }

    pub(super) fn reader(&self) -> Reader {
        self.reader.clone()
    }
}

fn path_of(log: &Path) -> PathBuf {
    connection::beside(log, ".audit")
}

impl Reader {
    /// Up to which position the index has every event of `log`.
    pub(super) fn reached(&self, log: &Connection) -> rusqlite::Result<u64> {
        let reached = self.connections.with(|index| file::reached(index, self.identity));
        match reached {
            Ok(Some(reached)) if file::holds(log, &reached)? => Ok(reached.position),
            // It may not be there yet, or be made anew just now.
            Ok(_) | Err(_) => Ok(0),
        }
    }

    /// At most `limit` positions within `bounds` where all conditions may hold: compare what stands
    /// there. None: the index failed, and the log has to be looked through.
    pub(super) fn find(
        &self,
        conditions: &[(Column, String)],
        (bounds, order): (Bounds, Order),
        limit: usize,
    ) -> Option<Found> {
        if bounds.high <= bounds.low {
            return Some(Found::default());
        }
        let terms: Vec<i64> =
            conditions.iter().map(|(column, value)| terms::of(*column, value)).collect();
        self.connections
            .with(|index| look::positions(index, &terms, (bounds, order), limit))
            .inspect_err(|error| tracing::warn!(cause = %error, "the log's index failed"))
            .ok()
    }
}
