//! How the private repository comes to be: beside its place, and moved there when it is whole and
//! on disk. So one that was being made when the machine died, or that two engines make at once, is
//! never met half made.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use super::{SnapshotError, pinned};
use crate::git::Git;
use crate::private;
use crate::sandbox::files::remove_tree;

/// Begins the name of one that is being made.
const MAKING: &str = "snapshots.git.making-";

/// Makes sure that `git_dir` is a repository.
pub(super) fn make(git_dir: &Path) -> Result<(), SnapshotError> {
    if git_dir.join("HEAD").exists() {
        return Ok(());
    }
    let failed = |what: &'static str| move |e| SnapshotError::io(what, git_dir, e);
    if git_dir.exists() {
        // An earlier version was killed while it made it: git fills in what is missing.
        init(git_dir)?;
        return sync(git_dir).map_err(failed("sync"));
    }
    let beside = git_dir.with_file_name(format!("{MAKING}{}", Uuid::now_v7().simple()));
    init(&beside)?;
    sync(&beside).map_err(failed("sync"))?;
    let moved = fs::rename(&beside, git_dir);
    if moved.is_err() {
        drop(remove_tree(&beside));
    }
    match moved {
        // Another engine was faster.
        Err(_) if git_dir.join("HEAD").exists() => Ok(()),
        moved => {
            let folder = git_dir.parent().unwrap_or(git_dir);
            moved.and_then(|()| File::open(folder)?.sync_all()).map_err(failed("make"))
        }
    }
}

fn init(git_dir: &Path) -> Result<(), SnapshotError> {
    Git::plain("make the snapshot repository")
        .args(["init", "--quiet", "--bare", "--template=", "--object-format=sha1"])
        .arg(git_dir)
        .run()?;
    pinned::settle(git_dir)
}

/// A new repository is a few small files and folders.
fn sync(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(folder)?.sync_all()
}

/// Says to the engines of other processes that this one may be at work in the folder.
#[derive(Debug)]
pub(super) struct Tenancy(#[expect(dead_code, reason = "the lock on it lasts as long")] File);

impl Tenancy {
    /// Who finds nobody else at work first takes away what engines that died left behind: git's
    /// locks, which would stand in the way of every later call, scratch folders, and repositories
    /// that were being made.
    pub(super) fn begin(folder: &Path, git_dir: &Path, scratch: &Path) -> io::Result<Self> {
        let lock = private::options().open(folder.join("snapshots.lock"))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            sweep(folder, git_dir, scratch);
        }
        flock(&lock, FlockOperation::LockShared)?;
        Ok(Self(lock))
    }
}

fn sweep(folder: &Path, git_dir: &Path, scratch: &Path) {
    let making = names(folder).filter(|path| name_of(path).starts_with(MAKING));
    for path in making.chain(names(scratch)).collect::<Vec<_>>() {
        remove(&path);
    }
    let mut open = vec![git_dir.to_owned()];
    while let Some(folder) = open.pop() {
        for path in names(&folder) {
            let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
            if is_folder && !path.ends_with("objects") {
                open.push(path);
            } else if !is_folder && name_of(&path).ends_with(".lock") {
                remove(&path);
            }
        }
    }
}

fn names(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn name_of(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

fn remove(path: &Path) {
    tracing::info!(path = %path.display(), "left behind by an engine that died; removed");
    let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
    let removed = if is_folder { remove_tree(path) } else { fs::remove_file(path) };
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "it cannot be removed");
    }
}
