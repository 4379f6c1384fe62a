//! Rebuilding a read model beside its live table, and swapping the two. Reads and live folding go
//! on meanwhile. A crash before the swap leaves the live table; the next open drops the leftover,
//! or, where nodes share the read models, the next rebuild does. Only the last rebuild that was
//! begun lives: one that another node has taken over ends at its next step.

use super::apply::check_order;
use super::cursor::{self, Cursor};
use super::database::Write;
use super::error::Error;
use super::read_models::{Cursors, ReadModels, Registered, execute};
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
        let (table, new) = (&model.table, (Slot::New, self.db.dialect()));
        let (mut write, cursors) = self.begin().await?;
        let of_model = cursors.iter().filter(|((name, _), _)| *name == table.name);
        let generation = of_model.map(|(_, cursor)| cursor.generation).max().unwrap_or(0);
        let fresh = Cursor::start(generation + 1);
        execute(&mut write, sql::drop_tables(table, new)).await?;
        execute(&mut write, sql::create(table, new, fresh.generation)).await?;
        let owner = model.owner(Slot::New, self.log);
        cursor::save(&mut write, &[(owner, fresh.clone())]).await?;
        write.commit().await?;
        self.set_own_rebuild(table.name, Some(fresh.generation));
        self.set_cursors(|cursors| {
            cursors.insert((table.name, Slot::New), fresh);
        });
        Ok(())
    }

    /// Where the rebuild of `name` stands that this node has begun.
    pub fn rebuild_position(&self, name: &str) -> Result<u64, Error> {
        let model = self.model(name)?;
        Ok(self.rebuild_cursor(model, &self.known())?.position)
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
        let (write, cursors) = self.begin().await?;
        let mut cursor = self.rebuild_cursor(model, &cursors)?;
        if after > cursor.position {
            return Err(Error::Disorder { position: after, after: cursor.position });
        }
        let first = page.partition_point(|event| event.position <= cursor.position);
        if first < page.len() {
            let share = (model, Slot::New, cursor);
            match self.apply_alone(write, share, &page[first..]).await? {
                Ok(reached) => cursor = reached,
                Err(failure) => {
                    self.abandon_rebuild(name).await?;
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
        let (mut write, cursors) = self.begin().await?;
        let new = self.rebuild_cursor(model, &cursors)?;
        let live = cursors.get(&(table.name, Slot::Live)).map_or(0, |live| live.position);
        if new.position < live {
            return Err(Error::Behind { model: table.name, rebuilt: new.position, live });
        }
        execute(&mut write, sql::swap(table, self.db.dialect())).await?;
        cursor::delete(&mut write, table.name, Slot::New).await?;
        let owner = model.owner(Slot::Live, self.log);
        cursor::save(&mut write, &[(owner, new.clone())]).await?;
        write.commit().await?;
        self.set_own_rebuild(table.name, None);
        self.set_cursors(|cursors| {
            cursors.remove(&(table.name, Slot::New));
            cursors.insert((table.name, Slot::Live), new);
        });
        Ok(())
    }

    /// Gives the rebuild of `name` up; the live table stays as it is. One that another node has
    /// taken over goes on.
    pub async fn abandon_rebuild(&self, name: &str) -> Result<(), Error> {
        let model = self.model(name)?;
        let (write, cursors) = self.begin().await?;
        let ours = self.rebuild_cursor(model, &cursors);
        if !self.db.is_shared() || ours.is_ok() {
            self.drop_rebuild(write, model).await?;
        }
        self.set_own_rebuild(model.table.name, None);
        Ok(())
    }

    async fn drop_rebuild(&self, mut write: Write, model: &Registered) -> Result<(), Error> {
        let new = (Slot::New, self.db.dialect());
        execute(&mut write, sql::drop_tables(&model.table, new)).await?;
        cursor::delete(&mut write, model.table.name, Slot::New).await?;
        write.commit().await?;
        self.set_cursors(|cursors| {
            cursors.remove(&(model.table.name, Slot::New));
        });
        Ok(())
    }

    /// The cursor of the rebuild that this node has begun.
    fn rebuild_cursor(&self, model: &Registered, cursors: &Cursors) -> Result<Cursor, Error> {
        let name = model.table.name;
        let ours = self.own_rebuild(name).ok_or(Error::NoRebuild(name))?;
        let cursor = cursors.get(&(name, Slot::New));
        cursor.filter(|new| new.generation == ours).cloned().ok_or(Error::RebuildTaken(name))
    }
}
