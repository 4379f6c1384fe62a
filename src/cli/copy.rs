//! `specline log copy`: moves a log from one store into another.

use std::io::IsTerminal;
use std::path::PathBuf;

use indicatif::ProgressBar;
use serde_json::json;

use super::args::CopyArgs;
use super::follow::interrupted;
use super::{Exit, Failure, adopted, print};
use crate::store::OpenError;
use crate::store::house::{Copied, CopyError, House, Progress, Stage, copy};
use crate::store::postgres::{self, PgHouse};
use crate::store::sqlite::SqliteHouse;

/// Which way a log goes through a house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    From,
    To,
}

pub async fn log_copy(args: CopyArgs) -> Result<Exit, Failure> {
    if same_file(&args.from, &args.to) {
        return Err(Failure::usage("--from and --to are the same place"));
    }
    // What is copied is obeyed where it arrives.
    if let Some(path) = sqlite_path(&args.from).filter(|path| path.exists()) {
        adopted::require(&path)?;
    }
    let source = open_house(&args.from, Way::From).await?;
    let target = open_house(&args.to, Way::To).await?;
    let mut meter = Meter::new();
    let mut show = |progress| meter.show(progress);
    let result = tokio::select! {
        result = copy(&*source, &*target, &mut show) => result.map_err(failure),
        () = interrupted() => Err(Failure::new(
            Exit::Interrupted,
            "the copy is not finished; the same command goes on where it stopped",
        )),
    };
    meter.finish();
    let copied = result?;
    if let Some(path) = sqlite_path(&args.to) {
        let deed = target.deed().await.map_err(|error| Failure::failed(error.to_string()))?;
        if let Some(deed) = deed {
            adopted::remember(&path, deed.identity.log_id)?;
        }
    }
    if args.json {
        print::json(&json!({ "ok": true, "from": args.from, "to": args.to, "copied": copied }));
    } else {
        say(&args, &copied);
    }
    Ok(Exit::Completed)
}

/// The file of a log in SQLite.
fn sqlite_path(url: &str) -> Option<PathBuf> {
    Some(PathBuf::from(url.strip_prefix("sqlite:")?.trim_start_matches("//")))
}

fn same_file(one: &str, two: &str) -> bool {
    let path = |url: &str| {
        let path = url.strip_prefix("sqlite:")?.trim_start_matches("//");
        std::fs::canonicalize(path).ok()
    };
    one == two || path(one).is_some_and(|one| path(two) == Some(one))
}

fn say(args: &CopyArgs, copied: &Copied) {
    print::data(&format!(
        "{} events, {} keys and {} blobs are in {}, and equal to those in {}",
        copied.n_events,
        copied.n_keys,
        copied.n_blobs,
        shown(&args.to),
        shown(&args.from)
    ));
    print::talk(&format!(
        "Next: start every engine with --store {} (or SPECLINE_STORE). Never start one on the old \
         log again: from here on the two would tell different stories.",
        shown(&args.to)
    ));
}

/// A store's URL without its password.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.rsplit_once('@') {
        Some((user, place)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{place}")
        }
        None => url.to_owned(),
    }
}

/// The house that a URL names, held so that nobody else writes there.
pub async fn open_house(url: &str, way: Way) -> Result<Box<dyn House>, Failure> {
    let path = match url.split_once(':') {
        Some(("postgres" | "postgresql", _)) => return open_postgres(url, way).await,
        Some(("sqlite", path)) => PathBuf::from(path.trim_start_matches("//")),
        _ => {
            let message =
                format!("{url:?} names no store: use sqlite:FILE or postgres://USER@HOST/DB");
            return Err(Failure::usage(message));
        }
    };
    let opened = tokio::task::spawn_blocking(move || match way {
        Way::From => SqliteHouse::open(&path),
        Way::To => SqliteHouse::open_or_create(&path),
    });
    let opened = opened.await.map_err(|error| Failure::failed(error.to_string()))?;
    let house = opened.map_err(|error| open_failure(&error))?;
    Ok(Box::new(house))
}

pub fn open_failure(error: &OpenError) -> Failure {
    let OpenError::Busy { path } = error else {
        return Failure::new(Exit::Configuration, error.to_string());
    };
    Failure::new(
        Exit::Busy,
        format!(
            "an engine (or another copy) holds {}; stop it first: a log must not be written while \
             it is copied",
            path.display()
        ),
    )
}

async fn open_postgres(url: &str, way: Way) -> Result<Box<dyn House>, Failure> {
    let opened = match way {
        Way::From => PgHouse::open(url).await,
        Way::To => PgHouse::open_or_create(url).await,
    };
    let house = opened.map_err(|error| {
        let busy = matches!(error, postgres::OpenError::Busy { .. });
        let exit = if busy { Exit::Busy } else { Exit::Configuration };
        Failure::new(exit, error.to_string())
    })?;
    Ok(Box::new(house))
}

#[expect(clippy::needless_pass_by_value, reason = "used as map_err(failure)")]
fn failure(error: CopyError) -> Failure {
    let exit = match &error {
        CopyError::NoSource { .. }
        | CopyError::UnfinishedSource { .. }
        | CopyError::Occupied { .. }
        | CopyError::OtherCopy { .. } => Exit::Configuration,
        CopyError::Diverged { .. }
        | CopyError::Damaged { .. }
        | CopyError::Unequal { .. }
        | CopyError::Log(_) => Exit::Failed,
    };
    Failure::new(exit, super::host::chain(&error))
}

/// A bar on a terminal; elsewhere a line for every tenth of the way.
struct Meter {
    bar: Option<ProgressBar>,
    tenths: u64,
}

impl Meter {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(0));
        Self { bar, tenths: 0 }
    }

    fn show(&mut self, progress: Progress) {
        let (part, word) = match progress.stage {
            Stage::Events => (0, "copying events"),
            Stage::Rows => (0, "copying keys, blobs and leases"),
            Stage::VerifySource => (1, "verifying the source"),
            Stage::VerifyTarget => (2, "verifying the copy"),
        };
        let (done, all) = (part * progress.of + progress.done, 3 * progress.of);
        if let Some(bar) = &self.bar {
            bar.set_length(all);
            bar.set_position(done);
            bar.set_message(word);
            return;
        }
        let tenths = (done * 10).checked_div(all).unwrap_or(0);
        if tenths > self.tenths {
            self.tenths = tenths;
            print::talk(&format!("{} %: {word}", tenths * 10));
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_password_is_not_told() {
        assert_eq!(shown("postgres://ann:secret@db:5432/x"), "postgres://ann@db:5432/x");
        assert_eq!(shown("postgres://ann:p@ss@db/x"), "postgres://ann@db/x");
        assert_eq!(shown("postgres://db/x"), "postgres://db/x");
        assert_eq!(shown("sqlite:/a/b@c.db"), "sqlite:/a/b@c.db");
    }
}
