//! A folder whose inside is not trusted. Each path beneath it is walked part by part, so that no
//! link leads anywhere else, also one that is put there meanwhile.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fsync, mkdirat, openat, openat2,
    renameat, statat, unlinkat,
};
use rustix::io::Errno;
use uuid::Uuid;

use super::Unfit;
use super::regular;

const OPEN_FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What a repository's files are made with; the umask takes from it.
const SHARED: Mode = Mode::from_raw_mode(0o666);

/// A folder, held open: what is asked of it later is asked of this very one.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    /// How errors name it: as its root was named, and the parts beneath.
    shown: PathBuf,
}

/// What is refused, and the part of the path that it is.
#[derive(Debug, thiserror::Error)]
#[error("{} {unfit}", path.display())]
pub(super) struct Named {
    path: PathBuf,
    unfit: Unfit,
}

impl Folder {
    /// The folder that a person or the engine named. Links on the way to it are theirs.
    pub fn root(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, path, flags, Mode::empty()).map_err(|error| named(path, error))?;
        Ok(Self { fd, shown: path.to_owned() })
    }

    /// The folder at `path` beneath this one.
    pub fn folder(&self, path: &Path) -> io::Result<Self> {
        self.walk(path, |_, _| Ok(()))
    }

    /// The same; folders that are missing are made.
    pub fn made(&self, path: &Path) -> io::Result<Self> {
        self.walk(path, |folder, name| match mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
            Ok(()) => fsync(folder),
            Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error),
        })
    }

    /// The bytes of the regular file at `path` beneath this folder, at most `max_bytes`.
    pub fn read(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        self.check(path)?;
        match openat2(&self.fd, path, flags, Mode::empty(), resolve) {
            Ok(fd) => regular::regular(fd)
                .and_then(|(file, size)| regular::read_bounded(&file, size, max_bytes))
                .map_err(|error| self.at(path, &error)),
            // A kernel without it, a filter that forbids it, or a path with something in it: the
            // walk does the same and can say which part it is.
            Err(_) => self.read_by_walk(path, max_bytes),
        }
    }

    fn read_by_walk(&self, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        let (parent, name) = self.split(path)?;
        let folder = self.folder(parent)?;
        let read = regular::read_at(&folder.fd, Path::new(name), max_bytes);
        read.map_err(|error| self.at(path, &error))
    }

    /// What `name` in this folder is, itself, not what it may point to; none when it is not there.
    pub fn kind(&self, name: &OsStr) -> io::Result<Option<FileType>> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.at(Path::new(name), &error.into())),
        }
    }

    /// How many bytes the regular file at `path` has.
    pub fn size(&self, path: &Path) -> io::Result<u64> {
        let (parent, name) = self.split(path)?;
        let found = statat(&self.folder(parent)?.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        let found = found.map_err(|error| self.at(path, &error.into()))?;
        match regular::unfit(FileType::from_raw_mode(found.st_mode)) {
            None => Ok(u64::try_from(found.st_size).unwrap_or_default()),
            Some(unfit) => Err(self.at(path, &unfit.into())),
        }
    }

    /// The names in this folder, sorted; more than `max` are an error.
    pub fn names(&self, max: usize) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(|error| named(&self.shown, error))? {
            let entry = entry.map_err(|error| named(&self.shown, error))?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if names.len() == max {
                return Err(self.at(Path::new(""), &Unfit::TooMany(max).into()));
            }
            names.push(OsStr::from_bytes(name).to_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Whether there is nothing in this folder.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names(1).is_ok_and(|names| names.is_empty())
    }

    /// Removes the file `name`, or the link itself; one that is missing is no error.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.at(Path::new(name), &error.into())),
        }
    }

    /// Puts a file of `bytes` at `name` in this folder, whole or not at all, and on disk when this
    /// returns. A link that stands there is replaced, not followed.
    pub fn write_whole(&self, name: &OsStr, bytes: &[u8], ending: &str) -> io::Result<()> {
        let temporary = self.begin(name, bytes, ending)?;
        self.put(&temporary, name)
    }

    /// Writes the file that is to become `name`, and says its name until then: it begins with
    /// `.name.`, ends with `ending`, and cannot be guessed. It is on disk when this returns.
    pub fn begin(&self, name: &OsStr, bytes: &[u8], ending: &str) -> io::Result<OsString> {
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}{ending}", Uuid::now_v7()));
        match self.write_new(&temporary, bytes, SHARED) {
            Ok(()) => Ok(temporary),
            Err(error) => Err(self.given_up(&temporary, name, &error)),
        }
    }

    /// Gives a file that was begun its name; the change of the folder is on disk when this returns.
    pub fn put(&self, temporary: &OsStr, name: &OsStr) -> io::Result<()> {
        let put = renameat(&self.fd, temporary, &self.fd, name).and_then(|()| fsync(&self.fd));
        put.map_err(|error| self.given_up(temporary, name, &error.into()))
    }

    /// Makes the file `name` with these bytes, for its owner alone; one that is there is an error.
    pub fn create(&self, name: &OsStr, bytes: &[u8]) -> io::Result<()> {
        let made = self.write_new(name, bytes, Mode::RUSR | Mode::WUSR);
        made.map_err(|error| self.at(Path::new(name), &error))
    }

    fn given_up(&self, temporary: &OsStr, name: &OsStr, error: &io::Error) -> io::Error {
        // Best effort: the error that counts is the one that came first.
        let _ = unlinkat(&self.fd, temporary, AtFlags::empty());
        self.at(Path::new(name), error)
    }

    fn write_new(&self, name: &OsStr, bytes: &[u8], mode: Mode) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mut file = File::from(openat(&self.fd, name, flags | OFlags::CLOEXEC, mode)?);
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn walk(
        &self,
        path: &Path,
        before: impl Fn(&OwnedFd, &OsStr) -> rustix::io::Result<()>,
    ) -> io::Result<Self> {
        self.check(path)?;
        let mut folder = Self { fd: self.fd.try_clone()?, shown: self.shown.clone() };
        for part in path {
            let shown = folder.shown.join(part);
            before(&folder.fd, part).map_err(|error| named(&shown, error))?;
            let fd = match openat(&folder.fd, part, OPEN_FOLDER, Mode::empty()) {
                Ok(fd) => fd,
                Err(error) => return Err(stopped(folder.fd, part, shown, error)),
            };
            folder = Self { fd, shown };
        }
        Ok(folder)
    }

    fn split<'a>(&self, path: &'a Path) -> io::Result<(&'a Path, &'a OsStr)> {
        self.check(path)?;
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok((parent, name)),
            _ => Err(self.at(path, &Unfit::Outside.into())),
        }
    }

    fn check(&self, path: &Path) -> io::Result<()> {
        if path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Ok(());
        }
        Err(self.at(path, &Unfit::Outside.into()))
    }

    /// `error`, with the path that it is about.
    fn at(&self, path: &Path, error: &io::Error) -> io::Error {
        let shown =
            if path.as_os_str().is_empty() { self.shown.clone() } else { self.shown.join(path) };
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Unfit>()) {
            Some(unfit) => refused(shown, *unfit),
            None => io::Error::new(error.kind(), format!("{}: {error}", shown.display())),
        }
    }
}

