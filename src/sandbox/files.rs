//! Small things with files: private folders, whole writes, locks, and removal that does not stop at
//! a read-only folder. Nothing here goes through a link at the last part of a path: somebody else
//! may have put it there.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use uuid::Uuid;

/// Whether the disk, or this user's share of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes `path` and its parents; only the owner may look into `path`, also where it was there. A
/// link in its place, or a folder of another user, is refused.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        let message = format!("{} is a link, and must be a folder", path.display());
        return Err(io::Error::new(io::ErrorKind::NotADirectory, message));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let message = format!("{} belongs to another user", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    if metadata.mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Writes a file that is either the old one or the whole new one, readable by its owner only, and
/// on disk when this returns. What stands at a name that the file goes through is never written to.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", Uuid::now_v7().simple()));
    let beside = Path::new(&beside);
    let written = write_new(beside, bytes).and_then(|()| fs::rename(beside, path));
    if written.is_err() {
        drop(fs::remove_file(beside));
    }
    written?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Writes a file that is not there yet, readable by its owner only. A link is no free place.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_data()
}

/// An empty file in the place of whatever is there, readable by its owner only.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

/// A folder that is held by a descriptor: what is put in the place of its name changes nothing.
pub(super) struct Held(OwnedFd);

impl Held {
    /// None where there is no such folder, or something else in its place, a link for one.
    pub(super) fn open(folder: &Path) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::open(folder, flags, Mode::empty()) {
            Ok(opened) => Ok(Some(Self(opened))),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        Path::new("/proc/self/fd").join(self.0.as_raw_fd().to_string()).join(name)
    }
}

impl AsFd for Held {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
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
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn open(path: &Path) -> io::Result<File> {
        File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(path)
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

/// Opens what its maker closed, from `folder` down, through descriptors: a link that appears on the
/// way is not followed.
fn open_up(folder: &Path) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    open_up_at(&rustix::fs::open(folder, flags, Mode::empty())?)
}

fn open_up_at(folder: &OwnedFd) -> io::Result<()> {
    // A descriptor of this kind cannot be changed itself, the file behind it can.
    let path = format!("/proc/self/fd/{}", folder.as_raw_fd());
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    for name in folders_in(folder.as_fd())? {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        open_up_at(&rustix::fs::openat(folder, &*name, flags, Mode::empty())?)?;
    }
    Ok(())
}

fn folders_in(folder: BorrowedFd<'_>) -> io::Result<Vec<std::ffi::CString>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(folder, c".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&opened)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = rustix::fs::statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            names.push(name.to_owned());
        }
    }
    Ok(names)
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

    #[test]
    fn a_whole_write_goes_through_no_link_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "dear").unwrap();
        let path = dir.path().join("record.json");
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"dear");
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert!(metadata.is_file() && metadata.mode() & 0o777 == 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_private_folder_is_no_link_and_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::create_dir(&real).unwrap();
        fs::set_permissions(&real, Permissions::from_mode(0o755)).unwrap();
        private_folder(&real).unwrap();
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o700);
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(private_folder(&link).is_err());
    }
}
