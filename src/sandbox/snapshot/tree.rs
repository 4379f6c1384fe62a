//! From a listing to a tree in the private repository, and from a commit to its manifest.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use specline_aggregates::manifest;
use uuid::Uuid;

use super::SnapshotError;
use super::listing::{Listing, Trust};
use super::source::Source;
use crate::git::{Git, GitError};
use crate::untrusted::open_regular;

/// A larger index is not copied: the files are read anew. Two million files fit.
const MAX_INDEX_BYTES: u64 = 256 * 1024 * 1024;

/// A folder for the files of one call, gone when the call ends.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(parent: &Path) -> Result<Self, SnapshotError> {
        let path = parent.join(Uuid::now_v7().to_string());
        fs::create_dir(&path).map_err(|e| SnapshotError::io("make", &path, e))?;
        Ok(Self(path))
    }

    fn write_paths(&self, name: &str, paths: &[PathBuf]) -> Result<File, SnapshotError> {
        let path = self.0.join(name);
        let failed = |e| SnapshotError::io("write", &path, e);
        let mut text = Vec::new();
        for path in paths {
            text.extend(path.as_os_str().as_bytes());
            text.push(0);
        }
        let mut file = File::create(&path).map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        File::open(&path).map_err(failed)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::debug!(path = %self.0.display(), %error, "left a scratch folder behind");
        }
    }
}

/// A tree that was written, and all that it holds.
pub(super) struct Written {
    pub tree: String,
    pub files: Vec<manifest::File>,
}

/// Writes the tree that holds what `listing` names.
pub(super) fn write(
    git_dir: &Path,
    source: &Source,
    listing: &Listing,
    scratch: &Scratch,
) -> Result<Written, SnapshotError> {
    let index = scratch.0.join("index");
    if copy_index(source, listing, &index)? {
        let git = |what| Git::at(git_dir, what).env("GIT_INDEX_FILE", &index);
        match fill(git, &source.folder, listing, scratch) {
            Ok(tree) => return Ok(tree),
            // The copy is there for speed alone: an index that refers to what we cannot see
            // (a partial clone, an unknown extension) is left aside.
            Err(SnapshotError::Git(
                error @ (GitError::Stuck { .. } | GitError::TimedOut { .. }),
            )) => {
                return Err(error.into());
            }
            Err(error) => tracing::debug!(%error, "reading every file of the snapshot anew"),
        }
    }
    let fresh = scratch.0.join("fresh-index");
    let git = |what| Git::at(git_dir, what).env("GIT_INDEX_FILE", &fresh);
    fill(git, &source.folder, listing, scratch)
}

fn fill(
    git: impl Fn(&'static str) -> Git,
    folder: &Path,
    listing: &Listing,
    scratch: &Scratch,
) -> Result<Written, SnapshotError> {
    let call = |args: &[&str], paths: File| {
        git("read the files")
            .reads(folder)
            .arg("-C")
            .arg(folder)
            .option("--work-tree", folder)
            .arg("update-index")
            .args(args)
            .args(["-z", "--stdin"])
            .stdin(paths)
            .run()
    };
    call(&["--force-remove"], scratch.write_paths("absent", &listing.absent)?)?;
    let present = scratch.write_paths("present", &listing.present)?;
    call(&["--add", "--remove", "--replace"], present)?;
    let tree = git("write the tree").arg("write-tree").line()?;
    // What the index says of objects is believed when the tree is written; here they are looked up.
    let answer = git("list the snapshot").args(["ls-tree", "-r", "-z", "-l", &tree]).run()?;
    let records = answer.split(|b| *b == 0).filter(|record| !record.is_empty());
    let files = records.filter_map(|record| file(record).transpose());
    Ok(Written { tree, files: files.collect::<Result<_, _>>()? })
}

/// Copies the user's index to `to`, so that unchanged files need not be read. `false` when there is
/// none that can be trusted.
fn copy_index(source: &Source, listing: &Listing, to: &Path) -> Result<bool, SnapshotError> {
    let Some(history) = &source.history else { return Ok(false) };
    let from = history.git_dir.join("index");
    if listing.index == Trust::None || is_split(&history.git_dir) {
        return Ok(false);
    }
    let Ok((file, size)) = open_regular(&from) else { return Ok(false) };
    if size > MAX_INDEX_BYTES {
        return Ok(false);
    }
    let failed = |e| SnapshotError::io("copy", &from, e);
    let before = file.metadata().and_then(|metadata| metadata.modified()).map_err(failed)?;
    let mut copy = File::create_new(to).map_err(failed)?;
    io::copy(&mut file.take(MAX_INDEX_BYTES), &mut copy).map_err(failed)?;
    // A file changed right after the index was written is told by its time not being older than
    // the index's: the copy must not look newer.
    copy.set_modified(before).map_err(failed)?;
    Ok(true)
}

fn is_split(git_dir: &Path) -> bool {
    fs::read_dir(git_dir).is_ok_and(|entries| {
        entries.flatten().any(|e| e.file_name().as_bytes().starts_with(b"sharedindex."))
    })
}

/// `<mode> <type> <object> <size>\t<path>`, the size padded with spaces.
fn file(record: &[u8]) -> Result<Option<manifest::File>, SnapshotError> {
    let record = String::from_utf8_lossy(record);
    let unread = || GitError::Failed {
        what: "list the snapshot",
        message: format!("an object is missing: {record}"),
    };
    let (facts, path) = record.split_once('\t').ok_or_else(unread)?;
    let [_, kind, oid, bytes] = facts.split_ascii_whitespace().collect::<Vec<_>>()[..] else {
        return Err(unread().into());
    };
    if kind != "blob" {
        return Ok(None);
    }
    let bytes = bytes.parse().map_err(|_| unread())?;
    Ok(Some(manifest::File { path: path.to_owned(), bytes, oid: oid.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_ls_tree_is_read() {
        let read = file(b"100644 blob 0123abcd      42\ta b/c\td").unwrap().unwrap();
        assert_eq!(
            (read.path.as_str(), read.bytes, read.oid.as_str()),
            ("a b/c\td", 42, "0123abcd")
        );
        assert_eq!(file(b"160000 commit 0123abcd       -\tsub").unwrap(), None);
        assert!(file(b"100644 blob 0123abcd     BAD\tlost").is_err());
    }
}
