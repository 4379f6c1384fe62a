//! The outbox of a sandbox, from outside: finished outputs go from a dead sandbox to its successor,
//! and what is too much goes. Everything in it was written by somebody who is not trusted: no link
//! is followed, and the folder is held by a descriptor, so that it cannot be exchanged meanwhile.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Stat};

use crate::sandbox::files::{Held, private_folder, remove_tree};
use crate::sandbox::provider::Outbox;

/// Outputs of at most 16 MiB each, the last of every phase and then some.
const MAX_OUTBOX_BYTES: u64 = 128 * 1024 * 1024;

/// Entries that are looked at; a worker leaves one a phase.
const MAX_ENTRIES: usize = 1_024;

struct Entry {
    name: CString,
    stat: Stat,
}

impl Entry {
    fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    fn bytes(&self) -> u64 {
        u64::try_from(self.stat.st_size).unwrap_or(0)
    }
}

/// Makes sure that `folder` is a folder of ours; whatever else stands in its place goes.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    if folder.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()) {
        std::fs::remove_file(folder)?;
    }
    private_folder(folder)
}

/// Moves the regular files of `from` to `to`. Folders that are not there hold nothing.
pub(super) fn move_files(from: &Path, to: &Path) -> io::Result<()> {
    let Some(source) = Held::open(from)? else { return Ok(()) };
    let entries = entries(&source)?;
    if entries.is_empty() {
        return Ok(());
    }
    make(to)?;
    let Some(target) = Held::open(to)? else { return Ok(()) };
    for entry in entries.iter().filter(|entry| entry.kind() == FileType::RegularFile) {
        rustix::fs::renameat(&source, &*entry.name, &target, &*entry.name)?;
    }
    Ok(())
}

/// Keeps of `folder` the newest regular files within the bound, and nothing else.
pub(super) fn bound(folder: &Path, outbox: Outbox) -> io::Result<()> {
    match outbox {
        Outbox::Kept => keep(folder, MAX_OUTBOX_BYTES),
        Outbox::Dropped => keep(folder, 0),
    }
}

/// Whether regular files lie in `folder`.
pub(super) fn has_files(folder: &Path) -> bool {
    let Ok(Some(opened)) = Held::open(folder) else { return false };
    let entries = entries(&opened).unwrap_or_default();
    entries.iter().any(|entry| entry.kind() == FileType::RegularFile)
}

fn keep(folder: &Path, max_bytes: u64) -> io::Result<()> {
    if folder.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()) {
        return std::fs::remove_file(folder);
    }
    let Some(opened) = Held::open(folder)? else { return Ok(()) };
    let mut files = Vec::new();
    for entry in entries(&opened)? {
        let kind = entry.kind();
        if kind == FileType::RegularFile {
            files.push(entry);
        } else if kind == FileType::Directory {
            remove_tree(&opened.join(text(&entry)))?;
        } else {
            rustix::fs::unlinkat(&opened, &*entry.name, AtFlags::empty())?;
        }
    }
    files.sort_by_key(|entry| (entry.stat.st_mtime, entry.stat.st_mtime_nsec));
    let mut total: u64 = files.iter().map(Entry::bytes).sum();
    for entry in files {
        if total <= max_bytes && max_bytes > 0 {
            break;
        }
        rustix::fs::unlinkat(&opened, &*entry.name, AtFlags::empty())?;
        total -= entry.bytes();
    }
    Ok(())
}

fn text(entry: &Entry) -> &OsStr {
    OsStr::from_bytes(entry.name.as_bytes())
}

fn entries(folder: &Held) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(folder.as_fd())? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        entries.push(Entry { name: name.to_owned(), stat });
        if entries.len() >= MAX_ENTRIES {
            break;
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn an_outbox_keeps_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        for (name, age) in [("old", 20), ("new", 10)] {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            file.set_len(60).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        keep(dir.path(), 120).unwrap();
        assert!(dir.path().join("old").exists());
        keep(dir.path(), 100).unwrap();
        assert!(!dir.path().join("old").exists());
        assert!(dir.path().join("new").exists());
    }

    #[test]
    fn links_lead_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for folder in ["precious", "precious/inner", "outbox"] {
            fs::create_dir(path(folder)).unwrap();
        }
        fs::write(path("precious/inner/file"), "dear").unwrap();
        fs::write(path("precious/note"), "dear").unwrap();
        // The outbox itself is a link; and one in an outbox.
        symlink(path("precious"), path("link")).unwrap();
        symlink(path("precious/inner"), path("outbox/inner")).unwrap();
        symlink(path("precious/note"), path("outbox/note")).unwrap();
        move_files(&path("link"), &path("target")).unwrap();
        move_files(&path("outbox"), &path("target")).unwrap();
        keep(&path("outbox"), 0).unwrap();
        keep(&path("link"), 0).unwrap();
        assert!(path("precious/inner/file").exists() && path("precious/note").exists());
        assert!(!path("outbox/note").exists() && !path("target/note").exists());
        symlink(path("precious"), path("again")).unwrap();
        make(&path("again")).unwrap();
        assert!(path("again").symlink_metadata().unwrap().is_dir());
    }
}
