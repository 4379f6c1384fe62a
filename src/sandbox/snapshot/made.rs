//! How the private repository comes to be: beside its place, and moved there when it is whole and
//! on disk. So one that was being made when the machine died, or that two engines make at once, is
//! never met half made.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use uuid::Uuid;

use super::{SnapshotError, pinned};
use crate::git::Git;
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

/// Takes away what engines that died left half made.
pub(super) fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let old = entry.metadata().and_then(|metadata| metadata.modified());
        // One that is younger may be in the making.
        let old = old.is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() > 600));
        if old && name.to_string_lossy().starts_with(MAKING) {
            drop(remove_tree(&entry.path()));
        }
    }
}
