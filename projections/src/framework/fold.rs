//! Folding one page: the rows that its events touch, in memory.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use super::cursor::Failure;
use super::error::FoldError;
use super::model::{Entries, Model, Table};
use super::value::Value;
use crate::{DomainEvent, Envelope};

struct Slot<R> {
    row: Option<R>,
    /// Position of the last event of this page that changed it.
    changed: Option<u64>,
    /// What its lists held before this page.
    before: Entries,
}

impl<R> Slot<R> {
    const fn of(row: Option<R>, before: Entries) -> Self {
        Self { row, changed: None, before }
    }
}

/// The rows of one page, by key.
pub(crate) struct Rows<R> {
    slots: BTreeMap<String, Slot<R>>,
    position: u64,
}

impl<R> Rows<R> {
    pub(crate) fn get(&self, key: &str) -> Option<&R> {
        self.slots.get(key).and_then(|slot| slot.row.as_ref())
    }

    /// The row, to be changed.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut R> {
        let slot = self.slots.get_mut(key)?;
        let row = slot.row.as_mut()?;
        slot.changed = Some(self.position);
        Some(row)
    }

    pub(crate) fn put(&mut self, key: String, row: R) {
        let slot = self.slots.entry(key).or_insert_with(|| Slot::of(None, Entries::default()));
        slot.row = Some(row);
        slot.changed = Some(self.position);
    }

    pub(crate) fn remove(&mut self, key: &str) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.row = None;
            slot.changed = Some(self.position);
        }
    }
}

/// What a page does to one row of one of the read model's tables, by its number.
pub(crate) enum Change {
    /// Every column, the key first.
    Write(usize, Vec<Value>),
    Delete(usize, String),
}

/// A page on its way through one read model: load what `wanted` names until it names nothing,
/// then `fold`, then write `changes`.
pub(crate) trait Folding: Send {
    fn wanted(&mut self) -> Vec<String>;
    fn load(&mut self, rows: Vec<(String, String)>) -> Result<(), FoldError>;
    fn fold(&mut self, events: &[Envelope]) -> Result<(), Failure>;
    fn changes(self: Box<Self>) -> Vec<Change>;
}

/// A read model without its row type.
pub(crate) trait Projection: Send + Sync {
    fn table(&self) -> Table;
    fn begin(&self, events: &[Envelope]) -> Box<dyn Folding>;
}

pub(crate) struct Of<M>(PhantomData<M>);

impl<M: Model> Of<M> {
    pub(crate) fn boxed() -> Box<dyn Projection> {
        Box::new(Self(PhantomData))
    }
}

impl<M: Model> Projection for Of<M> {
    fn table(&self) -> Table {
        M::TABLE
    }

    fn begin(&self, events: &[Envelope]) -> Box<dyn Folding> {
        let mut wanted = Vec::new();
        if !M::APPEND_ONLY {
            wanted.extend(events.iter().flat_map(M::keys));
            wanted.sort_unstable();
            wanted.dedup();
        }
        Box::new(Page::<M> { rows: Rows { slots: BTreeMap::new(), position: 0 }, wanted })
    }
}

struct Page<M: Model> {
    rows: Rows<M::Row>,
    wanted: Vec<String>,
}

impl<M: Model> Folding for Page<M> {
    fn wanted(&mut self) -> Vec<String> {
        let wanted = std::mem::take(&mut self.wanted);
        for key in &wanted {
            self.rows.slots.insert(key.clone(), Slot::of(None, Entries::default()));
        }
        wanted
    }

    fn load(&mut self, rows: Vec<(String, String)>) -> Result<(), FoldError> {
        for (key, body) in rows {
            let row: M::Row = serde_json::from_str(&body)
                .map_err(|cause| FoldError::Row { key: key.clone(), cause: cause.to_string() })?;
            let link = M::link(&row).filter(|link| !self.rows.slots.contains_key(link));
            self.wanted.extend(link);
            let before = M::entries(&row);
            self.rows.slots.insert(key, Slot::of(Some(row), before));
        }
        self.wanted.sort_unstable();
        self.wanted.dedup();
        Ok(())
    }

    fn fold(&mut self, events: &[Envelope]) -> Result<(), Failure> {
        for event in events {
            self.rows.position = event.position;
            if let DomainEvent::Unreadable { cause } = &event.event {
                if M::READS.contains(&event.aggregate_type.as_str()) {
                    return Err(Failure { position: event.position, cause: cause.clone() });
                }
                continue;
            }
            M::fold(&mut self.rows, event)
                .map_err(|cause| Failure { position: event.position, cause: cause.to_string() })?;
        }
        Ok(())
    }

    fn changes(self: Box<Self>) -> Vec<Change> {
        let mut changes = Vec::new();
        for (key, slot) in self.rows.slots {
            let Some(position) = slot.changed else { continue };
            let entries = slot.row.as_ref().map(M::entries).unwrap_or_default();
            for (list, key, columns) in entries.since(&slot.before) {
                changes.push(match columns {
                    Some(columns) => {
                        let key = std::iter::once(Value::Text(key));
                        Change::Write(list + 1, key.chain(columns).collect())
                    }
                    None => Change::Delete(list + 1, key),
                });
            }
            let Some(row) = slot.row else {
                changes.push(Change::Delete(0, key));
                continue;
            };
            let body = serde_json::to_string(&row)
                .expect("rows are structs of strings, numbers and lists: always valid JSON");
            let mut values = vec![Value::Text(key), Value::Text(body), Value::position(position)];
            values.extend(M::columns(&row));
            changes.push(Change::Write(0, values));
        }
        changes
    }
}
