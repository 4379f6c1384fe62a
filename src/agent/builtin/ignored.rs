//! What a repository's own ignore files leave out, by git's rules. The files are read by us, since
//! one of them may be a link to a device.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::untrusted::Folder;

/// A larger ignore file is left aside.
const MAX_BYTES: u64 = 1024 * 1024;

/// The rules of one folder.
struct Rules {
    /// `.ignore`, which wins over what is git's.
    own: Gitignore,
    git: Gitignore,
    exclude: Gitignore,
    /// What git says above does not hold in a repository inside.
    has_git: bool,
}

/// The rules of a folder and of those that lead to it, the innermost last.
#[derive(Default)]
pub(super) struct Ignored(Vec<(PathBuf, Rules)>);

impl Ignored {
    /// Goes on into `folder`, a path beneath `root` that may be empty.
    pub(super) fn enter(&mut self, root: &Folder, folder: &Path) {
        self.0.retain(|(above, _)| folder.starts_with(above));
        let read = |name: &str| {
            let bytes = root.read(&folder.join(name), MAX_BYTES).unwrap_or_default();
            rules(folder, &String::from_utf8_lossy(&bytes))
        };
        let inner = root.folder(folder);
        let has_git = inner.is_ok_and(|f| f.kind(OsStr::new(".git")).is_ok_and(|k| k.is_some()));
        let rules = Rules {
            own: read(".ignore"),
            git: read(".gitignore"),
            exclude: if has_git { read(".git/info/exclude") } else { Gitignore::empty() },
            has_git,
        };
        self.0.push((folder.to_owned(), rules));
    }

    /// Whether `path` in the folder that was entered last is left out.
    pub(super) fn holds(&self, path: &Path, is_folder: bool) -> bool {
        let (mut own, mut git, mut exclude) = (Match::None, Match::None, Match::None);
        let mut is_inside = false;
        for (_, rules) in self.0.iter().rev() {
            own = own.or(rules.own.matched(path, is_folder));
            if !is_inside {
                git = git.or(rules.git.matched(path, is_folder));
                exclude = exclude.or(rules.exclude.matched(path, is_folder));
            }
            is_inside |= rules.has_git;
        }
        own.or(git).or(exclude).is_ignore()
    }
}

/// A line that is no pattern is passed over.
fn rules(folder: &Path, text: &str) -> Gitignore {
    if text.is_empty() {
        return Gitignore::empty();
    }
    let mut builder = GitignoreBuilder::new(folder);
    for line in text.trim_start_matches('\u{feff}').lines() {
        let _ = builder.add_line(None, line);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_innermost_rule_wins_and_a_repository_inside_has_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(".gitignore", "*.log\n/top\nout/\n");
        write(".ignore", "secret\n");
        write("a/.gitignore", "!kept.log\nout\n");
        write("inner/.git/info/exclude", "private\n");
        let root = Folder::root(dir.path()).unwrap();
        let mut ignored = Ignored::default();
        let holds = |ignored: &Ignored, path: &str| ignored.holds(Path::new(path), false);
        ignored.enter(&root, Path::new(""));
        assert!(holds(&ignored, "x.log") && holds(&ignored, "top") && holds(&ignored, "secret"));
        assert!(!holds(&ignored, "out") && ignored.holds(Path::new("out"), true));
        ignored.enter(&root, Path::new("a"));
        assert!(holds(&ignored, "a/x.log") && holds(&ignored, "a/out"));
        assert!(!holds(&ignored, "a/kept.log") && !holds(&ignored, "a/top"));
        ignored.enter(&root, Path::new("inner"));
        assert!(holds(&ignored, "inner/private") && holds(&ignored, "inner/secret"));
        assert!(!holds(&ignored, "inner/x.log"));
    }
}
