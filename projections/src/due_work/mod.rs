//! Due work: what the engine's duties must look at, and when. At most one entry a spec and kind.
//! It only suggests candidates: the aggregate decides what comes of them.

mod fold;

use serde::{Deserialize, Serialize};
use specline_aggregates::spec::SandboxReason;
use specline_aggregates::{Epoch, Phase, SandboxId, SpecId, Timestamp};

use crate::framework::{Error, Query, ReadModels, Value};
use fold::{Due, Row};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A sandbox was requested and has not attached.
    Spawn,
    /// An agent's attempt runs until its deadline.
    Attempt,
    /// SYNC is to be carried out, or carried out again.
    Sync,
    /// A person has until the deadline to approve.
    Approval,
    /// Evaluators are to judge the pending output, or to judge it again.
    Evaluate,
}

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueWork {
    pub spec: SpecId,
    pub kind: Kind,
    /// Not before this.
    pub due: Timestamp,
    pub run: u32,
    pub phase: Phase,
    /// The attempt that runs or waits; for `spawn` and `sync` the one that comes next, where known.
    pub attempt: u32,
    pub epoch: Epoch,
    /// The sandbox to spawn, or the one at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxId>,
    /// Why a sandbox was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<SandboxReason>,
    /// Position of the event that made it due.
    pub position: u64,
}

impl ReadModels {
    /// Sandboxes that are to be started at `now`, the longest due first. They are asked for by
    /// themselves, since a node starts so many only, and those that wait must not stand before what
    /// needs no sandbox.
    pub async fn due_spawns(&self, now: Timestamp, limit: u32) -> Result<Vec<DueWork>, Error> {
        let query = Query::of::<Due>().when("spawn_due <= $", Value::time(now));
        let tail = format!("ORDER BY spawn_due, key LIMIT {limit}");
        let mut work = entries(query.fetch(self, &tail).await?);
        work.retain(|entry| entry.kind == Kind::Spawn);
        Ok(work)
    }

    /// What else is due at `now`, the longest due first.
    pub async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<DueWork>, Error> {
        let query = Query::of::<Due>().when("other_due <= $", Value::time(now));
        let tail = format!("ORDER BY other_due, key LIMIT {limit}");
        let rows: Vec<Row> = query.fetch(self, &tail).await?;
        let mut work = entries(rows);
        work.retain(|entry| entry.kind != Kind::Spawn && entry.due <= now);
        work.truncate(limit as usize);
        Ok(work)
    }

    /// When something falls due next, after `after`.
    pub async fn next_due(&self, after: Timestamp) -> Result<Option<Timestamp>, Error> {
        let after_value = || Value::time(after);
        let next = Query::of::<Due>().when("due > $", after_value()).least(self, "due").await?;
        // A spec whose first entry is due already may have another that is not.
        let mixed =
            Query::of::<Due>().when("due <= $", after_value()).when("last_due > $", after_value());
        let rows: Vec<Row> = mixed.fetch(self, "").await?;
        let others = entries(rows).into_iter().map(|entry| entry.due).filter(|due| *due > after);
        Ok(others.chain(next).min())
    }

    /// Everything that waits, the longest due first.
    pub async fn all_due(&self) -> Result<Vec<DueWork>, Error> {
        let query = Query::of::<Due>().filled("due");
        Ok(entries(query.fetch(self, "ORDER BY due, key").await?))
    }

    /// What waits for one spec.
    pub async fn due_for(&self, spec: SpecId) -> Result<Vec<DueWork>, Error> {
        Ok(entries(self.row::<Due>(spec).await?.into_iter().collect()))
    }
}

fn entries(rows: Vec<Row>) -> Vec<DueWork> {
    let mut work: Vec<DueWork> = rows.into_iter().flat_map(Row::into_work).collect();
    work.sort_by_key(|entry| (entry.due, entry.spec, entry.kind));
    work
}

pub(crate) fn model() -> Box<dyn crate::framework::Projection> {
    crate::framework::Of::<Due>::boxed()
}
