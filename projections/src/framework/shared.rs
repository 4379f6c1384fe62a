//! Several nodes on one set of read models. There is no leader: whoever has a page applies it. Each
//! write is one transaction under one lock, and inside it the cursors are read again: what a node
//! has in memory is only what it saw last. The page of a node that lost the race finds itself
//! applied, and is skipped.
//!
//! On SQLite one process has the file to itself, and its memory is right.

use super::cursor::{self, Stored};
use super::database::{Moved, Write};
use super::error::Error;
use super::read_models::{Cursors, ReadModels, Registered};
use super::sql::Slot;

impl ReadModels {
    /// Begins a write, when no other node has one open, and says where each read model stands.
    pub(crate) async fn begin(&self) -> Result<(Write, Cursors), Error> {
        let mut write = self.db.begin().await?;
        let cursors = self.cursors_in(&mut write).await?;
        Ok((write, cursors))
    }

    /// The same; none when another node has a write open.
    pub(crate) async fn try_begin(&self) -> Result<Option<(Write, Cursors)>, Error> {
        let Some(mut write) = self.db.try_begin().await? else { return Ok(None) };
        let cursors = self.cursors_in(&mut write).await?;
        Ok(Some((write, cursors)))
    }

    async fn cursors_in(&self, write: &mut Write) -> Result<Cursors, Error> {
        if !self.db.is_shared() {
            return Ok(self.known());
        }
        let cursors = self.checked(cursor::load(write).await?)?;
        self.set_cursors(|known| known.clone_from(&cursors));
        Ok(cursors)
    }

    /// Reads where the read models stand, after another node has moved them: one statement. Nothing
    /// is to be done on SQLite.
    pub async fn refresh(&self) -> Result<(), Error> {
        if !self.db.is_shared() {
            return Ok(());
        }
        loop {
            let before = self.changes();
            let cursors = self.checked(cursor::look(&self.db).await?)?;
            // What was set meanwhile may be later than what was read.
            if self.set_cursors_unless_changed(before, cursors) {
                return Ok(());
            }
        }
    }

    /// What tells when other nodes move the read models.
    #[must_use]
    pub fn moved(&self) -> Moved {
        self.db.moved()
    }

    /// The cursors of our read models. One that a later release writes is refused, and so is one
    /// of another log: this node is the stale one.
    fn checked(&self, stored: Vec<Stored>) -> Result<Cursors, Error> {
        let mut cursors = Cursors::new();
        for row in stored {
            let Ok(model) = self.model(&row.model) else { continue };
            let slot = if row.slot == Slot::Live.as_str() { Slot::Live } else { Slot::New };
            refuse_newer(model, &row)?;
            if row.version != i64::from(model.table.version) {
                continue;
            }
            if row.log == Some(self.log) {
                cursors.insert((model.table.name, slot), row.cursor);
            } else if slot == Slot::Live {
                return Err(Error::Elsewhere(model.table.name));
            }
        }
        Ok(cursors)
    }
}

/// Fails where the stored form is one that this program does not know.
pub(crate) fn refuse_newer(model: &Registered, row: &Stored) -> Result<(), Error> {
    let known = model.table.version;
    if row.version > i64::from(known) {
        return Err(Error::Newer { model: model.table.name, found: row.version, known });
    }
    Ok(())
}
