//! One file, read only if it is a regular one and no larger than asked for.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

/// Why a file that is there is not read or written. It stands inside an `io::Error` of the kind
/// `InvalidInput`; [`is_unfit`] finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("is a link, and links are not followed here: put the real file or folder in its place")]
    Link,
    #[error("is {0}, not a file: remove it")]
    NotAFile(&'static str),
    #[error("is not a folder: move it away")]
    NotAFolder,
    #[error("is larger than the {0} bytes that are read of it")]
    TooLarge(u64),
    #[error("holds more than {0} entries")]
    TooMany(usize),
    #[error("leads out of its folder")]
    Outside,
}

impl From<Unfit> for io::Error {
    fn from(unfit: Unfit) -> Self {
        Self::new(io::ErrorKind::InvalidInput, unfit)
    }
}

/// Whether what is there is refused for what it is; trying again does not help.
#[must_use]
pub fn is_unfit(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Unfit>() || inner.is::<super::folder::Named>())
}

/// The bytes of the regular file at `path`, whose last part is no link. It is an error when it has
/// more than `max_bytes`. It never waits for a pipe, and reads no device.
pub fn read_regular(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    read_at(CWD, path, max_bytes)
}

/// The same as text.
pub fn read_text(path: &Path, max_bytes: u64) -> io::Result<String> {
    let bytes = read_regular(path, max_bytes)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "is no UTF-8"))
}

/// The regular file at `path`, open for reading, and how many bytes it has now.
pub fn open_regular(path: &Path) -> io::Result<(File, u64)> {
    open_at(CWD, path)
}

pub(super) fn read_at(folder: impl AsFd, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let (file, size) = open_at(folder, path)?;
    read_bounded(&file, size, max_bytes)
}

/// It may grow, or have no size at all, as files of /proc do: what counts is what is read.
pub(super) fn read_bounded(mut file: &File, size: u64, max_bytes: u64) -> io::Result<Vec<u8>> {
    if size > max_bytes {
        return Err(Unfit::TooLarge(max_bytes).into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    file.by_ref().take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(Unfit::TooLarge(max_bytes).into());
    }
    Ok(bytes)
}

fn open_at(folder: impl AsFd, path: &Path) -> io::Result<(File, u64)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat(&folder, path, flags | OFlags::NOCTTY, Mode::empty()) {
        Ok(fd) => regular(fd),
        Err(error) => Err(refusal(folder, path, error)),
    }
}

/// The open file, if it is a regular one.
pub(super) fn regular(fd: OwnedFd) -> io::Result<(File, u64)> {
    let found = fstat(&fd)?;
    if let Some(unfit) = unfit(FileType::from_raw_mode(found.st_mode)) {
        return Err(unfit.into());
    }
    Ok((File::from(fd), u64::try_from(found.st_size).unwrap_or_default()))
}

/// What an `open` that failed has met: a link and a socket have errors of their own.
fn refusal(folder: impl AsFd, path: &Path, error: Errno) -> io::Error {
    if error == Errno::LOOP || error == Errno::NXIO {
        let found = statat(folder, path, AtFlags::SYMLINK_NOFOLLOW);
        let kind = found.map(|found| FileType::from_raw_mode(found.st_mode));
        if let Some(unfit) = kind.ok().and_then(unfit) {
            return unfit.into();
        }
    }
    error.into()
}

pub(super) fn unfit(kind: FileType) -> Option<Unfit> {
    match kind {
        FileType::RegularFile => None,
        FileType::Symlink => Some(Unfit::Link),
        FileType::Directory => Some(Unfit::NotAFile("a folder")),
        FileType::Fifo => Some(Unfit::NotAFile("a named pipe")),
        FileType::Socket => Some(Unfit::NotAFile("a socket")),
        FileType::CharacterDevice | FileType::BlockDevice => Some(Unfit::NotAFile("a device")),
        FileType::Unknown => Some(Unfit::NotAFile("of no known kind")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::mknodat;

    use super::*;

    fn said(path: &Path) -> String {
        let error = read_regular(path, 10).unwrap_err();
        assert!(is_unfit(&error), "{error}");
        error.to_string()
    }

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "0123456789").unwrap();
        assert_eq!(read_regular(&path, 10).unwrap(), b"0123456789");
        fs::write(&path, "0123456789a").unwrap();
        assert!(said(&path).contains("larger than the 10 bytes"));
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(said(&path).contains("larger than the 10 bytes"));
        let missing = read_regular(&dir.path().join("none"), 10).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(!is_unfit(&missing));
    }

    #[test]
    fn what_has_no_size_is_bounded_by_what_is_read() {
        assert!(said(Path::new("/proc/self/status")).contains("larger than the 10 bytes"));
    }

    #[test]
    fn links_pipes_sockets_devices_and_folders_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        symlink("/dev/zero", at("link")).unwrap();
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        assert!(said(&at("link")).contains("is a link"));
        assert!(said(&at("pipe")).contains("is a named pipe"));
        assert!(said(&at("socket")).contains("is a socket"));
        assert!(said(dir.path()).contains("is a folder"));
        assert!(said(Path::new("/dev/zero")).contains("is a device"));
    }
}
