//! One program, run once on a read-only copy of a snapshot, and confined like an agent: how the
//! provider `process` runs evaluators.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use super::environment::{harmless, passed};
use super::options::Options;
use crate::program::{self, Bounds, Ended};
use crate::sandbox::confine::{self, View};
use crate::sandbox::files::{private_folder, remove_tree};
use crate::sandbox::isolation::Isolation;
use crate::sandbox::provider::{ProgramError, ProgramRequest};
use crate::sandbox::snapshot::Snapshots;

/// No evaluator runs for so long.
const LONG_GONE: Duration = Duration::from_hours(24);

/// The folders of one run, gone when it ends.
struct Place {
    root: PathBuf,
}

impl Place {
    fn new(options: &Options) -> io::Result<Self> {
        let root = options.state.join("judging").join(Uuid::now_v7().to_string());
        let place = Self { root };
        for folder in [&place.root, &place.home(), &place.temporary()] {
            private_folder(folder)?;
        }
        Ok(place)
    }

    fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.root) {
            tracing::debug!(path = %self.root.display(), %error, "left a judge's folder behind");
        }
    }
}

/// Removes what engines that died left behind. One that lives may be at work beside this one.
pub(super) fn sweep(options: &Options) {
    let Ok(entries) = std::fs::read_dir(options.state.join("judging")) else { return };
    for entry in entries.flatten() {
        let age = entry.metadata().and_then(|m| m.modified()).map(|at| at.elapsed());
        if matches!(age, Ok(Ok(age)) if age > LONG_GONE)
            && let Err(error) = remove_tree(&entry.path())
        {
            tracing::debug!(%error, "a judge's folder is left behind");
        }
    }
}

pub(super) async fn run(
    options: &Options,
    snapshots: &Snapshots,
    request: ProgramRequest,
) -> Result<Ended, ProgramError> {
    let (commit, snapshots, options) = (request.commit.clone(), snapshots.clone(), options.clone());
    let prepared = tokio::task::spawn_blocking(move || {
        let place = Place::new(&options).map_err(ProgramError::Io)?;
        snapshots.checkout(&commit, &place.work())?;
        close(&place.work()).map_err(ProgramError::Io)?;
        Ok::<_, ProgramError>((place, options))
    });
    let (place, options) =
        prepared.await.map_err(|error| ProgramError::Io(io::Error::other(error)))??;
    let command = command(&options, &place, &request);
    let input = request.input(&place.work());
    let bounds = Bounds {
        time: request.time,
        stdout_bytes: request.stdout_bytes,
        stop: request.stop.clone(),
    };
    let ended = program::run(command, input, &bounds, Box::new(|_| ())).await;
    let dropped = tokio::task::spawn_blocking(move || drop(place));
    drop(dropped.await);
    Ok(ended?)
}

/// The program behind what limits it, and ends what it leaves behind.
fn command(options: &Options, place: &Place, request: &ProgramRequest) -> tokio::process::Command {
    let own = [place.home(), place.temporary()];
    let view = View {
        writable: own.into_iter().chain(options.writable.clone()).collect(),
        shared: options.shared.clone(),
        protected: request.protect.clone(),
        hidden: request.hide.iter().cloned().chain([options.state.clone()]).collect(),
        readable: vec![place.work(), options.state.join("snapshots.git/objects")],
    };
    let limits = serde_json::to_string(&options.limits).expect("numbers become JSON");
    let confiner = &options.supervise.program;
    let mut inner = vec![confine::SUBCOMMAND.to_owned(), "--reap".to_owned()];
    inner.extend(["--limits".to_owned(), limits]);
    let bubblewrap = matches!(options.isolation, Isolation::Bubblewrap { .. });
    let mut command = if bubblewrap {
        let mut command = confine::command(&options.isolation, &view, &place.work(), confiner);
        command.args(&inner);
        command
    } else {
        let mut command = std::process::Command::new(confiner);
        command.args(&inner).current_dir(place.work());
        if !options.isolation.is_weak() {
            command.args(["--view", &view.to_json()]);
        }
        command
    };
    command.arg("--").arg(&request.program).args(&request.args).env_clear().envs(harmless());
    command.env("HOME", place.home()).env("TMPDIR", place.temporary());
    command.envs(passed(&request.pass_env));
    command.into()
}

/// Takes the right to write from the top of a copy, for where nothing else does.
fn close(work: &Path) -> io::Result<()> {
    std::fs::set_permissions(work, Permissions::from_mode(0o500))
}
