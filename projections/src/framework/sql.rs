//! The SQL of a read model's tables, once for SQLite and PostgreSQL: `$n` placeholders, no vendor
//! functions. They differ in the names of types, in how many rows a statement has, and in how a
//! rebuilt table takes the live one's place.

use super::database::Dialect;
use super::model::{Column, Table};

/// Rows a statement, largest first. Few sizes, so that each is prepared once. On SQLite not larger,
/// as its cost of binding a named parameter grows with their number; on PostgreSQL each statement
/// is a way to the server and back.
pub(crate) const fn chunks(dialect: Dialect) -> &'static [usize] {
    match dialect {
        Dialect::Sqlite => &[32, 8, 1],
        Dialect::Postgres => &[256, 32, 8, 1],
    }
}

/// Where each read model stands.
pub(crate) const CURSORS: &str = "CREATE TABLE IF NOT EXISTS read_model_cursors (
    model TEXT NOT NULL,
    slot TEXT NOT NULL,
    log_id TEXT NOT NULL,
    incarnation BIGINT NOT NULL,
    schema_version BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    position BIGINT NOT NULL,
    state TEXT NOT NULL,
    error_position BIGINT,
    error TEXT,
    PRIMARY KEY (model, slot))";

pub(crate) const SELECT_CURSORS: &str = "SELECT model, slot, log_id, incarnation, schema_version, \
     generation, position, state, error_position, error FROM read_model_cursors";

/// Number of columns of a cursor.
pub(crate) const CURSOR_WIDTH: usize = 10;

/// Saves `n` cursors.
pub(crate) fn upsert_cursors(n: usize) -> String {
    let tuples: Vec<String> =
        (0..n).map(|row| format!("({})", numbered(row * CURSOR_WIDTH + 1, CURSOR_WIDTH))).collect();
    format!(
        "INSERT INTO read_model_cursors (model, slot, log_id, incarnation, schema_version, \
         generation, position, state, error_position, error) VALUES {} \
         ON CONFLICT (model, slot) DO UPDATE SET log_id = excluded.log_id, \
         incarnation = excluded.incarnation, schema_version = excluded.schema_version, \
         generation = excluded.generation, position = excluded.position, \
         state = excluded.state, error_position = excluded.error_position, \
         error = excluded.error",
        tuples.join(", ")
    )
}

pub(crate) const DELETE_CURSOR: &str =
    "DELETE FROM read_model_cursors WHERE model = $1 AND slot = $2";

/// Which of a read model's two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    Live,
    /// Being rebuilt beside the live one.
    New,
}

impl Slot {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::New => "new",
        }
    }
}

/// One physical table: of a model's rows, or of what lies in the lists of its rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Physical {
    name: &'static str,
    /// Whether it has body and position beside key and columns.
    main: bool,
    columns: &'static [Column],
    indices: &'static [&'static [&'static str]],
}

/// The tables of a read model, its own first.
pub(crate) fn physical(table: &Table) -> Vec<Physical> {
    let Table { name, columns, indices, .. } = *table;
    let main = Physical { name, main: true, columns, indices };
    let of_list = table.lists.iter().map(|list| Physical {
        name: list.name,
        main: false,
        columns: list.columns,
        indices: list.indices,
    });
    std::iter::once(main).chain(of_list).collect()
}

impl Physical {
    fn in_slot(&self, slot: Slot) -> String {
        match slot {
            Slot::Live => self.name.to_owned(),
            Slot::New => format!("{}__new", self.name),
        }
    }

    /// Every column in its order, the key first.
    pub(crate) fn columns(&self) -> impl Iterator<Item = Column> + use<> {
        const MAIN: [Column; 3] =
            [Column::text("key"), Column::text("body"), Column::int("position")];
        let own = if self.main { &MAIN[..] } else { &MAIN[..1] };
        own.iter().chain(self.columns).copied()
    }

