//! The private repository is what Specline made it: before git is called on it, whatever else was
//! put into it that git would obey is taken out. It holds objects and refs, nothing that tells git
//! what to do.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use super::SnapshotError;
use crate::sandbox::files::remove_tree;
use crate::untrusted::Folder;

/// The very bytes of its settings; all else is given with each call.
const CONFIG: &[u8] = b"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";

/// What git obeys when it is there, and Specline never puts there.
const NEVER_OURS: [&str; 6] =
    ["commondir", "gitdir", "config.worktree", "hooks", "info/attributes", "info/grafts"];

/// Puts `git_dir` right.
pub(super) fn pin(git_dir: &Path) -> Result<(), SnapshotError> {
    let failed = |e| SnapshotError::io("put right", git_dir, e);
    let folder = Folder::root(git_dir).map_err(failed)?;
    let config = Path::new("config");
    if folder.read(config, CONFIG.len() as u64).ok().as_deref() != Some(CONFIG) {
        tracing::warn!(path = %git_dir.display(), "its git settings were not Specline's; put right");
        folder.write_whole(config.as_os_str(), CONFIG, ".tmp").map_err(failed)?;
    }
    for name in NEVER_OURS {
        let path = git_dir.join(name);
        if path.symlink_metadata().is_ok() {
            tracing::warn!(path = %path.display(), "not Specline's; removed");
            remove(&path).map_err(|e| SnapshotError::io("remove", &path, e))?;
        }
    }
    Ok(())
}

/// Writes the settings of a repository that was made just now.
pub(super) fn settle(git_dir: &Path) -> Result<(), SnapshotError> {
    let folder = Folder::root(git_dir);
    let written = folder.and_then(|f| f.write_whole(OsStr::new("config"), CONFIG, ".tmp"));
    written.map_err(|e| SnapshotError::io("settle", git_dir, e))
}

fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        return remove_tree(path);
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
