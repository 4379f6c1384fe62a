//! What `log verify` and `audit verify` say of the snapshots of states that stand beside the log.

use serde_json::{Value, json};

use super::location::Opened;
use super::{Failure, print};
use crate::store::{SnapshotKey, SnapshotReport, check_snapshots};

/// Replays every snapshot that an engine would believe.
pub(super) async fn check(opened: &Opened) -> Result<SnapshotReport, Failure> {
    // Without the log's secret they can only be counted.
    let key = opened.secret().await.map(|secret| SnapshotKey::of_secret(&secret));
    let report = check_snapshots(&opened.log, key.as_ref()).await;
    report.map_err(|error| Failure::failed(super::host::chain(&error)))
}

pub(super) fn shown(report: &SnapshotReport) -> Value {
    let SnapshotReport { good, ignored, unchecked, wrong } = report;
    let wrong = wrong.as_ref().map(ToString::to_string);
    json!({ "good": good, "not_believed": ignored, "not_checked": unchecked, "wrong": wrong })
}

/// Says what is worth saying.
pub(super) fn say(report: &SnapshotReport) {
    let SnapshotReport { good, ignored, unchecked, .. } = report;
    if *good > 0 {
        print::talk(&format!("{good} snapshots of states are what a replay gives"));
    }
    if *ignored > 0 {
        print::talk(&format!(
            "{ignored} snapshots of states are believed by nobody: an earlier version wrote them, \
             or somebody else did"
        ));
    }
    if *unchecked > 0 {
        print::talk(&format!(
            "{unchecked} snapshots of states were not checked, for want of a key"
        ));
    }
}

/// A snapshot that an engine would go on from, and that is wrong.
pub(super) fn refuse_wrong(report: &SnapshotReport) -> Result<(), Failure> {
    match &report.wrong {
        None => Ok(()),
        Some(stream) => Err(Failure::failed(format!(
            "the snapshot of {stream} is not what a replay of its events gives; delete its row \
             from the table of snapshots, and start the engine again"
        ))),
    }
}
