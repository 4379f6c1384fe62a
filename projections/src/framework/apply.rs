//! Applying a page: every healthy read model folds it in memory, and all their changed rows and
//! cursors are written in one transaction. What a crash leaves is the state before the page, or
//! the state after it.

use std::collections::BTreeMap;

use super::cursor::{self, Cursor, Failure, State};
use super::database::Write;
use super::error::{Error, FoldError};
use super::fold::{Change, Folding};
use super::read_models::{Cursors, ReadModels, Registered};
use super::sql::{Sized, Slot, Statements};
use super::value::{Kind, Value};
use crate::Envelope;

/// What came of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Another node was writing, and nothing was applied.
    pub contended: bool,
    /// Where each read model stands now.
    pub positions: BTreeMap<&'static str, u64>,
    /// Those that stopped in this page.
    pub failed: Vec<(&'static str, Failure)>,
}

/// A read model's share of a page.
struct Share<'a> {
    model: &'a Registered,
    slot: Slot,
    cursor: Cursor,
    events: &'a [Envelope],
    failure: Option<Failure>,
}

/// Why a share was not applied.
enum Stopped {
    Fold(Failure),
    Write(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Write(error)
    }
}

impl ReadModels {
    /// Applies `page`: everything that the log has after position `after`, up to the page's last
    /// event, in order. Each read model skips what it has. One that stands below `after` is left
    /// where it is (it lacks what lies between), and so is one that has failed. One that cannot
    /// fold an event stops just before it, alone.
    ///
    /// When this returns, rows and cursors survive the death of the process.
    ///
    /// In a shared database another node may be writing: then `contended` is said at once, and
    /// nothing was applied. It may have applied this very page: look again when `moved` tells, or
    /// after a tenth of a second, as a node that died tells nothing.
    pub async fn apply(&self, after: u64, page: &[Envelope]) -> Result<Applied, Error> {
        check_order(after, page)?;
        let mut failures: BTreeMap<&'static str, Failure> = BTreeMap::new();
        // Each turn either ends it or takes one event's failure into account.
        loop {
            let Some((mut write, cursors)) = self.try_begin().await? else {
                return Ok(Applied { contended: true, ..self.applied(Vec::new()) });
            };
            let shares = self.shares((after, page), &cursors, &failures);
            if shares.is_empty() {
                return Ok(self.applied(shares));
            }
            if let Some((model, failure)) = self.write_shares(&mut write, &shares).await? {
                failures.insert(model, failure);
                continue;
            }
            write.commit().await?;
            return Ok(self.applied(shares));
        }
    }

    /// What of `page` each read model lacks.
    fn shares<'a>(
        &'a self,
        (after, page): (u64, &'a [Envelope]),
        cursors: &Cursors,
        failures: &BTreeMap<&'static str, Failure>,
    ) -> Vec<Share<'a>> {
        let share = |model: &'a Registered| {
            let cursor = cursors.get(&(model.table.name, Slot::Live))?.clone();
            let first = page.partition_point(|event| event.position <= cursor.position);
            let due = cursor.is_running() && cursor.position >= after && first < page.len();
            let events = &page[first..];
            let mut share = Share { model, slot: Slot::Live, cursor, events, failure: None };
            if let Some(failure) = failures.get(model.table.name) {
                share.stop_at(failure);
            }
            due.then_some(share)
        };
        self.models.iter().filter_map(share).collect()
    }

    /// Writes the shares; the first that cannot be folded is named instead.
    async fn write_shares(
        &self,
        write: &mut Write,
        shares: &[Share<'_>],
    ) -> Result<Option<(&'static str, Failure)>, Error> {
        for share in shares {
            match write_share(write, share).await {
                Ok(()) => {}
                Err(Stopped::Fold(failure)) => return Ok(Some((share.model.table.name, failure))),
                Err(Stopped::Write(error)) => return Err(error),
            }
        }
        let owner = |share: &Share<'_>| share.model.owner(share.slot, self.log);
        let cursors: Vec<_> = shares.iter().map(|s| (owner(s), s.reached())).collect();
        cursor::save(write, &cursors).await?;
        Ok(None)
    }

    fn applied(&self, shares: Vec<Share<'_>>) -> Applied {
        self.set_cursors(|cursors| {
            for share in &shares {
                cursors.insert((share.model.table.name, share.slot), share.reached());
            }
        });
        let statuses = self.status();
        Applied {
            contended: false,
            positions: statuses.iter().map(|status| (status.model, status.position)).collect(),
            failed: shares
                .into_iter()
                .filter_map(|share| Some((share.model.table.name, share.failure?)))
                .collect(),
        }
    }

    /// Applies a page to the table in `slot` of one read model, in the transaction `write`.
    pub(crate) async fn apply_alone(
        &self,
        mut write: Write,
        (model, slot, cursor): (&Registered, Slot, Cursor),
        events: &[Envelope],
    ) -> Result<Result<Cursor, Failure>, Error> {
        let share = Share { model, slot, cursor, events, failure: None };
        match write_share(&mut write, &share).await {
            Ok(()) => {}
            Err(Stopped::Fold(failure)) => return Ok(Err(failure)),
            Err(Stopped::Write(error)) => return Err(error),
        }
        let reached = share.reached();
        let owner = model.owner(slot, self.log);
        cursor::save(&mut write, &[(owner, reached.clone())]).await?;
        write.commit().await?;
        self.set_cursors(|cursors| {
            cursors.insert((model.table.name, slot), reached.clone());
        });
        Ok(Ok(reached))
    }
}

