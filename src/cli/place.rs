//! Where the log of a command is: named, or found in the nearest `.specline/` upwards.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::args::PlaceArgs;
use super::{Exit, Failure};
use crate::private;
use crate::sandbox::files::private_folder;

/// Folder of the embedded store in a repository.
pub const FOLDER: &str = ".specline";

/// The files of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The log.
    pub log: PathBuf,
    pub read_models: PathBuf,
    /// Where a running engine says how to reach it.
    pub engine_file: PathBuf,
    /// The folder that a sandbox must not see, where it is the log's own.
    pub folder: PathBuf,
    own_folder: bool,
}

impl Place {
    /// The log in the `.specline/` of a repository.
    #[must_use]
    pub fn of_repository(repo: &Path) -> Self {
        let folder = repo.join(FOLDER);
        Self {
            log: folder.join("log.db"),
            read_models: folder.join("read.db"),
            engine_file: folder.join("engine.json"),
            folder,
            own_folder: true,
        }
    }

    /// Whether the folder is the log's alone.
    #[must_use]
    pub const fn is_own_folder(&self) -> bool {
        self.own_folder
    }

    /// A log named by its URL.
    fn of_store(url: &str) -> Result<Self, Failure> {
        let configuration = |message: String| Failure::new(Exit::Configuration, message);
        let path = match url.split_once(':') {
            Some(("sqlite", path)) => path.trim_start_matches("//"),
            Some((scheme, _)) if scheme.len() > 1 => {
                return Err(configuration(format!(
                    "--store {scheme}: not a store that this takes; use sqlite:FILE, or \
                     postgres://USER@HOST/DB where engines share one log"
                )));
            }
            _ => url,
        };
        if path.is_empty() {
            return Err(configuration("--store names no file; use sqlite:FILE".to_owned()));
        }
        let log = std::path::absolute(path)
            .map_err(|error| configuration(format!("--store {path}: {error}")))?;
        let folder = log.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf);
        Ok(Self {
            read_models: log.with_extension("read.db"),
            engine_file: engine_file(&log),
            log,
            folder,
            own_folder: false,
        })
    }

    /// The place that a command names, or the nearest one.
    pub fn find(args: &PlaceArgs) -> Result<Self, Failure> {
        if let Some(url) = &args.store {
            return Self::of_store(url);
        }
        let from = match &args.repo {
            Some(repo) => return Ok(Self::of_repository(&existing(repo)?)),
            None => current_folder()?,
        };
        let found = own_ancestors(&from).find(|folder| folder.join(FOLDER).is_dir());
        found.map(Self::of_repository).ok_or_else(|| {
            Failure::new(
                Exit::Configuration,
                format!(
                    "there is no {FOLDER}/ in {} or above it; start with `specline run`, or name \
                     the repository with --repo",
                    from.display()
                ),
            )
        })
    }

    /// The place that `run` and `serve` work in, which need not be there yet, and the repository.
    pub fn for_repository(args: &PlaceArgs) -> Result<(Self, PathBuf), Failure> {
        let repo = if let Some(repo) = &args.repo {
            existing(repo)?
        } else {
            let here = current_folder()?;
            let top = here.ancestors().find(|folder| folder.join(".git").exists());
            top.map_or(here.clone(), Path::to_path_buf)
        };
        let place = match &args.store {
            Some(url) => Self::of_store(url)?,
            None => Self::of_repository(&repo),
        };
        Ok((place, repo))
    }

    /// Makes the folder, and keeps it out of git by a `.gitignore` of its own.
    pub fn make(&self) -> Result<(), Failure> {
        let make = || -> io::Result<()> {
            if self.own_folder {
                private_folder(&self.folder)?;
            }
            private::make_folder(&self.folder)?;
            let ignore = self.folder.join(".gitignore");
            if self.own_folder {
                private::mend(&self.folder);
                private::mend(&ignore);
            }
            if self.own_folder && !ignore.exists() {
                private::write_new(&ignore, "# Specline's own store; not for git.\n*\n")?;
            }
            Ok(())
        };
        make().map_err(|error| {
            Failure::new(
                Exit::Configuration,
                format!(
                    "{} cannot be written: {error}; check its permissions and the space on the \
                     disk, or keep the log elsewhere with --store sqlite:FILE",
                    self.folder.display()
                ),
            )
        })
    }
}

/// Where an engine on a log that shares its folder with other files says how to reach it: away from
/// them, as it holds the operator's token.
fn engine_file(log: &Path) -> PathBuf {
    let real = log.canonicalize();
    let path = real.as_deref().unwrap_or(log);
    let name = blake3::hash(path.as_os_str().as_bytes()).to_hex();
    state_base().join("engines").join(format!("{}.json", &name[..32]))
}

/// `from` and what is above it, up to a folder that neither the caller nor the owner of `from`
/// owns: what lies there is somebody else's.
fn own_ancestors(from: &Path) -> impl Iterator<Item = &Path> {
    let owner = |folder: &Path| fs::metadata(folder).map(|metadata| metadata.uid()).ok();
    let ours = [owner(from), Some(rustix::process::geteuid().as_raw())];
    from.ancestors().take_while(move |folder| ours.contains(&owner(folder)))
}

fn current_folder() -> Result<PathBuf, Failure> {
    std::env::current_dir()
        .map_err(|error| Failure::failed(format!("the current folder cannot be read: {error}")))
}

fn existing(repo: &Path) -> Result<PathBuf, Failure> {
    let path = repo
        .canonicalize()
        .map_err(|error| Failure::usage(format!("--repo {}: {error}", repo.display())))?;
    if path.is_dir() {
        Ok(path)
    } else {
        Err(Failure::usage(format!("--repo {} is not a folder", repo.display())))
    }
}

/// Where sandboxes and snapshots of the log `log_id` lie: outside of every repository.
pub fn state_folder(log_id: &str) -> PathBuf {
    state_base().join(log_id)
}

/// The folder of all that is kept beside logs.
pub fn state_base() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(state) = &crate::config::effective().store.state_dir {
        state.clone()
    } else if let Some(state) = named("XDG_STATE_HOME") {
        PathBuf::from(state).join("specline")
    } else if let Some(home) = named("HOME") {
        PathBuf::from(home).join(".local/state/specline")
    } else {
        std::env::temp_dir().join(format!("specline-{}", rustix::process::getuid().as_raw()))
    }
}
