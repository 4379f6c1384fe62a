//! All read models in one database file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use super::cursor::{self, Cursor, LogId, Owner, Status, Stored};
use super::database::{Database, StatementHook, Write};
use super::error::Error;
use super::fold::Projection;
use super::model::Table;
use super::sql::{self, Slot, Statements};
use super::value::Value;

/// One read model and its statements.
pub(crate) struct Registered {
    pub projection: Box<dyn Projection>,
    pub table: Table,
    pub live: Statements,
    pub new: Statements,
}

impl Registered {
    fn new(projection: Box<dyn Projection>) -> Self {
        let table = projection.table();
        let (live, new) = (Statements::of(&table, Slot::Live), Statements::of(&table, Slot::New));
        Self { projection, table, live, new }
    }

    pub(crate) const fn statements(&self, slot: Slot) -> &Statements {
        match slot {
            Slot::Live => &self.live,
            Slot::New => &self.new,
        }
    }

    pub(crate) const fn owner(&self, slot: Slot, log: LogId) -> Owner {
        Owner { model: self.table.name, version: self.table.version, slot, log }
    }
}

/// Cursors in memory, as the database has them.
pub(crate) type Cursors = BTreeMap<(&'static str, Slot), Cursor>;

/// The read models. Writes are serialised; reads go on beside them.
pub struct ReadModels {
    pub(crate) db: Database,
    pub(crate) log: LogId,
    pub(crate) models: Vec<Registered>,
    cursors: RwLock<Cursors>,
}

impl ReadModels {
    /// Opens the read models in the file at `path`, making it where it is missing. A read model
    /// whose cursor is of another log or incarnation, stands above `head`, or was written in
    /// another form is emptied and begins at 0. An unfinished rebuild is dropped.
    pub async fn open(path: &Path, log: LogId, head: u64) -> Result<Self, Error> {
        Self::open_with(path, log, head, None).await
    }

    /// As `open`, with a hook that hears of each statement of a write before it runs.
    pub async fn open_with(
        path: &Path,
        log: LogId,
        head: u64,
        hook: Option<StatementHook>,
    ) -> Result<Self, Error> {
        let db = Database::open(path, hook).await?;
        let models: Vec<_> = crate::models().into_iter().map(Registered::new).collect();
        let mut write = db.begin().await?;
        write.execute(sql::CURSORS, Vec::new()).await?;
        let mut stored = cursor::load(&mut write).await?;
        let mut cursors = Cursors::new();
        for model in &models {
            let of_model: Vec<Stored>;
            (of_model, stored) = stored.into_iter().partition(|row| row.model == model.table.name);
            let cursor = open_model(&mut write, model, of_model, (log, head)).await?;
            cursors.insert((model.table.name, Slot::Live), cursor);
        }
        write.commit().await?;
        Ok(Self { db, log, models, cursors: RwLock::new(cursors) })
    }

    /// Closes the database; the next open finds everything that was applied.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// Names of all read models.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.models.iter().map(|model| model.table.name)
    }

    /// Where each read model stands.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        let cursors = self.cursors.read().unwrap_or_else(PoisonError::into_inner);
        let of = |model: &Registered| {
            let live = cursors.get(&(model.table.name, Slot::Live))?;
            Some(Status {
                model: model.table.name,
                position: live.position,
                state: live.state.clone(),
                rebuilding: cursors.get(&(model.table.name, Slot::New)).map(|new| new.position),
            })
        };
        self.models.iter().filter_map(of).collect()
    }

    /// Every event up to here is in the rows of read model `name`.
    pub fn position(&self, name: &str) -> Result<u64, Error> {
        let model = self.model(name)?;
        Ok(self.cursor(model, Slot::Live).map_or(0, |cursor| cursor.position))
    }

    /// The least position of the named read models.
    pub fn min_position(&self, names: &[&str]) -> Result<u64, Error> {
        let positions: Result<Vec<u64>, Error> =
            names.iter().map(|name| self.position(name)).collect();
        Ok(positions?.into_iter().min().unwrap_or(0))
    }

    /// Where a reader of the log has to begin: the least position of those that go on. None when
    /// all have failed.
    #[must_use]
    pub fn resume_position(&self) -> Option<u64> {
        let cursors = self.cursors.read().unwrap_or_else(PoisonError::into_inner);
        let live = cursors.iter().filter(|((_, slot), _)| *slot == Slot::Live);
        live.filter(|(_, cursor)| cursor.is_running()).map(|(_, cursor)| cursor.position).min()
    }

    pub(crate) fn model(&self, name: &str) -> Result<&Registered, Error> {
        self.models
            .iter()
            .find(|model| model.table.name == name)
            .ok_or_else(|| Error::UnknownModel(name.to_owned()))
    }

    pub(crate) fn cursor(&self, model: &Registered, slot: Slot) -> Option<Cursor> {
        let cursors = self.cursors.read().unwrap_or_else(PoisonError::into_inner);
        cursors.get(&(model.table.name, slot)).cloned()
    }

    /// Changes the cursors in memory, after the database has them.
    pub(crate) fn set_cursors(&self, change: impl FnOnce(&mut Cursors)) {
        change(&mut self.cursors.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Every byte of a read model's live rows, in the order of their keys.
    pub async fn dump(&self, name: &str) -> Result<Vec<u8>, Error> {
        let model = self.model(name)?;
        let mut kinds =
            vec![super::value::Kind::Text, super::value::Kind::Text, super::value::Kind::Int];
        kinds.extend(model.table.columns.iter().map(|column| column.kind));
        let rows = self.db.fetch(&sql::dump(&model.table, Slot::Live), Vec::new(), &kinds).await?;
        let mut bytes = Vec::new();
        for row in rows {
            for value in row {
                let text = match value {
                    Value::Text(text) => text,
                    Value::Int(number) => number.to_string(),
                    Value::Null(_) => "null".to_owned(),
                };
                bytes.extend_from_slice(text.as_bytes());
                bytes.push(b'\t');
            }
            bytes.push(b'\n');
        }
        Ok(bytes)
    }
}

async fn open_model(
    write: &mut Write,
    model: &Registered,
    stored: Vec<Stored>,
    (log, head): (LogId, u64),
) -> Result<Cursor, Error> {
    let table = &model.table;
    let generation = stored.iter().map(|row| row.cursor.generation).max().unwrap_or(0);
    let (live, new): (Vec<_>, Vec<_>) =
        stored.into_iter().partition(|row| row.slot == Slot::Live.as_str());
    if !new.is_empty() {
        write.execute(&sql::drop_table(table, Slot::New), Vec::new()).await?;
        cursor::delete(write, table.name, Slot::New).await?;
    }
    let valid = live.into_iter().find(|row| {
        row.log == Some(log)
            && row.version == i64::from(table.version)
            && row.cursor.position <= head
    });
    if let Some(row) = valid {
        return Ok(row.cursor);
    }
    let fresh = Cursor::start(generation + 1);
    write.execute(&sql::drop_table(table, Slot::Live), Vec::new()).await?;
    for statement in sql::create(table, Slot::Live, fresh.generation) {
        write.execute(&statement, Vec::new()).await?;
    }
    cursor::save(write, &[(model.owner(Slot::Live, log), fresh.clone())]).await?;
    Ok(fresh)
}
