//! Files and folders that are their owner's alone: made so whatever the umask, and mended where an
//! earlier version left them open. It never opens a file that is there: to close any handle of a
//! file gives up this process's locks on it, which SQLite relies on.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What group and others may do.
const OTHERS: u32 = 0o077;

/// How a private file is opened where it has to be made. A link in its place is not followed.
#[must_use]
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Makes an empty file, unless there is something of that name: SQLite gives the files that it
/// makes beside it the same mode.
pub fn create(path: &Path) -> io::Result<()> {
    match options().create_new(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes a file that is not there yet.
pub fn write_new(path: &Path, text: &str) -> io::Result<()> {
    io::Write::write_all(&mut options().create_new(true).open(path)?, text.as_bytes())
}

/// Makes a folder, and those above it that are missing.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Takes what group and others may do away, where this user owns it and it is no link.
pub fn mend(path: &Path) {
    let Ok(about) = fs::symlink_metadata(path) else { return };
    let ours = about.uid() == rustix::process::geteuid().as_raw();
    if !ours || about.is_symlink() || about.mode() & OTHERS == 0 {
        return;
    }
    let mode = about.mode() & 0o7700;
    match fs::set_permissions(path, fs::Permissions::from_mode(mode)) {
        Ok(()) => tracing::info!(path = %path.display(), "others could read it; they cannot now"),
        Err(error) => {
            let path = path.display();
            tracing::warn!(%path, cause = %error, "others can read it, and it cannot be mended");
        }
    }
}

/// Mends a log's file and everything beside it that has its name in front: its write-ahead log, its
/// lock, its index, and what a restore put aside.
pub fn mend_family(file: &Path) {
    let real = file.canonicalize();
    let file = real.as_deref().unwrap_or(file);
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return };
    let name = name.as_encoded_bytes();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let other = entry.file_name();
        let rest = other.as_encoded_bytes().strip_prefix(name);
        let is_family = rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'-' | b'.')));
        if is_family && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            mend(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_family_is_mended_and_neighbours_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let names = ["log.db", "log.db-wal", "log.db.replaced-1", "log.dbx", "other"];
        for name in names {
            fs::write(path(name), "").unwrap();
            fs::set_permissions(path(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
        mend_family(&path("log.db"));
        let modes: Vec<u32> = names.iter().map(|name| mode(&path(name))).collect();
        assert_eq!(modes, [0o600, 0o600, 0o600, 0o644, 0o644]);
    }

    #[test]
    fn links_are_neither_followed_nor_mended() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        mend(&link);
        assert_eq!(mode(&target), 0o644);
        assert!(options().open(&link).is_err());
        create(&link).unwrap();
        assert!(write_new(&link, "x").is_err());
    }
}