    fn names(&self) -> Vec<&'static str> {
        self.columns().map(|column| column.name).collect()
    }

    fn create(&self, (slot, dialect): (Slot, Dialect), generation: i64) -> Vec<String> {
        let name = self.in_slot(slot);
        let columns: Vec<String> = self
            .columns()
            .map(|column| {
                let kind = column.kind.sql(dialect);
                let needed = matches!(column.name, "key" | "body" | "position");
                format!("{} {kind}{}", column.name, if needed { " NOT NULL" } else { "" })
            })
            .collect();
        let table = format!("CREATE TABLE {name} ({}, PRIMARY KEY (key))", columns.join(", "));
        let indices = self.indices.iter().enumerate().map(|(n, columns)| {
            let index = format!("{}_g{generation}_{n}", self.name);
            format!("CREATE INDEX {index} ON {name} ({})", columns.join(", "))
        });
        std::iter::once(table).chain(indices).collect()
    }

    fn drop(&self, slot: Slot, dialect: Dialect) -> String {
        // What others have built upon the table goes with it: it must not hold an upgrade up.
        let cascade = match dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres => " CASCADE",
        };
        format!("DROP TABLE IF EXISTS {}{cascade}", self.in_slot(slot))
    }

    fn swap(&self, dialect: Dialect) -> Vec<String> {
        let (new, live) = (self.in_slot(Slot::New), self.in_slot(Slot::Live));
        match dialect {
            Dialect::Sqlite => {
                vec![self.drop(Slot::Live, dialect), format!("ALTER TABLE {new} RENAME TO {live}")]
            }
            // The live table stays: others have views upon it and rights to it, and may be reading.
            Dialect::Postgres => {
                let names = self.names().join(", ");
                vec![
                    format!("DELETE FROM {live}"),
                    format!("INSERT INTO {live} ({names}) SELECT {names} FROM {new}"),
                    self.drop(Slot::New, dialect),
                ]
            }
        }
    }

    /// Every row, in the order of the keys.
    pub(crate) fn dump(&self) -> String {
        format!("SELECT {} FROM {} ORDER BY key", self.names().join(", "), self.name)
    }
}

/// The tables and their indices. Index names carry the generation: they outlive a rename.
pub(crate) fn create(table: &Table, of: (Slot, Dialect), generation: i64) -> Vec<String> {
    physical(table).iter().flat_map(|table| table.create(of, generation)).collect()
}

pub(crate) fn drop_tables(table: &Table, (slot, dialect): (Slot, Dialect)) -> Vec<String> {
    physical(table).iter().map(|table| table.drop(slot, dialect)).collect()
}

/// Puts the rebuilt rows in the live ones' place.
pub(crate) fn swap(table: &Table, dialect: Dialect) -> Vec<String> {
    physical(table).iter().flat_map(|table| table.swap(dialect)).collect()
}

/// The statements that a page needs for one table, one of each size.
pub(crate) struct Statements {
    pub upsert: Vec<Sized>,
    pub select: Vec<Sized>,
    pub delete: String,
}

/// A statement, and how many rows or keys it takes.
pub(crate) struct Sized {
    pub rows: usize,
    pub sql: String,
}

impl Statements {
    fn of(table: &Physical, (slot, dialect): (Slot, Dialect)) -> Self {
        let name = table.in_slot(slot);
        let sized = |of: &dyn Fn(usize) -> String| {
            chunks(dialect).iter().map(|rows| Sized { rows: *rows, sql: of(*rows) }).collect()
        };
        Self {
            upsert: sized(&|rows| upsert(&table.names(), &name, rows)),
            select: sized(&|keys| {
                format!("SELECT key, body FROM {name} WHERE key IN ({})", numbered(1, keys))
            }),
            delete: format!("DELETE FROM {name} WHERE key = $1"),
        }
    }

    /// Of each table of a read model, its own first.
    pub(crate) fn all(table: &Table, of: (Slot, Dialect)) -> Vec<Self> {
        physical(table).iter().map(|table| Self::of(table, of)).collect()
    }
}

fn numbered(first: usize, n: usize) -> String {
    let names: Vec<String> = (first..first + n).map(|number| format!("${number}")).collect();
    names.join(", ")
}

fn upsert(columns: &[&str], name: &str, rows: usize) -> String {
    let width = columns.len();
    let tuples: Vec<String> =
        (0..rows).map(|row| format!("({})", numbered(row * width + 1, width))).collect();
    let updates: Vec<String> =
        columns[1..].iter().map(|column| format!("{column} = excluded.{column}")).collect();
    format!(
        "INSERT INTO {name} ({}) VALUES {} ON CONFLICT (key) DO UPDATE SET {}",
        columns.join(", "),
        tuples.join(", "),
        updates.join(", ")
    )
}
