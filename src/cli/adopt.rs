//! `specline log adopt`: from now on this user obeys a log that somebody else made, or that a
//! program copied.

use serde_json::json;

use super::adopted::{self, Standing};
use super::args::{AdoptArgs, PlaceArgs};
use super::copy::open_failure;
use super::restore::remove_read_models;
use super::{Exit, Failure, Place, host_key, print};
use crate::store::sqlite::SqliteHouse;
use crate::store::verify::verify;
use crate::store::{EventLog, Position, SqliteLog};

pub async fn adopt(args: &PlaceArgs, adopt: AdoptArgs) -> Result<Exit, Failure> {
    if args.store.as_deref().is_some_and(|url| url.starts_with("postgres")) {
        return Err(Failure::usage(
            "a log in PostgreSQL needs no adopting: you name it yourself, with its password",
        ));
    }
    let place = Place::find(args)?;
    adopted::check_folder(&place)?;
    let path = place.log.clone();
    // An earlier version's gets today's schema first, by whoever may write it now.
    let raised = tokio::task::spawn_blocking(move || SqliteHouse::open(&path).map(drop)).await;
    let raised = raised.map_err(|error| Failure::failed(error.to_string()))?;
    raised.map_err(|error| open_failure(&error))?;
    let opened = SqliteLog::open_read_only(&place.log);
    let log = opened.map_err(|error| Failure::new(Exit::Configuration, error.to_string()))?;
    let log_id = log.identity().log_id;
    let shown = place.log.display();
    let original = match adopted::standing(&place.log, &log)? {
        Standing::Adopted | Standing::Empty if !adopt.as_copy => {
            print::talk(&format!("{shown} is yours already"));
            return Ok(Exit::Completed);
        }
        Standing::Adopted | Standing::Empty => None,
        Standing::Foreign { original, .. } => original,
    };
    if let Some(original) = original.filter(|_| !adopt.as_copy) {
        return Err(Failure::usage(format!(
            "{shown} is a copy of {}, which is still there; make it a log of its own with \
             --as-copy, or remove the other",
            original.display()
        )));
    }
    let verified = verify(&log, Position(1), Position(u64::MAX), |_| {}).await;
    let verified = verified.map_err(|error| Failure::failed(error.to_string()))?;
    if let Some(difference) = verified.first_difference {
        return Err(Failure::failed(format!(
            "{shown} was changed since it was written, and is not adopted: {difference}"
        )));
    }
    drop(log);
    let log_id = if adopt.as_copy { as_copy(&place).await? } else { log_id };
    host_key::draw_anew(&log_id.to_string())?;
    adopted::remember(&place.log, log_id)?;
    if adopt.json {
        print::json(&json!({ "log_id": log_id, "events": verified.events }));
    } else {
        print::data(&format!("{shown} is yours now: log {log_id}, {} events", verified.events));
        print::talk("Next: `specline list`, and `specline resume` for what is unfinished.");
    }
    Ok(Exit::Completed)
}

/// Gives the file an identity of its own, without the other's sandboxes.
async fn as_copy(place: &Place) -> Result<uuid::Uuid, Failure> {
    let path = place.log.clone();
    let opened = tokio::task::spawn_blocking(move || SqliteHouse::open(&path)).await;
    let opened = opened.map_err(|error| Failure::failed(error.to_string()))?;
    let house = opened.map_err(|error| open_failure(&error))?;
    let identity = house.become_another().await;
    let identity = identity.map_err(|error| Failure::failed(error.to_string()))?;
    drop(house);
    remove_read_models(&place.read_models)?;
    Ok(identity.log_id)
}