impl Share<'_> {
    /// Leaves out the event that cannot be folded, and what follows it.
    fn stop_at(&mut self, failure: &Failure) {
        let end = self.events.partition_point(|event| event.position < failure.position);
        if end < self.events.len() {
            self.events = &self.events[..end];
            self.failure = Some(failure.clone());
        }
    }

    /// The cursor after this share.
    fn reached(&self) -> Cursor {
        Cursor {
            generation: self.cursor.generation,
            position: self.events.last().map_or(self.cursor.position, |event| event.position),
            state: self.failure.clone().map_or(State::Running, State::Failed),
        }
    }
}

pub(crate) fn check_order(after: u64, page: &[Envelope]) -> Result<(), Error> {
    let mut last = after;
    for event in page {
        if event.position <= last {
            return Err(Error::Disorder { position: event.position, after: last });
        }
        last = event.position;
    }
    Ok(())
}

async fn write_share(write: &mut Write, share: &Share<'_>) -> Result<(), Stopped> {
    let Some(first) = share.events.first() else { return Ok(()) };
    let statements = share.model.statements(share.slot);
    let mut folding = share.model.projection.begin(share.events);
    load(write, &statements[0], folding.as_mut()).await?.map_err(|cause| {
        Stopped::Fold(Failure { position: first.position, cause: cause.to_string() })
    })?;
    folding.fold(share.events).map_err(Stopped::Fold)?;
    store(write, statements, folding.changes()).await?;
    Ok(())
}

async fn load(
    write: &mut Write,
    statements: &Statements,
    folding: &mut dyn Folding,
) -> Result<Result<(), FoldError>, Error> {
    loop {
        let wanted = folding.wanted();
        if wanted.is_empty() {
            return Ok(Ok(()));
        }
        let mut rows = Vec::new();
        for (sized, keys) in chunks(&statements.select, &wanted) {
            let values = keys.iter().map(Value::text).collect();
            for row in write.fetch(&sized.sql, values, &[Kind::Text, Kind::Text]).await? {
                let mut texts = row.into_iter().filter_map(Value::into_text);
                rows.extend(texts.next().zip(texts.next()));
            }
        }
        if let Err(cause) = folding.load(rows) {
            return Ok(Err(cause));
        }
    }
}

async fn store(
    write: &mut Write,
    statements: &[Statements],
    changes: Vec<Change>,
) -> Result<(), Error> {
    let mut written: Vec<Vec<Vec<Value>>> = statements.iter().map(|_| Vec::new()).collect();
    for change in changes {
        match change {
            Change::Write(table, values) => written[table].push(values),
            Change::Delete(table, key) => {
                write.execute(&statements[table].delete, vec![Value::Text(key)]).await?;
            }
        }
    }
    for (statements, mut rows) in statements.iter().zip(written) {
        for sized in &statements.upsert {
            while rows.len() >= sized.rows {
                let values = rows.drain(..sized.rows).flatten().collect();
                write.execute(&sized.sql, values).await?;
            }
        }
    }
    Ok(())
}

/// Splits `items` into the sizes that there are statements for.
fn chunks<'a, T>(statements: &'a [Sized], items: &'a [T]) -> Vec<(&'a Sized, &'a [T])> {
    let mut rest = items;
    let mut chunks = Vec::new();
    for sized in statements {
        while rest.len() >= sized.rows {
            let (chunk, after) = rest.split_at(sized.rows);
            chunks.push((sized, chunk));
            rest = after;
        }
    }
    chunks
}
