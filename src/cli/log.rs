//! `specline log`: `verify` recomputes every hash; `copy` is in a file of its own.

use std::io::IsTerminal;

use indicatif::ProgressBar;
use serde_json::json;

use super::adopt::adopt;
use super::args::{LogCommand, PlaceArgs};
use super::copy::log_copy;
use super::reads::open;
use super::{Exit, Failure, print};
use crate::store::Position;
use crate::store::verify::verify;

pub async fn log(args: &PlaceArgs, command: LogCommand) -> Result<Exit, Failure> {
    match command {
        LogCommand::Verify { json } => log_verify(args, json).await,
        LogCommand::Adopt(args_of_it) => adopt(args, args_of_it).await,
        LogCommand::Copy(copy) => log_copy(copy).await,
    }
}

async fn log_verify(args: &PlaceArgs, json: bool) -> Result<Exit, Failure> {
    let log = open(args).await?.rows;
    let head = log.given_out().await.map_err(|error| Failure::failed(error.to_string()))?;
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new(head.0)
    } else {
        ProgressBar::hidden()
    };
    let (from, to) = (Position(1), Position(u64::MAX));
    let verified = verify(&*log, from, to, |at| bar.set_position(at.0)).await;
    bar.finish_and_clear();
    let verified = verified.map_err(|error| Failure::failed(error.to_string()))?;
    let difference = verified.first_difference.as_ref();
    if json {
        print::json(&json!({
            "events": verified.events,
            "ok": difference.is_none(),
            "first_difference": difference.map(ToString::to_string),
        }));
    } else if difference.is_none() {
        print::data(&format!("{} events are as they were written", verified.events));
    }
    match difference {
        None => Ok(Exit::Completed),
        Some(difference) => Err(Failure::failed(format!(
            "the log was changed; the first event that differs: {difference}"
        ))),
    }
}
