//! Moving house: a whole log is copied from one store into another. This module knows no database;
//! a store takes part through [`CopySource`] and [`CopyTarget`].

mod copy;
mod row;
mod tally;

pub use copy::{Copied, CopyError, Progress, Stage, copy};
pub use row::{KeyRow, Row, Table};
pub use tally::Tally;

use std::fmt;

use async_trait::async_trait;

use super::verify::Scan;
use super::{LogError, LogIdentity, Recorded};

/// Which log a house holds, and the key of its sandboxes' tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Deed {
    pub identity: LogIdentity,
    pub secret: [u8; 32],
}

impl fmt::Debug for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deed").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// What stands where a copy shall go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No event, key or blob; perhaps a log that was never used.
    Empty,
    /// A copy of this log was begun.
    Unfinished(LogIdentity),
    /// A log that is in use, or was.
    Whole(LogIdentity),
}

/// A log that is copied. As long as it lives nobody else writes the log.
#[async_trait]
pub trait CopySource: Scan {
    /// What people call it, without passwords.
    fn name(&self) -> String;

    /// None where there is no log yet.
    async fn deed(&self) -> Result<Option<Deed>, LogError>;

    /// False where a copy is not finished, or there is no log.
    async fn is_whole(&self) -> Result<bool, LogError>;

    /// At most `limit` rows of a table behind `after`, in the order of their keys (ids and
    /// texts by their bytes); fewer when they are large, and none only where there are none.
    async fn rows(
        &self,
        table: Table,
        after: Option<&Row>,
        limit: usize,
    ) -> Result<Vec<Row>, LogError>;
}

/// A place that a log is copied into. As long as it lives nobody else writes there.
///
/// What a method has written is durable when it returns, and a crash before leaves all or nothing
/// of it. Until `finish` the place is marked as unfinished, and no engine writes there.
#[async_trait]
pub trait CopyTarget: CopySource {
    async fn standing(&self) -> Result<Standing, LogError>;

    /// Marks an empty place as an unfinished copy that will have this deed.
    async fn begin(&self, deed: &Deed) -> Result<(), LogError>;

    /// Writes events as they are. `Corrupt` when they do not follow on the last that is there.
    async fn put_events(&self, events: Vec<Recorded>) -> Result<(), LogError>;

    /// Forgets the rows of a table that change with time: an earlier attempt may have copied older
    /// ones.
    async fn clear(&self, table: Table) -> Result<(), LogError>;

    /// Writes rows of one table, and leaves those that are there.
    async fn put_rows(&self, rows: Vec<Row>) -> Result<(), LogError>;

    /// Takes the mark away. From here on it is a log like any other.
    async fn finish(&self) -> Result<(), LogError>;
}

/// A log that was put back to an earlier time.
#[async_trait]
pub trait Restored: Send + Sync {
    /// Gives the log an incarnation above its own and `above`, so that no cursor of the lost time
    /// holds, and a new secret, so that no sandbox of the lost time has a valid token.
    async fn begin_anew(&self, above: u32) -> Result<LogIdentity, LogError>;
}

/// A place where a log may stand, for whatever is to be done with a whole one.
pub trait House: CopyTarget + Restored {}
impl<T: CopyTarget + Restored> House for T {}
