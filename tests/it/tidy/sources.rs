//! The files that the rules are about.

use std::path::{Path, PathBuf};

/// A Rust file of the repository.
pub struct Source {
    /// Relative to the root, with `/`.
    pub path: String,
    pub text: String,
}

impl Source {
    /// Whether it is under one of `folders` (or is that file).
    pub fn is_under(&self, folders: &[&str]) -> bool {
        folders
            .iter()
            .any(|folder| self.path == *folder || self.path.starts_with(&format!("{folder}/")))
    }

    /// Its lines with their numbers, comments left out.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(n, line)| (n + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the workspace.
pub fn rust_files() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches", "aggregates", "projections"] {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 100, "only {} files were found", found.len());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let relative = path.strip_prefix(root()).expect("it lies below the root");
            let text = std::fs::read_to_string(&path).expect("a source file is UTF-8");
            found.push(Source { path: relative.display().to_string(), text });
        }
    }
}

/// Fails with every fault, one a line.
pub fn no_faults(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
}
