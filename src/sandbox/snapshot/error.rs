//! What can go wrong with a snapshot, each case in words that say what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::git::GitError;
use crate::sandbox::files::is_full;

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("{} belongs to another user, and git reads no repository of another's: let it belong \
             to the user that Specline runs as, or trust it with `git config --global --add \
             safe.directory {}`", path.display(), path.display())]
    ForeignOwner { path: PathBuf },
    #[error("{} is {kind}, and git would wait for it: remove it", path.display())]
    Special { path: PathBuf, kind: &'static str },
    #[error("{} is not a folder that can be read", path.display())]
    NotAFolder { path: PathBuf },
    #[error("{} has no working tree: give the folder of a checkout, not a bare repository or a \
             .git folder", path.display())]
    NoWorkTree { path: PathBuf },
    #[error("git cannot read the repository in {}: {message}", path.display())]
    Broken { path: PathBuf, message: String },
    #[error("the snapshots in {} would be part of the snapshot of {}: keep Specline's state \
             outside the repository", snapshots.display(), folder.display())]
    Inside { folder: PathBuf, snapshots: PathBuf },
    #[error("{n} snapshots are being taken and none has ended for a while; try again later")]
    Busy { n: usize },
    #[error("the snapshot was not taken")]
    Interrupted(#[source] tokio::task::JoinError),
    #[error("`{key}` is no snapshot key: letters, digits, `-` and `_` are")]
    InvalidKey { key: String },
    #[error(
        "the snapshot {commit} does not exist, or the repository it borrows from has moved \
             or dropped its objects"
    )]
    UnknownCommit { commit: String },
    #[error("{} exists and is not empty", path.display())]
    NotEmpty { path: PathBuf },
    #[error("no space is left on the disk to {what}")]
    NoSpace { what: String },
    #[error("could not {what} {}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

impl SnapshotError {
    pub(super) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        if is_full(&source) {
            return Self::NoSpace { what: format!("{what} {}", path.display()) };
        }
        Self::Io { what, path: path.to_owned(), source }
    }
}
