//! Named pipes, sockets and devices beside the files of a snapshot: they are left out and named.
//! One in the place of a file that git reads by its name would have git wait for ever, so that is
//! an error before git is called.

use std::collections::HashSet;
use std::fs::{self, FileType};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::SnapshotError;

const READ_BY_GIT: [&str; 2] = [".gitattributes", ".gitignore"];

/// Looks through folders, each once.
pub(super) struct Special<'a> {
    root: &'a Path,
    seen: HashSet<PathBuf>,
    /// Relative paths.
    pub found: Vec<PathBuf>,
}

impl<'a> Special<'a> {
    /// Begins with `root` itself.
    pub(super) fn beneath(root: &'a Path) -> Result<Self, SnapshotError> {
        let mut special = Self { root, seen: HashSet::new(), found: Vec::new() };
        special.look(Path::new(""))?;
        Ok(special)
    }

    /// Looks at what lies beside `path`, and beside the folders that lead to it.
    pub(super) fn around(&mut self, path: &Path) -> Result<(), SnapshotError> {
        for folder in path.ancestors().skip(1) {
            if self.seen.contains(folder) {
                break;
            }
            self.look(folder)?;
        }
        Ok(())
    }

    fn look(&mut self, folder: &Path) -> Result<(), SnapshotError> {
        self.seen.insert(folder.to_owned());
        // One that cannot be read holds no file of the snapshot either.
        for entry in fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten() {
            let Some(kind) = entry.file_type().ok().and_then(special) else { continue };
            if READ_BY_GIT.iter().any(|name| entry.file_name() == *name) {
                return Err(SnapshotError::Special { path: entry.path(), kind });
            }
            self.found.push(folder.join(entry.file_name()));
        }
        Ok(())
    }
}

/// What it is, if it is neither a file nor a folder nor a link.
fn special(kind: FileType) -> Option<&'static str> {
    if kind.is_fifo() {
        Some("a named pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else if kind.is_char_device() || kind.is_block_device() {
        Some("a device")
    } else {
        None
    }
}
