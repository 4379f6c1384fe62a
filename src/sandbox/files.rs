//! Small things with files: private folders, whole writes, locks, and removal that does not stop at
//! a read-only folder.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Whether the disk, or this user's share of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes `path` and its parents; only the owner may look into `path`.
pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file that is either the old one or the whole new one, readable by its owner only.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let mut options = File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&beside, path)
}

/// An exclusive lock on a file, held until it is dropped or its process dies. It is not inherited
/// by programs that the process starts.
pub(super) struct Lock(File);

impl Lock {
    pub(super) fn wait(path: &Path) -> io::Result<Self> {
        let file = Self::open(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(Self(file))
    }

    /// `None` when another holds it.
    pub(super) fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let file = Self::open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn open(path: &Path) -> io::Result<File> {
        File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would do it too; a failure leaves it to that.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Removes `path` with all it holds; one that is missing is no error. Folders that their maker
/// closed to writing (a module cache) are opened first.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            fs::remove_dir_all(path)
        }
        Err(error) if gone(&error) => Ok(()),
        result => result,
    }
}

fn open_up(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::try_take(&path).unwrap();
        assert!(first.is_some());
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(first);
        assert!(Lock::try_take(&path).unwrap().is_some());
    }

    #[test]
    fn a_read_only_folder_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("work/cache");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("file"), "x").unwrap();
        fs::set_permissions(&inner, Permissions::from_mode(0o500)).unwrap();
        remove_tree(&dir.path().join("work")).unwrap();
        assert!(!dir.path().join("work").exists());
        remove_tree(&dir.path().join("work")).unwrap();
    }
}
