//! What can hold git up for ever in a folder: a named pipe or a device in the place of a file that
//! git reads by its name. Only asked when a call takes long.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::untrusted::read_text;

/// Files of a working tree that git reads for itself.
const READ_BY_NAME: [&str; 4] = [".gitignore", ".gitattributes", ".gitmodules", ".mailmap"];

/// Entries looked at, at most: the look must end before the call's limit does.
const MAX_ENTRIES: usize = 500_000;

/// The first thing that git would wait for, in `folder` or in its git folder.
pub(super) fn culprit(folder: &Path) -> Option<PathBuf> {
    let mut left = MAX_ENTRIES;
    let is_read = |path: &Path| {
        path.file_name().is_some_and(|name| READ_BY_NAME.iter().any(|known| name == *known))
    };
    let all = |_: &Path| true;
    git_dirs(folder)
        .iter()
        .find_map(|git_dir| search(git_dir, &all, &mut left))
        .or_else(|| search(folder, &is_read, &mut left))
}

/// Where the repository's own files lie: `.git` here or above, or where such a file leads.
fn git_dirs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for above in folder.ancestors() {
        let git = above.join(".git");
        if git.is_dir() {
            found.push(git);
        } else if let Ok(text) = read_text(&git, 4096) {
            let path = text.trim().strip_prefix("gitdir:").unwrap_or_default().trim();
            found.push(above.join(path));
        } else {
            continue;
        }
        break;
    }
    found
}

fn search(root: &Path, asked: &dyn Fn(&Path) -> bool, left: &mut usize) -> Option<PathBuf> {
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            *left = left.checked_sub(1)?;
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            if kind.is_dir() {
                open.push(path);
            } else if !kind.is_file() && asked(&path) && holds_up(&path) {
                return Some(path);
            }
        }
    }
    None
}

/// Also at the end of a link: git follows some.
fn holds_up(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| {
        let kind = found.file_type();
        kind.is_fifo() || kind.is_char_device() || kind.is_block_device()
    })
}
