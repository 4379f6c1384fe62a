//! `specline log`: `verify` recomputes every hash; `copy` is in a file of its own.

use std::io::IsTerminal;

use indicatif::ProgressBar;
use serde_json::json;

use super::adopt::adopt;
use super::args::{LogCommand, PlaceArgs};
use super::copy::log_copy;
use super::reads::open;
use super::{Exit, Failure, cached, print};
use crate::store::verify::verify;
use crate::store::{Position, SnapshotReport};

pub async fn log(args: &PlaceArgs, command: LogCommand) -> Result<Exit, Failure> {
    match command {
        LogCommand::Verify { json } => log_verify(args, json).await,
        LogCommand::Adopt(args_of_it) => adopt(args, args_of_it).await,
        LogCommand::Copy(copy) => log_copy(copy).await,
    }
}

/// What stands in the table of events and belongs to other programs.
pub(super) fn say_beside(rows: u64) {
    if rows > 0 {
        let plural = if rows == 1 { "row" } else { "rows" };
        print::talk(&format!("{rows} {plural} of other programs' aggregates stand beside the log"));
    }
}

async fn log_verify(args: &PlaceArgs, json: bool) -> Result<Exit, Failure> {
    let opened = open(args).await?;
    let log = &opened.rows;
    let head = log.given_out().await.map_err(|error| Failure::failed(error.to_string()))?;
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new(head.0)
    } else {
        ProgressBar::hidden()
    };
    let (from, to) = (Position(1), Position(u64::MAX));
    let verified = verify(&**log, from, to, |at| bar.set_position(at.0)).await;
    bar.finish_and_clear();
    let verified = verified.map_err(|error| Failure::failed(error.to_string()))?;
    let difference = verified.first_difference.as_ref();
    let snapshots = match difference {
        None => cached::check(&opened).await?,
        Some(_) => SnapshotReport::default(),
    };
    if json {
        print::json(&json!({
            "events": verified.events,
            "ok": difference.is_none() && snapshots.wrong.is_none(),
            "rows_of_other_programs": verified.beside,
            "snapshots": cached::shown(&snapshots),
            "first_difference": difference.map(ToString::to_string),
        }));
    } else if difference.is_none() {
        print::data(&format!("{} events are as they were written", verified.events));
        say_beside(verified.beside);
        cached::say(&snapshots);
    }
    match difference {
        None => cached::refuse_wrong(&snapshots).map(|()| Exit::Completed),
        Some(difference) => Err(Failure::failed(format!(
            "the log was changed; the first event that differs: {difference}"
        ))),
    }
}
