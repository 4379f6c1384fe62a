//! All read models in one database.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::cursor::{self, Cursor, LogId, Owner, Status, Stored};
use super::database::{Database, Dialect, Place, StatementHook, Write};
use super::error::Error;
use super::fold::Projection;
use super::model::Table;
use super::shared::refuse_newer;
use super::sql::{self, Slot, Statements};
use super::value::Value;

/// One read model and its statements.
pub(crate) struct Registered {
    pub projection: Box<dyn Projection>,
    pub table: Table,
    /// Of each of its tables, its own first.
    pub live: Vec<Statements>,
    pub new: Vec<Statements>,
}

impl Registered {
    fn new(projection: Box<dyn Projection>, dialect: Dialect) -> Self {
        let table = projection.table();
        let [live, new] = [Slot::Live, Slot::New].map(|s| Statements::all(&table, (s, dialect)));
        Self { projection, table, live, new }
    }

    pub(crate) fn statements(&self, slot: Slot) -> &[Statements] {
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

/// What this node has seen of the cursors.
#[derive(Default)]
struct Known {
    cursors: Cursors,
    /// How often they were set.
    changes: u64,
    /// Generations of the rebuilds that this node has begun.
    rebuilds: BTreeMap<&'static str, i64>,
}

/// The read models. Writes are serialised; reads go on beside them.
pub struct ReadModels {
    pub(crate) db: Database,
    pub(crate) log: LogId,
    pub(crate) models: Vec<Registered>,
    known: RwLock<Known>,
}

impl ReadModels {
    /// Opens the read models at `place`, making them where they are missing. A read model whose
    /// cursor is of another log or incarnation, stands above `head`, or was written in another form
    /// is emptied and begins at 0. An unfinished rebuild is dropped.
    ///
    /// In a shared database one that stands above `head` is right: another node has gone on since
    /// `head` was read. It can be nothing else, as log and rows are in one database there: they
    /// are restored together, and after a crash of the server neither has what the other lacks in
    /// that direction. A rebuild there may be another node's, and stays until the next begins. One
    /// that a later release writes is refused (`Error::Newer`).
    pub async fn open(place: &Place, log: LogId, head: u64) -> Result<Self, Error> {
        Self::open_with(place, log, head, None).await
    }

    /// As `open`, with a hook that hears of each statement of a write before it runs.
    pub async fn open_with(
        place: &Place,
        log: LogId,
        head: u64,
        hook: Option<StatementHook>,
    ) -> Result<Self, Error> {
        let db = Database::open(place, hook).await?;
        let dialect = db.dialect();
        let models = crate::models().into_iter().map(|model| Registered::new(model, dialect));
        let models: Vec<_> = models.collect();
        let mut write = db.begin().await?;
        write.execute(sql::CURSORS, Vec::new()).await?;
        let mut stored = cursor::load(&mut write).await?;
        let mut cursors = Cursors::new();
        for model in &models {
            let of_model: Vec<Stored>;
            (of_model, stored) = stored.into_iter().partition(|row| row.model == model.table.name);
            let limit = if db.is_shared() { u64::MAX } else { head };
            let at = Opening { dialect, log, limit };
            let cursor = at.model(&mut write, model, of_model).await?;
            cursors.insert((model.table.name, Slot::Live), cursor);
        }
        write.commit().await?;
        let known = Known { cursors, ..Known::default() };
        Ok(Self { db, log, models, known: RwLock::new(known) })
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
        let cursors = &self.read().cursors;
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
        let cursors = &self.read().cursors;
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
        self.read().cursors.get(&(model.table.name, slot)).cloned()
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known.
    fn know<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn known(&self) -> Cursors {
        self.read().cursors.clone()
    }

    pub(crate) fn changes(&self) -> u64 {
        self.read().changes
    }

    /// False: they were set since there were `changes`, and stay.
    pub(crate) fn set_cursors_unless_changed(&self, changes: u64, cursors: Cursors) -> bool {
        self.know(|known| {
            let same = known.changes == changes;
            if same {
                known.cursors = cursors;
                known.changes += 1;
            }
            same
        })
    }

    /// Generation of the rebuild of `name` that this node has begun.
    pub(crate) fn own_rebuild(&self, name: &str) -> Option<i64> {
        self.read().rebuilds.get(name).copied()
    }

    pub(crate) fn set_own_rebuild(&self, name: &'static str, generation: Option<i64>) {
        self.know(|known| match generation {
            Some(generation) => known.rebuilds.insert(name, generation),
            None => known.rebuilds.remove(name),
        });
    }

    /// Changes the cursors in memory, after the database has them.
    pub(crate) fn set_cursors(&self, change: impl FnOnce(&mut Cursors)) {
        self.know(|known| {
            change(&mut known.cursors);
            known.changes += 1;
        });
    }

    /// Every byte of a read model's live rows, table by table, in the order of their keys.
    pub async fn dump(&self, name: &str) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        for table in sql::physical(&self.model(name)?.table) {
            let kinds: Vec<_> = table.columns().map(|column| column.kind).collect();
            for row in self.db.fetch(&table.dump(), Vec::new(), &kinds).await? {
                for value in row {
                    let text = match value {
                        Value::Text(text) => text,
                        Value::Int(number) | Value::Time(number) => number.to_string(),
                        Value::Null(_) => "null".to_owned(),
                    };
                    bytes.extend_from_slice(text.as_bytes());
                    bytes.push(b'\t');
                }
                bytes.push(b'\n');
            }
        }
        Ok(bytes)
    }
}

/// What a stored cursor must fit.
struct Opening {
    dialect: Dialect,
    log: LogId,
    /// No cursor stands above it.
    limit: u64,
}

impl Opening {
    async fn model(
        &self,
        write: &mut Write,
        model: &Registered,
        stored: Vec<Stored>,
    ) -> Result<Cursor, Error> {
        let table = &model.table;
        let shared = self.dialect == Dialect::Postgres;
        if shared {
            stored.iter().try_for_each(|row| refuse_newer(model, row))?;
        }
        let generation = stored.iter().map(|row| row.cursor.generation).max().unwrap_or(0);
        let (live, new): (Vec<_>, Vec<_>) =
            stored.into_iter().partition(|row| row.slot == Slot::Live.as_str());
        let valid = live.into_iter().find(|row| {
            row.log == Some(self.log)
                && row.version == i64::from(table.version)
                && row.cursor.position <= self.limit
        });
        let leave_rebuild = shared && valid.is_some();
        if !new.is_empty() && !leave_rebuild {
            execute(write, sql::drop_tables(table, (Slot::New, self.dialect))).await?;
            cursor::delete(write, table.name, Slot::New).await?;
        }
        if let Some(row) = valid {
            return Ok(row.cursor);
        }
        let fresh = Cursor::start(generation + 1);
        execute(write, sql::drop_tables(table, (Slot::Live, self.dialect))).await?;
        execute(write, sql::create(table, (Slot::Live, self.dialect), fresh.generation)).await?;
        cursor::save(write, &[(model.owner(Slot::Live, self.log), fresh.clone())]).await?;
        Ok(fresh)
    }
}

/// Executes statements without values.
pub(crate) async fn execute(write: &mut Write, statements: Vec<String>) -> Result<(), Error> {
    for statement in statements {
        write.execute(&statement, Vec::new()).await?;
    }
    Ok(())
}
