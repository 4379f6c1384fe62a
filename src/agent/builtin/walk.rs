//! Reads the files of a repository, within bounds: what git would ignore is left out, binaries and
//! huge files are listed but not read.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::BuiltinError;
use super::ignored::Ignored;
use super::language::{self, Family, Role};
use crate::untrusted::Folder;

/// Files listed at most.
pub(super) const MAX_FILES: usize = 20_000;
/// Entries of folders looked at, at most, ignored ones included.
pub(super) const MAX_ENTRIES: usize = 500_000;
/// Folders in folders that are looked into.
const MAX_DEPTH: usize = 64;
/// Bytes read at most, in all.
pub(super) const MAX_TOTAL_BYTES: u64 = 40 * 1024 * 1024;
/// A larger file is listed and not read.
pub(super) const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// One file of the repository.
#[derive(Debug)]
pub(super) struct File {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) language: &'static str,
    pub(super) family: Family,
    pub(super) role: Role,
    /// Its content, where it was read and is text.
    pub(super) text: Option<String>,
}

impl File {
    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// The content without the unit tests that a Rust file ends with.
    pub(super) fn code(&self) -> &str {
        let text = self.text();
        let is_rust_source = self.family == Family::Rust && self.role == Role::Source;
        let tests = text.find("\n#[cfg(test)]\nmod ").filter(|_| is_rust_source);
        &text[..tests.unwrap_or(text.len())]
    }

    pub(super) fn is_source(&self) -> bool {
        self.role == Role::Source
    }
}

/// What was read, sorted by path.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) files: Vec<File>,
    /// Which bounds were hit, in words; empty when everything was read.
    pub(super) bounds_hit: Vec<String>,
}

/// Lists and reads the files below `root`.
pub(super) fn read(root: &Path) -> Result<Listing, BuiltinError> {
    let unread = |source| BuiltinError::Workdir { path: root.to_owned(), source };
    let folder = Folder::root(root).map_err(unread)?;
    let mut bounds_hit = Vec::new();
    let mut files = list(&folder, &mut bounds_hit);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    read_texts(&folder, &mut files, &mut bounds_hit);
    Ok(Listing { files, bounds_hit })
}

/// Ignore rules of parents and of the machine are left out: a sandbox's folder may lie in an
/// ignored one, and the result must not depend on the user's settings.
fn list(root: &Folder, bounds_hit: &mut Vec<String>) -> Vec<File> {
    let mut files = Vec::new();
    let mut ignored = Ignored::default();
    let mut n_left = MAX_ENTRIES;
    let mut open = vec![(PathBuf::new(), FileType::Directory)];
    // The entries of a folder lie on top of what comes after it, the first uppermost.
    while let Some((path, kind)) = open.pop() {
        if kind != FileType::Directory {
            if files.len() == MAX_FILES {
                bounds_hit.push(format!("only the first {MAX_FILES} files were listed"));
                break;
            }
            files.extend(listed(root, &path));
            continue;
        }
        let is_deep = path.components().count() > MAX_DEPTH;
        let Some(folder) = root.folder(&path).ok().filter(|_| !is_deep) else { continue };
        let Ok(names) = folder.names(n_left) else {
            bounds_hit.push(format!("only the first {MAX_ENTRIES} entries were looked at"));
            break;
        };
        n_left -= names.len();
        ignored.enter(root, &path);
        for name in names.iter().rev() {
            let Ok(Some(kind)) = folder.kind(name) else { continue };
            let is_folder = kind == FileType::Directory;
            let entry = path.join(name);
            let is_wanted =
                kind == FileType::RegularFile || (is_folder && is_wanted(&folder, name));
            if is_wanted && !ignored.holds(&entry, is_folder) {
                open.push((entry, kind));
            }
        }
    }
    files
}

/// Whether the folder `name` may hold what people write.
fn is_wanted(parent: &Folder, name: &OsStr) -> bool {
    let never = [".git", ".hg", ".svn", ".specline", "node_modules", "__pycache__", ".venv"];
    let has = |file: &str| parent.kind(OsStr::new(file)).is_ok_and(|kind| kind.is_some());
    let is_built = name == "target" && (has("Cargo.toml") || has("pom.xml"));
    !never.iter().any(|never| name == *never) && !is_built
}

fn listed(root: &Folder, relative: &Path) -> Option<File> {
    let parts: Option<Vec<&str>> = relative.iter().map(|part| part.to_str()).collect();
    let path = parts?.join("/");
    if is_own_export(&path) {
        return None;
    }
    let bytes = root.size(relative).unwrap_or(0);
    let (language, family) = language::of(&path);
    let role = language::role(&path);
    Some(File { path, bytes, language, family, role, text: None })
}

/// Specs that Specline wrote earlier speak of every feature, and would rank first for each.
fn is_own_export(path: &str) -> bool {
    let names = ["requirements.md", "design.md", "tasks.md", "trace.json"];
    path.starts_with("specs/") && names.contains(&language::file_name(path))
}

/// Source is read first, so that a bound that is hit cuts what matters least.
fn read_texts(root: &Folder, files: &mut [File], bounds_hit: &mut Vec<String>) {
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|i| (files[*i].role, files[*i].path.matches('/').count(), *i));
    let mut total = 0_u64;
    let mut n_unread = 0_usize;
    let mut n_huge = 0_usize;
    for index in order {
        let file = &mut files[index];
        if file.role == Role::Passive {
            continue;
        }
        if file.bytes > MAX_FILE_BYTES {
            n_huge += 1;
        } else if total + file.bytes > MAX_TOTAL_BYTES {
            n_unread += 1;
        } else if let Ok(content) = root.read(Path::new(&file.path), MAX_FILE_BYTES) {
            total += file.bytes;
            file.text = text_of(content);
        }
    }
    if n_unread > 0 {
        let mib = MAX_TOTAL_BYTES / 1024 / 1024;
        bounds_hit.push(format!("{n_unread} files beyond the first {mib} MiB were not read"));
    }
    if n_huge > 0 {
        bounds_hit.push(format!("{n_huge} files over 1 MiB were not read"));
    }
}

fn text_of(content: Vec<u8>) -> Option<String> {
    let head = &content[..content.len().min(8192)];
    if head.contains(&0) {
        return None;
    }
    String::from_utf8(content).ok()
}
