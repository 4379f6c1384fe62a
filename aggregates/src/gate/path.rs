//! Paths in outputs: relative to the repository root, with `/`, and never out of it.

use crate::Manifest;

use super::rule::Fault;
use super::text::excerpt;

/// A path and where in the output it stands.
pub(super) type Placed<'a> = (String, &'a str);

/// The faults of the paths that could lead out of the repository or name one file in two ways.
pub(super) fn unsafe_paths<'a>(
    paths: impl IntoIterator<Item = Placed<'a>>,
    manifest: &Manifest,
) -> Vec<Fault> {
    let faults = paths.into_iter().filter_map(|(place, path)| {
        // A path that the snapshot itself holds is safe, however odd it looks.
        let why = if manifest.has_file(path) { None } else { fault(path) }?;
        let mend = "Write it relative to the repository root with \"/\", such as \"src/main.rs\".";
        Some(Fault::new(place, format!("the path {:?} {why}", excerpt(path)), mend))
    });
    faults.collect()
}

fn fault(path: &str) -> Option<&'static str> {
    let mut parts = path.strip_suffix('/').unwrap_or(path).split('/');
    if path.trim().is_empty() {
        Some("is empty")
    } else if path.starts_with('/') || path.starts_with('~') || has_drive(path) {
        Some("is absolute")
    } else if path.contains('\\') {
        Some("has a backslash")
    } else if path.chars().any(char::is_control) {
        Some("has a control character")
    } else if path.split('/').any(|part| part.trim() == "..") {
        Some("climbs out with \"..\"")
    } else if parts.any(|part| part.is_empty() || part == ".") {
        Some("has an empty part or a \".\"")
    } else {
        None
    }
}

fn has_drive(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.get(1) == Some(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_safe() {
        for path in ["a", "src/main.rs", "tests/", ".github/ci.yml", "a..b/c", "with space/ü.rs"] {
            assert_eq!(fault(path), None, "{path}");
        }
    }

    #[test]
    fn others_are_not() {
        for path in [
            "",
            " ",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/..",
            "a//b",
            "./a",
            ".",
            "a\\b",
            "C:/x",
            "c:x",
            "~/x",
            "a\0b",
            "a/.. /b",
            "//",
        ] {
            assert!(fault(path).is_some(), "{path:?}");
        }
    }

    #[test]
    fn a_path_of_the_snapshot_is_safe_whatever_its_look() {
        let file = crate::manifest::File { path: "odd\\name".into(), bytes: 1, oid: "0".into() };
        let manifest = Manifest::new("c".into(), vec![file]);
        let placed = |path| [("/p".to_owned(), path)];
        assert!(unsafe_paths(placed("odd\\name"), &manifest).is_empty());
        assert_eq!(unsafe_paths(placed("other\\name"), &manifest).len(), 1);
    }
}
