//! Applying a page: every healthy read model folds it in memory, and all their changed rows and
//! cursors are written in one transaction. What a crash leaves is the state before the page, or
//! the state after it.

use std::collections::BTreeMap;

use super::cursor::{self, Cursor, Failure, State};
use super::database::Write;
use super::error::{Error, FoldError};
use super::fold::{Change, Folding};
use super::read_models::{ReadModels, Registered};
use super::sql::{CHUNKS, Slot, Statements};
use super::value::{Kind, Value};
use crate::Envelope;

/// What came of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
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
    pub async fn apply(&self, after: u64, page: &[Envelope]) -> Result<Applied, Error> {
        check_order(after, page)?;
        let mut write = self.db.begin().await?;
        let mut shares: Vec<Share<'_>> = Vec::new();
        for model in &self.models {
            let Some(cursor) = self.cursor(model, Slot::Live) else { continue };
            let first = page.partition_point(|event| event.position <= cursor.position);
            let due = cursor.is_running() && cursor.position >= after && first < page.len();
            if due {
                let events = &page[first..];
                shares.push(Share { model, slot: Slot::Live, cursor, events, failure: None });
            }
        }
        // Each turn either ends it or takes one event's failure into account.
        while let Some((index, failure)) = self.write_shares(&mut write, &shares).await? {
            drop(write);
            write = self.db.begin().await?;
            shares[index].stop_at(failure);
        }
        write.commit().await?;
        Ok(self.applied(shares))
    }

    /// Writes the shares; the first that cannot be folded is named instead.
    async fn write_shares(
        &self,
        write: &mut Write,
        shares: &[Share<'_>],
    ) -> Result<Option<(usize, Failure)>, Error> {
        for (index, share) in shares.iter().enumerate() {
            match write_share(write, share).await {
                Ok(()) => {}
                Err(Stopped::Fold(failure)) => return Ok(Some((index, failure))),
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
            positions: statuses.iter().map(|status| (status.model, status.position)).collect(),
            failed: shares
                .into_iter()
                .filter_map(|share| Some((share.model.table.name, share.failure?)))
                .collect(),
        }
    }

    /// Applies a page to the table in `slot` of one read model, in a transaction of its own.
    pub(crate) async fn apply_alone(
        &self,
        (model, slot): (&Registered, Slot),
        cursor: Cursor,
        events: &[Envelope],
    ) -> Result<Result<Cursor, Failure>, Error> {
        let mut write = self.db.begin().await?;
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
    fn stop_at(&mut self, failure: Failure) {
        let end = self.events.partition_point(|event| event.position < failure.position);
        self.events = &self.events[..end];
        self.failure = Some(failure);
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
    load(write, statements, folding.as_mut()).await?.map_err(|cause| {
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
        for (size, keys) in chunks(&wanted) {
            let values = keys.iter().map(Value::text).collect();
            let sql = &statements.select[size];
            for row in write.fetch(sql, values, &[Kind::Text, Kind::Text]).await? {
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
    statements: &Statements,
    changes: Vec<Change>,
) -> Result<(), Error> {
    let mut written: Vec<Vec<Value>> = Vec::new();
    for change in changes {
        match change {
            Change::Write(values) => written.push(values),
            Change::Delete(key) => {
                write.execute(&statements.delete, vec![Value::Text(key)]).await?;
            }
        }
    }
    for (size, rows) in CHUNKS.into_iter().enumerate() {
        while written.len() >= rows {
            let values = written.drain(..rows).flatten().collect();
            write.execute(&statements.upsert[size], values).await?;
        }
    }
    Ok(())
}

/// Splits `items` into the sizes that there are statements for.
fn chunks<T>(items: &[T]) -> Vec<(usize, &[T])> {
    let mut rest = items;
    let mut chunks = Vec::new();
    for (size, n) in CHUNKS.into_iter().enumerate() {
        while rest.len() >= n {
            let (chunk, after) = rest.split_at(n);
            chunks.push((size, chunk));
            rest = after;
        }
    }
    chunks
}
