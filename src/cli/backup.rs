//! `specline backup`: a verified copy of the log, taken while engines run.

use std::path::PathBuf;

use serde_json::json;
use specline_aggregates::Timestamp;

use super::args::{BackupArgs, PlaceArgs};
use super::{Exit, Failure, Place, print};
use crate::store::sqlite::Backup;
use crate::store::{Clock, Position, SqliteLog};

pub async fn backup(place: &PlaceArgs, args: BackupArgs) -> Result<Exit, Failure> {
    refuse_postgres(place)?;
    let log = Place::find(place)?.log;
    let to = std::path::absolute(args.to.unwrap_or_else(default_name))
        .map_err(|error| Failure::usage(format!("--to: {error}")))?;
    let shown = to.display().to_string();
    let taken = tokio::task::spawn_blocking(move || Backup::take(&log, &to)).await;
    let taken = taken.map_err(|error| Failure::failed(error.to_string()))?;
    let backup = taken.map_err(configuration)?;
    let copy = SqliteLog::open_read_only(backup.file()).map_err(configuration)?;
    let verified = copy.verify(Position(1), Position(u64::MAX), |_| {}).await;
    let verified = verified.map_err(|error| Failure::failed(error.to_string()))?;
    drop(copy);
    if let Some(difference) = verified.first_difference {
        return Err(Failure::failed(format!(
            "the log is damaged, and no backup was kept: {difference}; take the last good backup"
        )));
    }
    let bytes = backup.keep().map_err(configuration)?;
    let (events, to) = (verified.events, shown);
    if args.json {
        print::json(&json!({
            "file": to, "events": events, "position": verified.checked_to, "bytes": bytes,
        }));
    } else {
        print::data(&format!("{events} events, {bytes} bytes, verified: {to}"));
        print::talk("It holds all that agents and people wrote: keep it as you keep the log.");
    }
    Ok(Exit::Completed)
}

#[expect(clippy::needless_pass_by_value, reason = "used as map_err(configuration)")]
fn configuration(error: crate::store::OpenError) -> Failure {
    Failure::new(Exit::Configuration, error.to_string())
}

/// PostgreSQL has its own tools, and they know more: roles, replicas, points in time.
fn refuse_postgres(place: &PlaceArgs) -> Result<(), Failure> {
    let Some(url) = place.store.as_deref().filter(|url| url.starts_with("postgres")) else {
        return Ok(());
    };
    Err(Failure::usage(format!(
        "a log in PostgreSQL is backed up with PostgreSQL's own tools, while engines run:\n  \
         pg_dump --format=custom --file=specline.dump {0:?}\n\
         or the whole server, for any point in time: pg_basebackup with an archive of its WAL.\n\
         After pg_restore or a recovery, before any engine starts:\n  \
         specline restore --in-place --store {0:?}",
        super::copy::shown(url)
    )))
}

fn default_name() -> PathBuf {
    format!("specline-{}.db", stamp(Clock::system().now())).into()
}

/// `20260102T030405Z`: sorts by time, and can stand in a file's name.
pub fn stamp(at: Timestamp) -> String {
    let text = at.to_string();
    let seconds = text.split(['.', '+', 'Z']).next().unwrap_or_default();
    let digits: String = seconds.chars().filter(|c| *c != '-' && *c != ':').collect();
    format!("{digits}Z")
}

#[cfg(test)]
mod tests {
    use super::stamp;
    use specline_aggregates::Timestamp;

    #[test]
    fn a_stamp_sorts_by_time() {
        assert_eq!(stamp(Timestamp::from_micros(0)), "19700101T000000Z");
        assert_eq!(stamp(Timestamp::from_micros(1_767_323_045_678_901)), "20260102T030405Z");
    }
}
