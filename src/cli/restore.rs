//! `specline restore`: puts a backup in the place of a log, or ends the lost time of a log that
//! another program put back. Nothing is deleted but read models, which are rebuilt.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use uuid::Uuid;

use super::args::{PlaceArgs, RestoreArgs};
use super::backup::stamp;
use super::copy::{Way, open_house};
use super::host::machine;
use super::place::state_folder;
use super::{Exit, Failure, Place, print};
use crate::sandbox::Provider;
use crate::sandbox::provider::Life;
use crate::store::sqlite::{Present, Restore, RestoreError};
use crate::store::{Clock, LogIdentity, OpenError};

pub async fn restore(args: &PlaceArgs, restore: RestoreArgs) -> Result<Exit, Failure> {
    let aside = stamp(Clock::system().now());
    match &restore.file {
        Some(file) => from_file(args, file, &restore, &aside).await,
        None => in_place(args, &restore, &aside).await,
    }
}

async fn from_file(
    args: &PlaceArgs,
    file: &Path,
    options: &RestoreArgs,
    aside: &str,
) -> Result<Exit, Failure> {
    if is_postgres(args) {
        return Err(Failure::usage(
            "a log in PostgreSQL is restored with pg_restore (or a recovery to a point in time); \
             after it: specline restore --in-place --store postgres://…",
        ));
    }
    let (place, _) = Place::for_repository(args)?;
    place.make()?;
    let restore = Restore::prepare(file, &place.log).await.map_err(failure)?;
    refuse_to_replace(restore.present(), options, &place.log)?;
    let (identity, events) = (restore.identity(), restore.n_events());
    let lost = leave_lost_time(&place, identity.log_id, aside).await?;
    let kept = restore.put_in_place(&format!("replaced-{aside}")).map_err(configuration)?;
    report(options, &Done { identity, events: Some(events), kept, lost });
    Ok(Exit::Completed)
}

async fn in_place(args: &PlaceArgs, options: &RestoreArgs, aside: &str) -> Result<Exit, Failure> {
    let place = Place::find(args)?;
    let url = args.store.clone().filter(|_| is_postgres(args));
    let url = url.unwrap_or_else(|| format!("sqlite:{}", place.log.display()));
    let house = open_house(&url, Way::From).await?;
    let deed = house.deed().await.map_err(|error| Failure::failed(error.to_string()))?;
    let Some(deed) = deed else {
        let message = format!("there is no log in {}", house.name());
        return Err(Failure::new(Exit::Configuration, message));
    };
    let lost = leave_lost_time(&place, deed.identity.log_id, aside).await?;
    let anew = house.begin_anew(0).await;
    let identity = anew.map_err(|error| Failure::failed(error.to_string()))?;
    report(options, &Done { identity, events: None, kept: None, lost });
    Ok(Exit::Completed)
}

fn is_postgres(args: &PlaceArgs) -> bool {
    args.store.as_deref().is_some_and(|url| url.starts_with("postgres"))
}

fn refuse_to_replace(
    present: Option<Present>,
    options: &RestoreArgs,
    log: &Path,
) -> Result<(), Failure> {
    let what = match present {
        None | Some(Present { n_events: Some(0), .. }) => return Ok(()),
        Some(_) if options.force => return Ok(()),
        Some(Present { n_events: Some(events), .. }) => format!("has {events} events"),
        Some(Present { n_events: None, .. }) => "cannot be read as a log".to_owned(),
    };
    Err(Failure::usage(format!(
        "{} {what}, and nothing was changed; with --force it is moved aside (never deleted) and \
         the backup takes its place",
        log.display()
    )))
}

/// What the time that is lost has left on this machine: its sandboxes are ended and moved aside, so
/// that ids that come again do not meet old folders, and its read models are removed.
async fn leave_lost_time(
    place: &Place,
    log_id: Uuid,
    aside: &str,
) -> Result<Option<PathBuf>, Failure> {
    let state = state_folder(&log_id.to_string());
    let moved = if state.join("sandboxes").exists() {
        end_sandboxes(state.clone()).await?;
        let to = state.join(format!("sandboxes.lost-{aside}"));
        fs::rename(state.join("sandboxes"), &to).map_err(|error| {
            Failure::failed(format!("{} cannot be moved aside: {error}", state.display()))
        })?;
        Some(to)
    } else {
        None
    };
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = place.read_models.as_os_str().to_owned();
        name.push(suffix);
        let path = PathBuf::from(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let message = format!("{} cannot be removed: {error}", path.display());
                return Err(Failure::failed(message));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(moved)
}

async fn end_sandboxes(state: PathBuf) -> Result<(), Failure> {
    let machine = tokio::task::spawn_blocking(move || machine(state)).await;
    let machine = machine.map_err(|error| Failure::failed(error.to_string()))??;
    let failed = |error: &dyn std::error::Error| {
        Failure::failed(format!(
            "a sandbox of the time that is lost could not be ended: {}; end it and try again",
            super::host::chain(error)
        ))
    };
    for listed in machine.list().await.map_err(|error| failed(&error))? {
        if let (Life::Alive, Some(handle)) = (listed.life, &listed.handle) {
            let ended = machine.terminate(listed.sandbox, handle).await;
            ended.map_err(|error| failed(&error))?;
        }
    }
    Ok(())
}

struct Done {
    identity: LogIdentity,
    events: Option<u64>,
    /// Where the replaced log is now.
    kept: Option<PathBuf>,
    /// Where the sandboxes of the lost time are now.
    lost: Option<PathBuf>,
}

fn report(options: &RestoreArgs, done: &Done) {
    let LogIdentity { log_id, incarnation } = done.identity;
    if options.json {
        return print::json(&json!({
            "log_id": log_id, "incarnation": incarnation, "events": done.events,
            "replaced_log": done.kept, "lost_sandboxes": done.lost,
        }));
    }
    let what = match done.events {
        Some(events) => format!("{events} events are restored"),
        None => "the log begins anew where it stands".to_owned(),
    };
    print::data(&format!("{what}: log {log_id}, incarnation {incarnation}"));
    if let Some(kept) = &done.kept {
        print::talk(&format!("the log that was there is now {}", kept.display()));
    }
    if let Some(lost) = &done.lost {
        print::talk(&format!("sandboxes of the time that is lost: {}", lost.display()));
    }
    print::talk("Next: `specline resume`. Sandboxes of the time that is lost have no valid token.");
}

fn failure(error: RestoreError) -> Failure {
    match error {
        RestoreError::Open(error) => configuration(error),
        RestoreError::Unfinished { .. } => Failure::new(Exit::Configuration, error.to_string()),
        RestoreError::Log(_) | RestoreError::Damaged { .. } => Failure::failed(error.to_string()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as map_err(configuration)")]
fn configuration(error: OpenError) -> Failure {
    let exit =
        if matches!(error, OpenError::Busy { .. }) { Exit::Busy } else { Exit::Configuration };
    Failure::new(exit, error.to_string())
}
