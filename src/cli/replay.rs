//! `specline replay`: a spec as it was after an event.

use super::args::PlaceArgs;
use super::reads::{parse_id, show_text, spec_at, view};
use super::{Exit, Failure, print};

pub async fn replay(
    args: &PlaceArgs,
    spec: &str,
    to: Option<u64>,
    json: bool,
) -> Result<Exit, Failure> {
    let id = parse_id(spec)?;
    if to == Some(0) {
        return Err(Failure::usage("--to counts events from 1; `specline events` shows them"));
    }
    let state = spec_at(args, id, to.unwrap_or(u64::MAX)).await?;
    if let Some(to) = to.filter(|to| *to > state.version()) {
        let problem = format!("--to {to}: the spec has {} events", state.version());
        return Err(Failure::usage(problem));
    }
    let view = view(&state)?;
    if json {
        print::json(&view);
    } else {
        print::talk(&format!("as it was after event {}", state.version()));
        show_text(&view);
    }
    Ok(Exit::Completed)
}
