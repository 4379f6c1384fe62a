//! The copy itself: in batches that are each whole or not at all, so that it goes on where it was
//! stopped, and verified at the end.

use serde::Serialize;

use super::tally::ROWS;
use super::{CopySource, CopyTarget, Deed, Standing, Table, Tally};
use crate::store::verify::Difference;
use crate::store::{LogError, LogIdentity, Position, Recorded};

/// Events read at a time.
const PAGE: usize = 2_000;

/// What a copy is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Events,
    Rows,
    VerifySource,
    VerifyTarget,
}

/// How far a copy has come: `done` of `of` events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    pub done: u64,
    pub of: u64,
}

/// A copy that is finished, and as its source is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copied {
    pub identity: LogIdentity,
    pub head: Position,
    pub n_events: u64,
    /// Events that an earlier attempt had copied.
    pub n_events_before: u64,
    pub n_keys: u64,
    pub n_blobs: u64,
    /// Over position, time and hash of every event.
    pub digest: String,
}

/// Why a copy ended.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("there is no log in {name}; check --from")]
    NoSource { name: String },
    #[error("{name} is itself an unfinished copy; finish that one first")]
    UnfinishedSource { name: String },
    #[error(
        "{name} already holds a log (log {}, incarnation {}); name an empty place with --to",
        identity.log_id, identity.incarnation
    )]
    Occupied { name: String, identity: LogIdentity },
    #[error(
        "{name} holds an unfinished copy of another log (log {}, to be incarnation {}); name an \
         empty place with --to, or remove that copy",
        identity.log_id, identity.incarnation
    )]
    OtherCopy { name: String, identity: LogIdentity },
    #[error(
        "the unfinished copy in {name} is not of what the source holds now (position {position} \
         differs); remove that copy and begin anew"
    )]
    Diverged { name: String, position: Position },
    #[error("{name} is damaged: {difference}")]
    Damaged { name: String, difference: Difference },
    #[error(
        "the copy in {name} is not as its source: {difference}; it stays marked as unfinished; \
         remove it and begin anew"
    )]
    Unequal { name: String, difference: String },
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Copies the whole of `source` into `target`, or the rest of it.
pub async fn copy(
    source: &dyn CopySource,
    target: &dyn CopyTarget,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Copied, CopyError> {
    let deed = begin(source, target).await?;
    let before = target.given_out().await?;
    same_event(source, target, before).await?;
    let of = source.given_out().await?.0;
    copy_events(source, target, (before, of), progress).await?;
    progress(Progress { stage: Stage::Rows, done: of, of });
    for table in Table::ALL {
        copy_rows(source, target, table).await?;
    }
    let ours = taken(source, &mut |at| at_stage(progress, Stage::VerifySource, at, of)).await?;
    let theirs = taken(target, &mut |at| at_stage(progress, Stage::VerifyTarget, at, of)).await?;
    if let Some(difference) = ours.difference(&theirs) {
        return Err(CopyError::Unequal { name: target.name(), difference });
    }
    target.finish().await?;
    Ok(Copied {
        identity: deed.identity,
        head: theirs.head,
        n_events: theirs.n_events,
        n_events_before: before.0,
        n_keys: theirs.tables[0].0,
        n_blobs: theirs.tables[1].0,
        digest: theirs.events.to_string(),
    })
}

/// The target's deed: the source's, as its next incarnation. Cursors of the old house are worthless
/// in the new one.
async fn begin(source: &dyn CopySource, target: &dyn CopyTarget) -> Result<Deed, CopyError> {
    let Some(Deed { identity, secret }) = source.deed().await? else {
        return Err(CopyError::NoSource { name: source.name() });
    };
    if !source.is_whole().await? {
        return Err(CopyError::UnfinishedSource { name: source.name() });
    }
    let next = LogIdentity { incarnation: identity.incarnation + 1, ..identity };
    let deed = Deed { identity: next, secret };
    let name = target.name();
    match target.standing().await? {
        Standing::Empty => target.begin(&deed).await?,
        Standing::Unfinished(found) if found == next => {}
        Standing::Unfinished(identity) => return Err(CopyError::OtherCopy { name, identity }),
        Standing::Whole(identity) => return Err(CopyError::Occupied { name, identity }),
    }
    Ok(deed)
}

/// The last event that an earlier attempt left must be the source's. Everything before it is
/// compared at the end.
async fn same_event(
    source: &dyn CopySource,
    target: &dyn CopyTarget,
    position: Position,
) -> Result<(), CopyError> {
    if position.0 == 0 {
        return Ok(());
    }
    let (ours, theirs) = (source.scan(position, 1).await?, target.scan(position, 1).await?);
    match (ours.first(), theirs.first()) {
        (Some(Ok(one)), Some(Ok(two))) if one == two && one.position == position => Ok(()),
        _ => Err(CopyError::Diverged { name: target.name(), position }),
    }
}

async fn copy_events(
    source: &dyn CopySource,
    target: &dyn CopyTarget,
    (before, of): (Position, u64),
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), CopyError> {
    let mut page = events(source, before).await?;
    while let Some(last) = page.last().map(|event| event.position) {
        // The next page is read while this one is written.
        let (next, put) = tokio::join!(events(source, last), target.put_events(page));
        put?;
        at_stage(progress, Stage::Events, last, of);
        page = next?;
    }
    Ok(())
}

async fn events(source: &dyn CopySource, after: Position) -> Result<Vec<Recorded>, CopyError> {
    let page = source.scan(Position(after.0 + 1), PAGE).await?;
    let readable = page.into_iter().map(|row| {
        row.map_err(|row| LogError::Corrupt {
            place: format!("position {} of {}", row.position, source.name()),
            cause: row.cause,
        })
    });
    Ok(readable.collect::<Result<_, _>>()?)
}

async fn copy_rows(
    source: &dyn CopySource,
    target: &dyn CopyTarget,
    table: Table,
) -> Result<(), CopyError> {
    if !table.only_grows() {
        target.clear(table).await?;
    }
    let mut last = None;
    loop {
        let page = source.rows(table, last.as_ref(), ROWS).await?;
        let Some(end) = page.last().cloned() else { return Ok(()) };
        target.put_rows(page).await?;
        last = Some(end);
    }
}

async fn taken(
    house: &dyn CopySource,
    progress: &mut (dyn FnMut(Position) + Send),
) -> Result<Tally, CopyError> {
    let (tally, verified) = Tally::take(house, progress).await?;
    match verified.first_difference {
        None => Ok(tally),
        Some(difference) => Err(CopyError::Damaged { name: house.name(), difference }),
    }
}

fn at_stage(progress: &mut (dyn FnMut(Progress) + Send), stage: Stage, done: Position, of: u64) {
    progress(Progress { stage, done: done.0, of });
}
