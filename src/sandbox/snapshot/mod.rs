//! Snapshots: the working tree of a repository as it is at one moment, kept as a commit in a bare
//! git repository of Specline's own. The user's `.git` is only ever read: objects are borrowed
//! from it, and its index is copied, never locked. All calls block; run them off the async threads.
//!
//! A snapshot borrows what the user has already committed. A history rewritten and pruned by hand
//! (`git gc --prune=now`) within a run can take objects away; `checkout` then fails and says so.

mod alternates;
mod checkout;
mod error;
mod listing;
mod made;
mod pinned;
mod source;
mod special;
mod tree;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use specline_aggregates::Manifest;
use tokio::sync::Semaphore;

use crate::git::Git;
use crate::sandbox::files::private_folder;

pub use error::SnapshotError;
use source::Source;

/// An untracked file above this stays out of a snapshot: it is data, not source, and every sandbox
/// would get a copy. One that is tracked goes in up to [`MAX_TRACKED_BYTES`].
pub const MAX_UNTRACKED_BYTES: u64 = 100 * 1024 * 1024;

/// A tracked file above this stays out too: it takes minutes to read, and may have no end.
pub const MAX_TRACKED_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Snapshots that are taken at once. A repository can make each as slow as its limits allow; the
/// threads that other work needs must not all wait for it.
const MAX_AT_ONCE: usize = 4;

/// Longest wait for a turn.
const TURN: Duration = Duration::from_secs(30);

/// The working tree of a repository at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Id of a commit in the private repository; its parent is the user's HEAD, if there is one.
    pub commit: String,
    /// What the commit holds. A path that is no UTF-8 stands there with replacement characters.
    pub manifest: Manifest,
    /// What is in the folder, is not ignored, and is not in the snapshot all the same.
    pub skipped: Vec<Skipped>,
}

/// One path that a snapshot leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    pub path: String,
    pub reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A submodule, or a repository inside this one: its files belong to another history.
    NestedRepository,
    /// Above [`MAX_UNTRACKED_BYTES`], or above [`MAX_TRACKED_BYTES`] where it is tracked.
    TooBig,
    /// Untracked, and not readable by the engine.
    Unreadable,
    /// A named pipe, a socket or a device: it has no content of its own.
    Special,
}

/// The private repository that holds the snapshots. Cheap to clone; any number of processes may
/// use the same folder at once.
#[derive(Debug, Clone)]
pub struct Snapshots {
    git_dir: PathBuf,
    scratch: PathBuf,
    turns: Arc<Semaphore>,
    _tenancy: Arc<made::Tenancy>,
}

impl Snapshots {
    /// Opens `<dir>/snapshots.git`, and makes it when it is missing. `dir` must lie outside every
    /// repository that is snapshotted.
    pub fn open(dir: &Path) -> Result<Self, SnapshotError> {
        private_folder(dir).map_err(|e| SnapshotError::io("make", dir, e))?;
        let dir = dir.canonicalize().map_err(|e| SnapshotError::io("find", dir, e))?;
        let (git_dir, scratch) = (dir.join("snapshots.git"), dir.join("snapshots.tmp"));
        private_folder(&scratch).map_err(|e| SnapshotError::io("make", &scratch, e))?;
        let tenancy = made::Tenancy::begin(&dir, &git_dir, &scratch);
        let tenancy = Arc::new(tenancy.map_err(|e| SnapshotError::io("lock", &dir, e))?);
        made::make(&git_dir)?;
        pinned::pin(&git_dir)?;
        let turns = Arc::new(Semaphore::new(MAX_AT_ONCE));
        Ok(Self { git_dir, scratch, turns, _tenancy: tenancy })
    }

