//! From a listing to a tree in the private repository, and from a commit to its manifest.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use specline_aggregates::{Manifest, manifest};
use uuid::Uuid;

use super::SnapshotError;
use super::git::Git;
use super::listing::{Listing, Trust};
use super::source::Source;

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

/// The id of the tree that holds what `listing` names.
pub(super) fn write(
    git_dir: &Path,
    source: &Source,
    listing: &Listing,
    scratch: &Scratch,
) -> Result<String, SnapshotError> {
    let index = scratch.0.join("index");
    if copy_index(source, listing, &index)? {
        let git = |what| Git::at(git_dir, what).env("GIT_INDEX_FILE", &index);
        match fill(git, &source.folder, listing, scratch) {
            Ok(tree) => return Ok(tree),
            // The copy is there for speed alone: an index that refers to what we cannot see
            // (a partial clone, an unknown extension) is left aside.
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
) -> Result<String, SnapshotError> {
    let call = |args: &[&str], paths: File| {
        git("read the files")
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
    git("write the tree").arg("write-tree").line()
}

/// Copies the user's index to `to`, so that unchanged files need not be read. `false` when there is
/// none that can be trusted.
fn copy_index(source: &Source, listing: &Listing, to: &Path) -> Result<bool, SnapshotError> {
    let Some(history) = &source.history else { return Ok(false) };
    let from = history.git_dir.join("index");
    if listing.index == Trust::None || is_split(&history.git_dir) || !from.exists() {
        return Ok(false);
    }
    let failed = |e| SnapshotError::io("copy", &from, e);
    let before = fs::metadata(&from).and_then(|metadata| metadata.modified()).map_err(failed)?;
    fs::copy(&from, to).map_err(failed)?;
    // A file changed right after the index was written is told by its time not being older than
    // the index's: the copy must not look newer.
    let file = File::options().write(true).open(to).map_err(failed)?;
    file.set_modified(before).map_err(failed)?;
    Ok(true)
}

fn is_split(git_dir: &Path) -> bool {
    fs::read_dir(git_dir).is_ok_and(|entries| {
        entries.flatten().any(|e| e.file_name().as_bytes().starts_with(b"sharedindex."))
    })
}

/// What `commit` holds.
pub(super) fn manifest(git_dir: &Path, commit: &str) -> Result<Manifest, SnapshotError> {
    let answer =
        Git::at(git_dir, "list the snapshot").args(["ls-tree", "-r", "-z", "-l", commit]).run()?;
    let records = answer.split(|b| *b == 0).filter(|record| !record.is_empty());
    Ok(Manifest::new(commit.to_owned(), records.filter_map(file).collect()))
}

/// `<mode> <type> <object> <size>\t<path>`, the size padded with spaces.
fn file(record: &[u8]) -> Option<manifest::File> {
    let record = String::from_utf8_lossy(record);
    let (facts, path) = record.split_once('\t')?;
    let mut facts = facts.split_ascii_whitespace().skip(1);
    if facts.next()? != "blob" {
        return None;
    }
    let oid = facts.next()?.to_owned();
    let bytes = facts.next()?.parse().ok()?;
    Some(manifest::File { path: path.to_owned(), bytes, oid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_ls_tree_is_read() {
        let read = file(b"100644 blob 0123abcd      42\ta b/c\td").unwrap();
        assert_eq!(
            (read.path.as_str(), read.bytes, read.oid.as_str()),
            ("a b/c\td", 42, "0123abcd")
        );
        assert_eq!(file(b"160000 commit 0123abcd       -\tsub"), None);
    }
}
