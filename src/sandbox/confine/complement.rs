//! All of a folder but some of it, as paths: for a mechanism that can only allow.

use std::fs;
use std::path::{Path, PathBuf};

/// The largest parts of `root` that hold none of `without`. Links are left out: what they lead to
/// stands under its own name.
pub(super) fn of(root: &Path, without: &[PathBuf]) -> Vec<PathBuf> {
    let mut parts = Vec::new();
    add(root, without, &mut parts);
    parts
}

fn add(path: &Path, without: &[PathBuf], parts: &mut Vec<PathBuf>) {
    if without.iter().any(|out| path.starts_with(out)) {
        return;
    }
    if !without.iter().any(|out| out.starts_with(path)) {
        parts.push(path.to_owned());
        return;
    }
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
            add(&entry.path(), without, parts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_left_out_and_its_neighbours_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for folder in ["a/secret", "a/open", "b"] {
            fs::create_dir_all(path(folder)).unwrap();
        }
        fs::write(path("a/file"), "").unwrap();
        std::os::unix::fs::symlink(path("a/secret"), path("a/link")).unwrap();
        let mut parts = of(dir.path(), &[path("a/secret")]);
        parts.sort();
        assert_eq!(parts, [path("a/file"), path("a/open"), path("b")]);
        assert_eq!(of(dir.path(), &[dir.path().to_owned()]), Vec::<PathBuf>::new());
        assert_eq!(of(dir.path(), &[]), [dir.path()]);
    }
}
