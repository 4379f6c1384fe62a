//! `specline diff`: what is different between two versions of a spec.

use serde_json::Value;

use super::args::{DiffArgs, PlaceArgs};
use super::host::{Duties, Host};
use super::reads::parse_id;
use super::{Exit, Failure, Location, print};
use crate::engine::Leave;

/// Longest value that is shown for people, in characters.
const MAX_SHOWN: usize = 100;

pub async fn diff(args: &PlaceArgs, asked: DiffArgs) -> Result<Exit, Failure> {
    let id = parse_id(&asked.spec)?;
    let mut path = format!("/api/v1/specs/{id}/diff?from={}", asked.from);
    if let Some(to) = asked.to {
        path.push_str(&format!("&to={to}"));
    }
    let host = Host::connect(&Location::find(args)?, Duties::Rest).await?;
    let found = host.api.get::<Value>(&path).await;
    host.stop(Leave::Sandboxes).await;
    let found = found?;
    if asked.json {
        print::json(&found);
        return Ok(Exit::Completed);
    }
    for (name, sign) in [("from", '-'), ("to", '+')] {
        let (version, status) = (&found[name]["version"], &found[name]["status"]);
        print::data(&format!("{sign} version {version}, {}", status.as_str().unwrap_or_default()));
    }
    for change in found["changes"].as_array().into_iter().flatten() {
        print::data(change["pointer"].as_str().unwrap_or_default());
        for (name, sign) in [("from", '-'), ("to", '+')] {
            if let Some(value) = change.get(name) {
                print::data(&format!("  {sign} {}", short(value)));
            }
        }
    }
    if let Some(omitted) = found["omitted"].as_u64().filter(|omitted| *omitted > 0) {
        print::talk(&format!("{omitted} more changes are not shown"));
    }
    Ok(Exit::Completed)
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
