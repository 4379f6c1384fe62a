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
use super::{Exit, Failure, Place, adopted, print};
use crate::sandbox::Provider;
use crate::sandbox::process::LocalMachine;
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
    adopted::check_folder(&place)?;
    place.make()?;
    let restore = Restore::prepare(file, &place.log).await.map_err(failure)?;
    refuse_to_replace(restore.present(), options, &place.log)?;
    let (identity, events) = (restore.identity(), restore.n_events());
    let replaced = restore.present().and_then(|present| present.identity);
    let living = Living::allowed(replaced, identity.log_id, options.force);
    let lost = leave_lost_time(identity.log_id, living, aside).await?;
    remove_read_models(&place.read_models)?;
    let kept = restore.put_in_place(&format!("replaced-{aside}")).map_err(configuration)?;
    // Whoever names a backup and its place wants to go on with it.
    adopted::remember(&place.log, identity.log_id)?;
    report(options, &Done { identity, events: Some(events), kept, lost });
    Ok(Exit::Completed)
}

async fn in_place(args: &PlaceArgs, options: &RestoreArgs, aside: &str) -> Result<Exit, Failure> {
    // Read models in PostgreSQL are rebuilt when they see the new incarnation.
    let place = if is_postgres(args) { None } else { Some(Place::find(args)?) };
    let log = place.as_ref().map(|place| place.log.clone());
    let file = log.as_ref().map(|log| format!("sqlite:{}", log.display()));
    let url = file.or_else(|| args.store.clone()).unwrap_or_default();
    if let Some(place) = &place {
        adopted::check_folder(place)?;
    }
    let house = open_house(&url, Way::From).await?;
    let deed = house.deed().await.map_err(|error| Failure::failed(error.to_string()))?;
    let Some(deed) = deed else {
        let message = format!("there is no log in {}", house.name());
        return Err(Failure::new(Exit::Configuration, message));
    };
    let living = Living::allowed(None, deed.identity.log_id, options.force);
    let lost = leave_lost_time(deed.identity.log_id, living, aside).await?;
    if let Some(place) = place {
        remove_read_models(&place.read_models)?;
    }
    let anew = house.begin_anew(0).await;
    let identity = anew.map_err(|error| Failure::failed(error.to_string()))?;
    if let Some(log) = &log {
        adopted::remember(log, identity.log_id)?;
    }
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

/// Whether living sandboxes of the log may be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Living {
    End,
    /// They may belong to an engine on another copy of the log.
    Refuse,
}

impl Living {
    /// The log that is replaced is held: it has no engine. Of others nothing is known.
    fn allowed(replaced: Option<LogIdentity>, log_id: Uuid, force: bool) -> Self {
        let own = replaced.is_some_and(|identity| identity.log_id == log_id);
        if own || force { Self::End } else { Self::Refuse }
    }
}

/// What the time that is lost has left on this machine: its sandboxes are ended and moved aside, so
/// that ids that come again do not meet old folders.
async fn leave_lost_time(
    log_id: Uuid,
    living: Living,
    aside: &str,
) -> Result<Option<PathBuf>, Failure> {
    let state = state_folder(&log_id.to_string());
    let sandboxes = state.join("sandboxes");
    let is_empty =
        |folder: &Path| fs::read_dir(folder).map_or(true, |mut all| all.next().is_none());
    if is_empty(&sandboxes) {
        return Ok(None);
    }
    end_sandboxes(state.clone(), living).await?;
    let to = state.join(format!("sandboxes.lost-{aside}"));
    fs::rename(&sandboxes, &to).map_err(|error| {
        Failure::failed(format!("{} cannot be moved aside: {error}", sandboxes.display()))
    })?;
    // An empty one in its place.
    provider(state).await?;
    Ok(Some(to))
}

async fn provider(state: PathBuf) -> Result<LocalMachine, Failure> {
    let made = tokio::task::spawn_blocking(move || machine(state)).await;
    made.map_err(|error| Failure::failed(error.to_string()))?
}

async fn end_sandboxes(state: PathBuf, living: Living) -> Result<(), Failure> {
    let machine = provider(state).await?;
    let failed = |error: &dyn std::error::Error| {
        Failure::failed(format!(
            "a sandbox of the time that is lost could not be ended: {}; end it and try again",
            super::host::chain(error)
        ))
    };
    let listed = machine.list().await.map_err(|error| failed(&error))?;
    let alive: Vec<_> = listed.iter().filter(|listed| listed.life == Life::Alive).collect();
    if living == Living::Refuse && !alive.is_empty() {
        return Err(Failure::usage(format!(
            "{} sandboxes of this log are alive on this machine: perhaps an engine runs on another \
             copy of the log; stop it, or end them with --force. Nothing was changed",
            alive.len()
        )));
    }
    for listed in alive {
        if let Some(handle) = &listed.handle {
            let ended = machine.terminate(listed.sandbox, handle).await;
            ended.map_err(|error| failed(&error))?;
        }
    }
    Ok(())
}

pub fn remove_read_models(file: &Path) -> Result<(), Failure> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = file.as_os_str().to_owned();
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
