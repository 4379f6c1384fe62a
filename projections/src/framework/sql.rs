//! The SQL of a read model's table, once for SQLite and PostgreSQL: `$n` placeholders, TEXT and
//! BIGINT, no vendor functions.

use std::fmt::Write as _;

use super::model::Table;

/// Rows a statement, largest first. Few sizes, so that each is prepared once; not larger, as
/// SQLite's cost of binding a named parameter grows with their number.
pub(crate) const CHUNKS: [usize; 3] = [32, 8, 1];

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

/// Name of the table in `slot`.
pub(crate) fn table_name(table: &Table, slot: Slot) -> String {
    match slot {
        Slot::Live => table.name.to_owned(),
        Slot::New => format!("{}__new", table.name),
    }
}

/// The table and its indices. Index names carry the generation: they outlive a rename.
pub(crate) fn create(table: &Table, slot: Slot, generation: i64) -> Vec<String> {
    let name = table_name(table, slot);
    let mut sql = format!(
        "CREATE TABLE {name} (key TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL, \
         position BIGINT NOT NULL"
    );
    for column in table.columns {
        let _ = write!(sql, ", {} {}", column.name, column.kind.sql());
    }
    sql.push(')');
    let indices = table.indices.iter().enumerate().map(|(n, columns)| {
        format!("CREATE INDEX {}_g{generation}_{n} ON {name} ({})", table.name, columns.join(", "))
    });
    std::iter::once(sql).chain(indices).collect()
}

pub(crate) fn drop_table(table: &Table, slot: Slot) -> String {
    format!("DROP TABLE IF EXISTS {}", table_name(table, slot))
}

pub(crate) fn rename_new(table: &Table) -> String {
    let (new, live) = (table_name(table, Slot::New), table_name(table, Slot::Live));
    format!("ALTER TABLE {new} RENAME TO {live}")
}

/// Every row, in the order of the keys.
pub(crate) fn dump(table: &Table, slot: Slot) -> String {
    let columns: String = table.columns.iter().fold(String::new(), |mut list, column| {
        let _ = write!(list, ", {}", column.name);
        list
    });
    format!("SELECT key, body, position{columns} FROM {} ORDER BY key", table_name(table, slot))
}

/// The statements that a page needs, one of each size in `CHUNKS`.
pub(crate) struct Statements {
    pub upsert: [String; CHUNKS.len()],
    pub select: [String; CHUNKS.len()],
    pub delete: String,
}

impl Statements {
    pub(crate) fn of(table: &Table, slot: Slot) -> Self {
        let name = table_name(table, slot);
        Self {
            upsert: CHUNKS.map(|rows| upsert(table, &name, rows)),
            select: CHUNKS.map(|keys| {
                format!("SELECT key, body FROM {name} WHERE key IN ({})", numbered(1, keys))
            }),
            delete: format!("DELETE FROM {name} WHERE key = $1"),
        }
    }
}

fn numbered(first: usize, n: usize) -> String {
    let names: Vec<String> = (first..first + n).map(|number| format!("${number}")).collect();
    names.join(", ")
}

fn upsert(table: &Table, name: &str, rows: usize) -> String {
    let columns: Vec<&str> =
        ["body", "position"].into_iter().chain(table.columns.iter().map(|c| c.name)).collect();
    let width = columns.len() + 1;
    let tuples: Vec<String> =
        (0..rows).map(|row| format!("({})", numbered(row * width + 1, width))).collect();
    let updates: Vec<String> =
        columns.iter().map(|column| format!("{column} = excluded.{column}")).collect();
    format!(
        "INSERT INTO {name} (key, {}) VALUES {} ON CONFLICT (key) DO UPDATE SET {}",
        columns.join(", "),
        tuples.join(", "),
        updates.join(", ")
    )
}
