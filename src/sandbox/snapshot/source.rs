//! What the folder is that a snapshot is taken of: a plain folder, a checkout, or a part of one.

use std::path::{Path, PathBuf};

use super::SnapshotError;
use crate::git::Git;

pub(super) struct Source {
    /// Absolute, without symbolic links.
    pub folder: PathBuf,
    /// How the files in it are found.
    pub files: Files,
    /// What can be borrowed; none for a plain folder or a part of a repository.
    pub history: Option<History>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// What the user's repository tracks, and what it does not ignore.
    OfRepository,
    /// Everything but what `.gitignore` files in it name.
    OfFolder,
}

pub(super) struct History {
    pub git_dir: PathBuf,
    /// Where objects lie: shared by all worktrees of one repository.
    pub common_dir: PathBuf,
    pub head: Option<Head>,
}

pub(super) struct Head {
    pub commit: String,
    /// Seconds since the epoch.
    pub time: u64,
}

impl Source {
    pub(super) fn inspect(repo: &Path) -> Result<Self, SnapshotError> {
        let folder = repo.canonicalize().ok().filter(|folder| folder.is_dir());
        let Some(folder) = folder else {
            return Err(SnapshotError::NotAFolder { path: repo.to_owned() });
        };
        let asked = Git::reading(&folder, "look at the repository").args([
            "rev-parse",
            "--is-bare-repository",
            "--is-inside-git-dir",
            "--show-object-format",
        ]);
        let answer = match asked.answer()? {
            Ok(answer) => String::from_utf8_lossy(&answer).into_owned(),
            Err(message) => return Self::unread(folder, message),
        };
        let mut lines = answer.lines();
        if lines.next() == Some("true") || lines.next() == Some("true") {
            return Err(SnapshotError::NoWorkTree { path: folder });
        }
        let is_sha1 = lines.next() == Some("sha1");
        Self::in_repository(folder, is_sha1)
    }

    /// A folder that git takes for no repository, or for one that it does not read.
    fn unread(folder: PathBuf, message: String) -> Result<Self, SnapshotError> {
        let is_repository = folder.join(".git").symlink_metadata().is_ok();
        if is_repository && message.contains("dubious ownership") {
            return Err(SnapshotError::ForeignOwner { path: folder });
        }
        if is_repository {
            return Err(SnapshotError::Broken { path: folder, message });
        }
        if message.contains("bare repository") && folder.join("HEAD").exists() {
            return Err(SnapshotError::NoWorkTree { path: folder });
        }
        // Above it may lie another's repository, or a bare one: neither has a say here.
        Ok(Self { folder, files: Files::OfFolder, history: None })
    }

    fn in_repository(folder: PathBuf, is_sha1: bool) -> Result<Self, SnapshotError> {
        let top = reading(&folder).args(["rev-parse", "--show-toplevel"]).path()?;
        if top.canonicalize().ok().as_deref() != Some(&*folder) {
            let ignored = reading(&folder).args(["check-ignore", "--quiet", "--"]).arg(&folder);
            let ignored = ignored.answer()?.is_ok();
            let files = if ignored { Files::OfFolder } else { Files::OfRepository };
            return Ok(Self { folder, files, history: None });
        }
        // A history of another object format cannot be borrowed; the files still can be read.
        let history = if is_sha1 { Some(History::of(&folder)?) } else { None };
        Ok(Self { folder, files: Files::OfRepository, history })
    }
}

impl History {
    fn of(folder: &Path) -> Result<Self, SnapshotError> {
        let git_dir = reading(folder).args(["rev-parse", "--absolute-git-dir"]).path()?;
        let common_dir = reading(folder).args(["rev-parse", "--git-common-dir"]).path()?;
        let asked = ["rev-list", "--max-count=1", "--timestamp", "HEAD", "--"];
        let head = match reading(folder).args(asked).answer()? {
            Ok(line) => Head::parse(&String::from_utf8_lossy(&line)),
            // No commit yet, or one whose object a partial clone does not have.
            Err(_) => None,
        };
        Ok(Self { git_dir, common_dir: folder.join(common_dir), head })
    }
}

impl Head {
    fn parse(line: &str) -> Option<Self> {
        let (time, commit) = line.trim().split_once(' ')?;
        Some(Self { commit: commit.to_owned(), time: time.parse().ok()? })
    }
}

fn reading(folder: &Path) -> Git {
    Git::reading(folder, "look at the repository")
}
