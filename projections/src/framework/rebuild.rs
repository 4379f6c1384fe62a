//! Rebuilding a read model beside its live table, and swapping the two. Reads and live folding go
//! on meanwhile. A crash before the swap leaves the live table; the next open drops the leftover.

use super::apply::check_order;
use super::cursor::{self, Cursor};
use super::error::Error;
use super::read_models::{ReadModels, Registered};
use super::sql::{self, Slot};
use crate::Envelope;

/// How far a rebuild has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    pub position: u64,
    /// It has caught up with the live table: `swap` may follow.
    pub caught_up: bool,
}

impl ReadModels {
    /// Begins a rebuild of `name` from position 0, dropping an unfinished one.
    pub async fn begin_rebuild(&self, name: &str) -> Result<(), Error> {
        let model = self.model(name)?;
        let mut write = self.db.begin().await?;
        let generation = self.cursor(model, Slot::Live).map_or(0, |live| live.generation);
        let fresh = Cursor::start(generation + 1);
        write.execute(&sql::drop_table(&model.table, Slot::New), Vec::new()).await?;
        for statement in sql::create(&model.table, Slot::New, fresh.generation) {
            write.execute(&statement, Vec::new()).await?;
        }
        let owner = model.owner(Slot::New, self.log);
        cursor::save(&mut write, &[(owner, fresh.clone())]).await?;
        write.commit().await?;
        self.set_cursors(|cursors| {
            cursors.insert((model.table.name, Slot::New), fresh);
        });
        Ok(())
    }

    /// Where the rebuild of `name` stands.
    pub fn rebuild_position(&self, name: &str) -> Result<u64, Error> {
        let model = self.model(name)?;
        Ok(self.rebuild_cursor(model)?.position)
    }

    /// Applies the page that follows position `after` to the rebuild of `name`. The page must
    /// follow where the rebuild stands; events that it has are skipped. An event that cannot be
    /// folded ends the rebuild; the live table stays as it is.
    pub async fn apply_rebuild(
        &self,
        name: &str,
        after: u64,
        page: &[Envelope],
    ) -> Result<Rebuilt, Error> {
        let model = self.model(name)?;
        check_order(after, page)?;
        let mut cursor = self.rebuild_cursor(model)?;
        if after > cursor.position {
            return Err(Error::Disorder { position: after, after: cursor.position });
        }
        let first = page.partition_point(|event| event.position <= cursor.position);
        if first < page.len() {
            let applied = self.apply_alone((model, Slot::New), cursor, &page[first..]).await?;
            match applied {
                Ok(reached) => cursor = reached,
                Err(failure) => {
                    self.drop_rebuild(model).await?;
                    return Err(Error::RebuildFailed { model: model.table.name, failure });
                }
            }
        }
        let live = self.cursor(model, Slot::Live).map_or(0, |live| live.position);
        Ok(Rebuilt { position: cursor.position, caught_up: cursor.position >= live })
    }

    /// Puts the rebuilt table of `name` in the live one's place, with its cursor, in one
    /// transaction. A read model that had failed goes on from there.
    pub async fn swap(&self, name: &str) -> Result<(), Error> {
        let model = self.model(name)?;
        let table = &model.table;
        let mut write = self.db.begin().await?;
        let new = self.rebuild_cursor(model)?;
        let live = self.cursor(model, Slot::Live).map_or(0, |live| live.position);
        if new.position < live {
            return Err(Error::Behind { model: table.name, rebuilt: new.position, live });
        }
        write.execute(&sql::drop_table(table, Slot::Live), Vec::new()).await?;
        write.execute(&sql::rename_new(table), Vec::new()).await?;
        cursor::delete(&mut write, table.name, Slot::New).await?;
        let owner = model.owner(Slot::Live, self.log);
        cursor::save(&mut write, &[(owner, new.clone())]).await?;
        write.commit().await?;
        self.set_cursors(|cursors| {
            cursors.remove(&(table.name, Slot::New));
            cursors.insert((table.name, Slot::Live), new);
        });
        Ok(())
    }

    /// Gives the rebuild of `name` up; the live table stays as it is.
    pub async fn abandon_rebuild(&self, name: &str) -> Result<(), Error> {
        let model = self.model(name)?;
        self.drop_rebuild(model).await
    }

    async fn drop_rebuild(&self, model: &Registered) -> Result<(), Error> {
        let mut write = self.db.begin().await?;
        write.execute(&sql::drop_table(&model.table, Slot::New), Vec::new()).await?;
        cursor::delete(&mut write, model.table.name, Slot::New).await?;
        write.commit().await?;
        self.set_cursors(|cursors| {
            cursors.remove(&(model.table.name, Slot::New));
        });
        Ok(())
    }

    fn rebuild_cursor(&self, model: &Registered) -> Result<Cursor, Error> {
        self.cursor(model, Slot::New).ok_or(Error::NoRebuild(model.table.name))
    }
}