    /// Commits the working tree of `repo` as it is, uncommitted and untracked files included,
    /// ignored ones and `.specline/` left out. The commit is on disk when this returns, and lives
    /// until `forget(key)`. The same tree on the same HEAD gives the same commit; a key that is
    /// taken again points to the newer commit.
    ///
    /// A sub-folder of a repository is a root of its own, without the repository's history.
    pub fn take(&self, repo: &Path, key: &str) -> Result<Snapshot, SnapshotError> {
        let reference = reference(key)?;
        let source = Source::inspect(repo)?;
        if source.folder.starts_with(&self.git_dir) || self.git_dir.starts_with(&source.folder) {
            return Err(SnapshotError::Inside {
                folder: source.folder,
                snapshots: self.git_dir.clone(),
            });
        }
        pinned::pin(&self.git_dir)?;
        self.borrow_history(&source)?;
        let scratch = tree::Scratch::new(&self.scratch)?;
        let listing = listing::list(&source, &self.git_dir)?;
        let written = tree::write(&self.git_dir, &source, &listing, &scratch)?;
        let commit = self.commit(&written.tree, &source)?;
        self.git("keep the snapshot").args(["update-ref", &reference, &commit]).run()?;
        let manifest = Manifest::new(commit.clone(), written.files);
        Ok(Snapshot { commit, manifest, skipped: listing.skipped })
    }

    /// [`Self::take`] off the async threads, and not more than a few at once.
    pub async fn take_in_turn(
        &self,
        repo: PathBuf,
        key: String,
    ) -> Result<Snapshot, SnapshotError> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = tokio::time::timeout(TURN, turn).await;
        let Ok(Ok(turn)) = turn else { return Err(SnapshotError::Busy { n: MAX_AT_ONCE }) };
        let snapshots = self.clone();
        let taken = tokio::task::spawn_blocking(move || {
            // It goes with the work, not with whoever waits for it.
            let _turn = turn;
            snapshots.take(&repo, &key)
        });
        taken.await.map_err(SnapshotError::Interrupted)?
    }

    /// Makes `into` a git repository of its own that stands at `commit`, detached. `into` must not
    /// exist, or be empty. After a failure nothing is left of it.
    pub fn checkout(&self, commit: &str, into: &Path) -> Result<(), SnapshotError> {
        if !self.exists(commit)? {
            return Err(SnapshotError::UnknownCommit { commit: commit.to_owned() });
        }
        checkout::checkout(&self.git_dir, commit, into)
    }

    /// Whether `commit` is here.
    pub fn exists(&self, commit: &str) -> Result<bool, SnapshotError> {
        let is_id = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_id {
            return Ok(false);
        }
        pinned::pin(&self.git_dir)?;
        let object = format!("{commit}^{{commit}}");
        Ok(self.git("look for a commit").args(["cat-file", "-e", &object]).answer()?.is_ok())
    }

    /// Lets the snapshot of `key` go; one that does not exist is no error. Its objects go with a
    /// later clean-up, weeks later, so that a working copy that still borrows them is not hurt.
    pub fn forget(&self, key: &str) -> Result<(), SnapshotError> {
        let reference = reference(key)?;
        pinned::pin(&self.git_dir)?;
        self.git("forget a snapshot").args(["update-ref", "-d", &reference]).run()?;
        self.git("clean up snapshots").args(["gc", "--auto", "--quiet"]).run()?;
        Ok(())
    }

    fn commit(&self, tree: &str, source: &Source) -> Result<String, SnapshotError> {
        // The time of HEAD: a function of what is committed, and `git log` stays in order.
        let head = source.history.as_ref().and_then(|history| history.head.as_ref());
        let date = head.map_or("946684800 +0000".to_owned(), |h| format!("{} +0000", h.time));
        let mut git = self
            .git("commit the snapshot")
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
            .args(["commit-tree", "--no-gpg-sign", "-m", "Snapshot of the working tree"]);
        if let Some(head) = head {
            git = git.args(["-p", &head.commit]);
        }
        Ok(git.arg(tree).line()?)
    }

    fn git(&self, what: &'static str) -> Git {
        Git::at(&self.git_dir, what)
    }
}

/// The ref that keeps the snapshot of `key`.
fn reference(key: &str) -> Result<String, SnapshotError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if key.is_empty() || key.len() > 200 || !key.bytes().all(plain) {
        return Err(SnapshotError::InvalidKey { key: key.to_owned() });
    }
    Ok(format!("refs/specline/{key}"))
}
