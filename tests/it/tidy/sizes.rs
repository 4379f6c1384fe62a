//! Sizes of files, lines and documents, and what must not stand in them.

use super::sources::{no_faults, root, rust_files};

const MAX_FILE_LINES: usize = 600;
const MAX_LINE_CHARS: usize = 100;

#[test]
fn files_and_lines_are_short() {
    let mut faults = Vec::new();
    for source in rust_files() {
        let n_lines = source.text.lines().count();
        if n_lines > MAX_FILE_LINES {
            faults.push(format!("{}: {n_lines} lines", source.path));
        }
        for (n, line) in source.text.lines().enumerate() {
            let n_chars = line.chars().count();
            // A literal that cannot be broken stays whole.
            if n_chars > MAX_LINE_CHARS && !line.contains('"') {
                faults.push(format!("{}:{}: {n_chars} characters", source.path, n + 1));
            }
        }
    }
    no_faults("too long", &faults);
}

#[test]
fn every_file_says_what_it_owns() {
    let headless = rust_files().into_iter().filter(|source| !source.text.starts_with("//!"));
    let faults: Vec<_> = headless.map(|source| source.path).collect();
    no_faults("files without a //! header", &faults);
}

#[test]
fn main_is_short() {
    let main = std::fs::read_to_string(root().join("src/main.rs")).unwrap();
    assert!(main.lines().count() < 60);
}

#[test]
fn documents_are_short() {
    let n_lines = |path: &str| std::fs::read_to_string(root().join(path)).unwrap().lines().count();
    assert!(n_lines("README.md") <= 120, "README.md has {} lines", n_lines("README.md"));
    assert!(n_lines("ARCHITECTURE.md") <= 300, "ARCHITECTURE.md: {}", n_lines("ARCHITECTURE.md"));
    for entry in std::fs::read_dir(root().join("docs/adr")).unwrap() {
        let path = entry.unwrap().path();
        let n = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(n <= 60, "{} has {n} lines: an ADR is a page", path.display());
    }
}

#[test]
fn no_test_is_ignored_and_no_lint_is_allowed_without_reason() {
    let mut faults = Vec::new();
    for source in rust_files().iter().filter(|source| !source.is_under(&["tests/it/tidy"])) {
        for (n, line) in source.code() {
            let bare_allow = line.contains("[allow(") && !line.contains("reason");
            if line.contains("#[ignore") || bare_allow || line.contains("todo!(") {
                faults.push(format!("{}:{n}: {}", source.path, line.trim()));
            }
        }
    }
    no_faults("not in this house", &faults);
}

#[test]
fn migrations_open_with_why() {
    for entry in std::fs::read_dir(root().join("migrations/sqlite")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("-- "), "{} does not open with why", path.display());
    }
}
