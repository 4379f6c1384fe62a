//! What a read model has to say of itself.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::FoldError;
use super::fold::Rows;
use super::value::{Kind, Value};
use crate::Envelope;

/// A column beside key, body and position: what a query filters or sorts by, and what whoever looks
/// into the database wants to see without reading JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub name: &'static str,
    pub kind: Kind,
}

impl Column {
    pub(crate) const fn text(name: &'static str) -> Self {
        Self { name, kind: Kind::Text }
    }

    pub(crate) const fn int(name: &'static str) -> Self {
        Self { name, kind: Kind::Int }
    }

    pub(crate) const fn time(name: &'static str) -> Self {
        Self { name, kind: Kind::Time }
    }
}

/// A table of what lies in a list of each row. It has a key and columns, and is written with the
/// rows: the program itself never reads it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List {
    pub name: &'static str,
    pub columns: &'static [Column],
    pub indices: &'static [&'static [&'static str]],
}

/// The entries of a row's lists, by list and key, each with its columns.
#[derive(Debug, Default)]
pub(crate) struct Entries(BTreeMap<(usize, String), Vec<Value>>);

impl Entries {
    /// Adds an entry of the list with that number in `TABLE.lists`. Keys are unique in the list,
    /// over all rows.
    pub(crate) fn put(&mut self, list: usize, key: String, columns: Vec<Value>) {
        self.0.insert((list, key), columns);
    }

    /// What makes `self` of `before`: list, key, and the columns of what is there.
    pub(crate) fn since(self, before: &Self) -> Vec<(usize, String, Option<Vec<Value>>)> {
        let gone = before.0.keys().filter(|at| !self.0.contains_key(*at)).cloned();
        let gone: Vec<_> = gone.map(|(list, key)| (list, key, None)).collect();
        let other =
            |(at, columns): &((usize, String), Vec<Value>)| before.0.get(at) != Some(columns);
        let changed = self.0.into_iter().filter(other);
        let changed = changed.map(|((list, key), columns)| (list, key, Some(columns)));
        gone.into_iter().chain(changed).collect()
    }
}

/// The table of a read model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    /// Name of the read model and of its live table.
    pub name: &'static str,
    /// Raised when a row's form or its fold changes: the table is then rebuilt.
    pub version: u32,
    pub columns: &'static [Column],
    pub indices: &'static [&'static [&'static str]],
    pub lists: &'static [List],
}

impl Table {
    /// The columns of a row that is there for the fold alone.
    pub(crate) fn blank(&self) -> Vec<Value> {
        self.columns.iter().map(|column| Value::Null(column.kind)).collect()
    }
}

/// One read model. Everything here is pure: the SQL is made from `TABLE`.
pub(crate) trait Model: Send + Sync + 'static {
    type Row: Serialize + DeserializeOwned + Send;

    /// The types of aggregates whose events it reads: one of those that cannot be read stops it.
    const READS: &'static [&'static str];

    const TABLE: Table;

    /// Rows are only ever added, so none has to be loaded before a fold.
    const APPEND_ONLY: bool = false;

    /// Keys of the rows that `event` may touch, as far as it says itself.
    fn keys(event: &Envelope) -> Vec<String>;

    /// Key of a further row that an event may touch where it touches `row`.
    fn link(_row: &Self::Row) -> Option<String> {
        None
    }

    /// Takes `event` in. No clock, no I/O: times come from events.
    fn fold(rows: &mut Rows<Self::Row>, event: &Envelope) -> Result<(), FoldError>;

    /// Values of `TABLE.columns`, in their order.
    fn columns(row: &Self::Row) -> Vec<Value>;

    /// Entries of `TABLE.lists`.
    fn entries(_row: &Self::Row) -> Entries {
        Entries::default()
    }
}
