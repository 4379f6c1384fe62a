//! Borrowing: the private repository reads the user's objects where they lie.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::source::Source;
use super::{SnapshotError, Snapshots};
use crate::sandbox::files::{Lock, write_whole};
use crate::untrusted::read_regular;

/// Lists of commits and of folders; a longer one is nobody's.
const MAX_LIST_BYTES: u64 = 16 * 1024 * 1024;

impl Snapshots {
    /// Lets the private repository see the objects of `source`, and where its history was cut when
    /// it is a shallow clone.
    pub(super) fn borrow_history(&self, source: &Source) -> Result<(), SnapshotError> {
        let Some(history) = &source.history else { return Ok(()) };
        let path = self.scratch.join("lock");
        let _lock = Lock::wait(&path).map_err(|e| SnapshotError::io("lock", &path, e))?;
        let objects = history.common_dir.join("objects");
        let objects = objects.canonicalize().map_err(|e| SnapshotError::io("find", &objects, e))?;
        add_lines(&self.git_dir.join("objects/info/alternates"), &entry(&objects))?;
        let shallow = history.common_dir.join("shallow");
        let cuts = read_list(&shallow).map_err(|e| SnapshotError::io("read", &shallow, e))?;
        if cuts.is_empty() {
            return Ok(());
        }
        add_lines(&self.git_dir.join("shallow"), &cuts)
    }
}

/// The line of an alternates file that names `objects`, with its newline.
pub(super) fn entry(objects: &Path) -> Vec<u8> {
    let mut line = vec![b'"'];
    for byte in objects.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => line.extend([b'\\', *byte]),
            b'\n' => line.extend(*b"\\n"),
            _ => line.push(*byte),
        }
    }
    line.extend(*b"\"\n");
    line
}

/// One that is not there is empty.
pub(super) fn read_list(path: &Path) -> io::Result<Vec<u8>> {
    match read_regular(path, MAX_LIST_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// Adds those lines of `lines` that the file at `path` does not have yet.
fn add_lines(path: &Path, lines: &[u8]) -> Result<(), SnapshotError> {
    let present = read_list(path).map_err(|e| SnapshotError::io("read", path, e))?;
    let has = |line: &[u8]| present.split(|b| *b == b'\n').any(|old| old == line);
    let mut all = present.clone();
    for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        if !has(line) {
            all.extend(line);
            all.push(b'\n');
        }
    }
    if all == present {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|e| SnapshotError::io("make", parent, e))?;
    }
    write_whole(path, &all).map_err(|e| SnapshotError::io("write", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_quoted_as_git_reads_it() {
        assert_eq!(entry(Path::new("/a b/\"c\"\n\\")), b"\"/a b/\\\"c\\\"\\n\\\\\"\n");
    }

    #[test]
    fn a_line_is_added_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("info/file");
        add_lines(&path, b"one\n").unwrap();
        add_lines(&path, b"two\none\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
    }
}