/// What stands where a folder was looked for.
fn stopped(above: impl AsFd, part: &OsStr, shown: PathBuf, error: Errno) -> io::Error {
    let found = statat(above, part, AtFlags::SYMLINK_NOFOLLOW);
    match found.map(|found| FileType::from_raw_mode(found.st_mode)) {
        Ok(FileType::Symlink) => refused(shown, Unfit::Link),
        Ok(kind) if kind != FileType::Directory => refused(shown, Unfit::NotAFolder),
        _ => named(&shown, error),
    }
}

fn refused(path: PathBuf, unfit: Unfit) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, Named { path, unfit })
}

fn named(path: &Path, error: Errno) -> io::Error {
    let error = io::Error::from(error);
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::untrusted::is_unfit;

    type Read = fn(&Folder, &Path, u64) -> io::Result<Vec<u8>>;

    fn bench() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("root/a/b")).unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        fs::write(dir.path().join("outside/file"), "secret").unwrap();
        fs::write(dir.path().join("root/a/b/file"), "ours").unwrap();
        let folder = Folder::root(&dir.path().join("root")).unwrap();
        (dir, folder)
    }

    #[test]
    fn a_file_beneath_is_read_and_a_link_on_the_way_is_named() {
        let (dir, folder) = bench();
        symlink("../../outside", dir.path().join("root/a/link")).unwrap();
        symlink("b/file", dir.path().join("root/a/file")).unwrap();
        let path = |path| Path::new(path);
        for read in [Folder::read as Read, Folder::read_by_walk as Read] {
            assert_eq!(read(&folder, path("a/b/file"), 4).unwrap(), b"ours");
            assert!(is_unfit(&read(&folder, path("a/b/file"), 3).unwrap_err()));
            for (link, part) in [("a/link/file", "root/a/link is a link"), ("a/file", "a/file is")]
            {
                let error = read(&folder, path(link), 100).unwrap_err();
                assert!(is_unfit(&error) && error.to_string().contains(part), "{error}");
            }
            for outside in ["../outside/file", "/etc/passwd", "a/../../outside/file"] {
                assert!(is_unfit(&read(&folder, path(outside), 10_000).unwrap_err()));
            }
            let missing = read(&folder, path("a/none/file"), 4).unwrap_err();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn folders_are_made_beneath_and_never_through_a_link() {
        let (dir, folder) = bench();
        symlink("../outside", dir.path().join("root/specs")).unwrap();
        fs::write(dir.path().join("root/plain"), "").unwrap();
        assert!(folder.made(Path::new("a/new/deep")).is_ok());
        assert!(dir.path().join("root/a/new/deep").is_dir());
        let error = folder.made(Path::new("specs/x")).unwrap_err();
        assert!(is_unfit(&error) && error.to_string().contains("root/specs is a link"), "{error}");
        let error = folder.made(Path::new("plain/x")).unwrap_err();
        assert!(is_unfit(&error) && error.to_string().contains("not a folder"), "{error}");
        assert!(!dir.path().join("outside/x").exists());
    }

    #[test]
    fn a_file_is_written_whole_and_a_link_in_its_place_is_replaced() {
        let (dir, folder) = bench();
        symlink("../../../outside/file", dir.path().join("root/a/b/link")).unwrap();
        let inner = folder.folder(Path::new("a/b")).unwrap();
        for name in ["file", "link", "fresh"] {
            inner.write_whole(OsStr::new(name), b"new", ".tmp").unwrap();
            assert_eq!(folder.read(&Path::new("a/b").join(name), 3).unwrap(), b"new");
        }
        assert_eq!(fs::read(dir.path().join("outside/file")).unwrap(), b"secret");
        assert_eq!(inner.names(3).unwrap(), ["file", "fresh", "link"]);
        assert!(is_unfit(&inner.names(2).unwrap_err()));
        assert!(inner.create(OsStr::new("fresh"), b"").is_err());
        inner.remove(OsStr::new("fresh")).unwrap();
        inner.create(OsStr::new("fresh"), b"mine").unwrap();
        inner.remove(OsStr::new("fresh")).unwrap();
        assert_eq!(inner.kind(OsStr::new("fresh")).unwrap(), None);
    }
}
