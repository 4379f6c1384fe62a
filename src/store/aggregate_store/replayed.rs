//! Compares the snapshots that stand in a log with what a replay of its events gives.

use std::sync::Arc;

use specline_aggregates::EventSourced;
use specline_aggregates::project::Project;
use specline_aggregates::spec::Spec;
use specline_aggregates::task::Task;
use specline_aggregates::ticket::Ticket;

use super::mac::{SnapshotKey, same};
use super::{AggregateStore, StoreError};
use crate::store::{EventLog, Snapshot, StreamId};

/// Snapshots read at a time: each may have a megabyte.
const PAGE: usize = 20;

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotReport {
    /// As many are what a replay gives.
    pub good: u64,
    /// As many no engine believes: their code is missing or wrong, or another version wrote them.
    pub ignored: u64,
    /// As many could not be checked, for want of the key.
    pub unchecked: u64,
    /// The first that an engine would believe, and that is wrong.
    pub wrong: Option<StreamId>,
}

/// Checks every snapshot of `log`.
pub async fn check_snapshots(
    log: &Arc<dyn EventLog>,
    key: Option<&SnapshotKey>,
) -> Result<SnapshotReport, StoreError> {
    let mut report = SnapshotReport::default();
    let mut after = None;
    loop {
        let page = log.snapshots(after.as_ref(), PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(report) };
        after = Some(last.clone());
        for (stream, snapshot) in &page {
            let Some(key) = key else {
                report.unchecked += 1;
                continue;
            };
            match check(log, key, (stream, snapshot)).await? {
                Found::Good => report.good += 1,
                Found::Ignored => report.ignored += 1,
                Found::Wrong => {
                    report.wrong.get_or_insert_with(|| stream.clone());
                }
            }
        }
    }
}

enum Found {
    Good,
    Ignored,
    Wrong,
}

async fn check(
    log: &Arc<dyn EventLog>,
    key: &SnapshotKey,
    (stream, snapshot): (&StreamId, &Snapshot),
) -> Result<Found, StoreError> {
    let code = key.code(stream, snapshot.head, (snapshot.format, &snapshot.state));
    if !snapshot.mac.as_ref().is_some_and(|mac| same(mac, &code)) {
        return Ok(Found::Ignored);
    }
    let one = (stream, snapshot);
    let kind = stream.aggregate_type.as_str();
    if kind == <Spec as cqrs_es::Aggregate>::TYPE {
        replay::<Spec>(log, one).await
    } else if kind == <Task as cqrs_es::Aggregate>::TYPE {
        replay::<Task>(log, one).await
    } else if kind == <Ticket as cqrs_es::Aggregate>::TYPE {
        replay::<Ticket>(log, one).await
    } else if kind == <Project as cqrs_es::Aggregate>::TYPE {
        replay::<Project>(log, one).await
    } else {
        // No engine has snapshots of these: not of access keys either.
        Ok(Found::Ignored)
    }
}

async fn replay<A: EventSourced>(
    log: &Arc<dyn EventLog>,
    (stream, snapshot): (&StreamId, &Snapshot),
) -> Result<Found, StoreError> {
    if snapshot.format != A::snapshot_format() {
        return Ok(Found::Ignored);
    }
    let store = AggregateStore::<A>::new(Arc::clone(log));
    let loaded = store.load_at(stream.aggregate_id, snapshot.head.version).await?;
    if loaded.head != Some(snapshot.head) {
        return Ok(Found::Ignored);
    }
    let state = super::commit::to_json(stream, &*loaded.state)?;
    Ok(if state == snapshot.state { Found::Good } else { Found::Wrong })
}
