//! Which paths of a folder belong into its snapshot.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::source::{Files, Source};
use super::special::Special;
use super::{MAX_TRACKED_BYTES, MAX_UNTRACKED_BYTES, Reason, Skipped, SnapshotError};
use crate::git::Git;
use crate::untrusted::{open_regular, read_regular};

/// A larger attributes file is taken for one that names filters.
const MAX_ATTRIBUTES_BYTES: u64 = 1024 * 1024;

/// Relative paths, in bytes order.
#[derive(Default)]
pub(super) struct Listing {
    /// Files and links that are there.
    pub present: Vec<PathBuf>,
    /// What the index names and the snapshot must not have.
    pub absent: Vec<PathBuf>,
    pub skipped: Vec<Skipped>,
    /// How far a copy of the user's index can be built upon.
    pub index: Trust,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Trust {
    /// What it says of a file whose time and size have not changed is so.
    Full,
    /// It holds bits or filtered content that differ from what lies in the folder.
    #[default]
    None,
}

struct Tracked {
    path: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Submodule,
}

pub(super) fn list(source: &Source, private: &Path) -> Result<Listing, SnapshotError> {
    let mut listing = Listing::default();
    let mut special = Special::beneath(&source.folder)?;
    if source.files == Files::OfRepository {
        let (tracked, trust) = tracked(&source.folder)?;
        listing.index = trust;
        listing.add_tracked(&source.folder, tracked);
        listing.present.iter().try_for_each(|path| special.around(path))?;
    }
    let n_tracked = listing.present.len();
    for path in untracked(source, private)? {
        listing.add_untracked(&source.folder, path);
    }
    listing.present[n_tracked..].iter().try_for_each(|path| special.around(path))?;
    for path in special.found {
        listing.skip(&path, Reason::Special);
    }
    Ok(listing)
}

impl Listing {
    fn add_tracked(&mut self, folder: &Path, tracked: Vec<Tracked>) {
        let mut links = Links::new(folder);
        for Tracked { path, kind } in tracked {
            if is_ours(&path) {
                self.absent.push(path);
            } else if kind == Kind::Submodule {
                self.skip(&path, Reason::NestedRepository);
                self.absent.push(path);
            } else if is_endless(&folder.join(&path)) {
                self.skip(&path, Reason::TooBig);
                self.absent.push(path);
            } else if is_leaf(&folder.join(&path)) && !links.leads_through_link(&path) {
                self.present.push(path);
            } else {
                self.absent.push(path);
            }
        }
        if self.present.iter().any(|path| filters(&folder.join(path))) {
            self.index = Trust::None;
        }
    }

    fn add_untracked(&mut self, folder: &Path, path: PathBuf) {
        if is_ours(&path) {
            return;
        }
        if path.as_os_str().as_bytes().ends_with(b"/") {
            return self.skip(&path, Reason::NestedRepository);
        }
        let full = folder.join(&path);
        let Ok(metadata) = fs::symlink_metadata(&full) else { return };
        if metadata.is_file() && metadata.len() > MAX_UNTRACKED_BYTES {
            self.skip(&path, Reason::TooBig);
        } else if metadata.is_symlink() {
            self.present.push(path);
        } else if open_regular(&full).is_err() {
            self.skip(&path, Reason::Unreadable);
        } else {
            self.present.push(path);
        }
    }

    fn skip(&mut self, path: &Path, reason: Reason) {
        let path = path.to_string_lossy().trim_end_matches('/').to_owned();
        self.skipped.push(Skipped { path, reason });
    }
}

/// What the index names, each path once, and whether its bits can be believed.
fn tracked(folder: &Path) -> Result<(Vec<Tracked>, Trust), SnapshotError> {
    let answer =
        Git::reading(folder, "list the files").args(["ls-files", "-z", "-s", "-v"]).run()?;
    let mut seen = BTreeSet::new();
    let mut trust = Trust::Full;
    let mut tracked = Vec::new();
    for record in answer.split(|b| *b == 0).filter(|record| !record.is_empty()) {
        // "<tag> <mode> <object> <stage>\t<path>"; `S` is skip-worktree, a small letter is
        // assume-unchanged: both hide what lies in the folder.
        let Some(tab) = record.iter().position(|b| *b == b'\t') else { continue };
        let (facts, path) = (&record[..tab], &record[tab + 1..]);
        if facts.starts_with(b"S") || facts.first().is_some_and(u8::is_ascii_lowercase) {
            trust = Trust::None;
        }
        let is_link = facts.get(2..).is_some_and(|mode| mode.starts_with(b"160000"));
        let kind = if is_link { Kind::Submodule } else { Kind::File };
        let path = PathBuf::from(OsStr::from_bytes(path));
        if seen.insert(path.clone()) {
            tracked.push(Tracked { path, kind });
        }
    }
    Ok((tracked, trust))
}

fn untracked(source: &Source, private: &Path) -> Result<Vec<PathBuf>, SnapshotError> {
    let what = "list the files";
    let git = match source.files {
        Files::OfRepository => Git::reading(&source.folder, what),
        // No such index: every file counts as untracked. The user's own ignore rules hold.
        Files::OfFolder => Git::reading(&source.folder, what)
            .env("GIT_INDEX_FILE", private.join("no-index"))
            .option("--git-dir", private)
            .option("--work-tree", &source.folder),
    };
    let answer = git.args(["ls-files", "-z", "--others", "--exclude-standard"]).run()?;
    let paths = answer.split(|b| *b == 0).filter(|path| !path.is_empty());
    Ok(paths.map(|path| PathBuf::from(OsStr::from_bytes(path))).collect())
}

/// Specline's own folder is never part of a snapshot.
fn is_ours(path: &Path) -> bool {
    path.starts_with(".specline")
}

fn is_endless(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() > MAX_TRACKED_BYTES)
}

/// Whether there is a file or a link.
fn is_leaf(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file() || metadata.is_symlink())
}

/// Whether `path` is an attributes file that sends content through a filter: the index then holds
/// what the filter made, not what lies in the folder.
fn filters(path: &Path) -> bool {
    path.file_name() == Some(OsStr::new(".gitattributes"))
        && read_regular(path, MAX_ATTRIBUTES_BYTES)
            .map_or(true, |text| text.windows(7).any(|part| part == b"filter="))
}

/// Remembers which folders are links: a tracked path below one is not a file of this tree.
struct Links<'a> {
    folder: &'a Path,
    known: HashMap<PathBuf, Through>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Through {
    Link,
    Folders,
}

impl<'a> Links<'a> {
    fn new(folder: &'a Path) -> Self {
        Self { folder, known: HashMap::new() }
    }

    fn leads_through_link(&mut self, path: &Path) -> bool {
        path.parent().is_some_and(|parent| self.look(parent) == Through::Link)
    }

    fn look(&mut self, parent: &Path) -> Through {
        if parent.as_os_str().is_empty() {
            return Through::Folders;
        }
        if let Some(known) = self.known.get(parent) {
            return *known;
        }
        let above = parent.parent().map_or(Through::Folders, |above| self.look(above));
        let is_link = fs::symlink_metadata(self.folder.join(parent)).is_ok_and(|m| m.is_symlink());
        let through = if is_link { Through::Link } else { above };
        self.known.insert(parent.to_owned(), through);
        through
    }
}
