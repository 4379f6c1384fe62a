//! Reads the files of a repository, within bounds: what git would ignore is left out, binaries and
//! huge files are listed but not read.

use std::fs;
use std::path::Path;

use ignore::{DirEntry, WalkBuilder};

use super::BuiltinError;
use super::language::{self, Family, Role};

/// Files listed at most.
pub(super) const MAX_FILES: usize = 20_000;
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
    fs::read_dir(root).map_err(|source| BuiltinError::Workdir { path: root.to_owned(), source })?;
    let mut files = Vec::new();
    let mut bounds_hit = Vec::new();
    for entry in walker(root).flatten() {
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        if files.len() == MAX_FILES {
            bounds_hit.push(format!("only the first {MAX_FILES} files were listed"));
            break;
        }
        files.extend(listed(root, &entry));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    read_texts(root, &mut files, &mut bounds_hit);
    Ok(Listing { files, bounds_hit })
}

/// Ignore rules of parents and of the machine are left out: a sandbox's folder may lie in an
/// ignored one, and the result must not depend on the user's settings.
fn walker(root: &Path) -> ignore::Walk {
    WalkBuilder::new(root)
        .hidden(false)
        .parents(false)
        .git_global(false)
        .git_ignore(true)
        .git_exclude(true)
        .require_git(false)
        .follow_links(false)
        .sort_by_file_name(Ord::cmp)
        .filter_entry(is_wanted)
        .build()
}

fn is_wanted(entry: &DirEntry) -> bool {
    if !entry.file_type().is_some_and(|kind| kind.is_dir()) {
        return true;
    }
    let name = entry.file_name().to_string_lossy();
    let never = [".git", ".hg", ".svn", ".specline", "node_modules", "__pycache__", ".venv"];
    let built = name == "target"
        && entry.path().parent().is_some_and(|parent| {
            parent.join("Cargo.toml").exists() || parent.join("pom.xml").exists()
        });
    !never.contains(&name.as_ref()) && !built
}

fn listed(root: &Path, entry: &DirEntry) -> Option<File> {
    let relative = entry.path().strip_prefix(root).ok()?;
    let parts: Option<Vec<&str>> = relative.iter().map(|part| part.to_str()).collect();
    let path = parts?.join("/");
    if is_own_export(&path) {
        return None;
    }
    let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
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
fn read_texts(root: &Path, files: &mut [File], bounds_hit: &mut Vec<String>) {
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
        } else if let Ok(content) = fs::read(root.join(&file.path)) {
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
