//! What a read model has to say of itself.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::FoldError;
use super::fold::Rows;
use super::value::{Kind, Value};
use crate::Envelope;

/// A column beside key, body and position: only what a query filters or sorts by.
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
}

/// One read model. Everything here is pure: the SQL is made from `TABLE`.
pub(crate) trait Model: Send + Sync + 'static {
    type Row: Serialize + DeserializeOwned + Send;

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
}
