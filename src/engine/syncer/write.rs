//! Writes the spec's files into the repository: temporary file, flush, rename, beneath its root and
//! through no link. A file that a person changed since is left alone, as is whatever is no file;
//! ours then stands beside it.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use specline_aggregates::Digest;
use specline_aggregates::output::ExportedFile;

use crate::untrusted::{Folder, is_unfit};

/// How the name of a file ends that is being written.
const TEMPORARY: &str = ".specline-tmp";

/// A larger file is not ours.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Entries of a spec's folder that are looked through.
const MAX_ENTRIES: usize = 10_000;

/// What stands where a file is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Nothing,
    File(Digest),
    /// A link, a folder, a named pipe, or a file too large to be ours.
    Another,
}

impl Standing {
    fn is(self, digest: Digest) -> bool {
        self == Self::File(digest)
    }

    const fn digest(self) -> Option<Digest> {
        match self {
            Self::File(digest) => Some(digest),
            Self::Nothing | Self::Another => None,
        }
    }
}

/// Writes every file, and reads each back. `ours` are the files that an earlier SYNC wrote.
pub(super) fn write_all(
    root: &Path,
    files: &[(ExportedFile, String)],
    ours: &[ExportedFile],
) -> io::Result<Vec<(ExportedFile, Option<Digest>)>> {
    let root = Folder::root(root)?;
    let mut written = Vec::new();
    for (file, text) in files {
        let path = place(&root, file, ours)?;
        let mut read = standing(&root, &path)?;
        if !read.is(file.digest) {
            let wrote = write_one(&root, &path, text);
            read = standing(&root, &path)?;
            // Another node may have been at it, and done the same.
            if !read.is(file.digest) {
                wrote?;
            }
        }
        written.push((ExportedFile { path, digest: file.digest }, read.digest()));
    }
    Ok(written)
}

/// Where the file goes: its own path, or beside it when what stands there is a person's.
fn place(root: &Folder, file: &ExportedFile, ours: &[ExportedFile]) -> io::Result<String> {
    let is_ours = |digest: Digest| {
        digest == file.digest || ours.iter().any(|o| o.path == file.path && o.digest == digest)
    };
    Ok(match standing(root, &file.path)? {
        Standing::Nothing => file.path.clone(),
        Standing::File(digest) if is_ours(digest) => file.path.clone(),
        Standing::File(_) | Standing::Another => beside(&file.path),
    })
}

/// `specs/x/design.md` → `specs/x/design.new.md`.
fn beside(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((stem, ending)) => format!("{stem}.new.{ending}"),
        None => format!("{path}.new"),
    }
}

/// What stands at `path`. A link on the way there is an error.
fn standing(root: &Folder, path: &str) -> io::Result<Standing> {
    let (parent, name) = split(path);
    let read = match root.folder(parent) {
        Ok(folder) => folder.read(Path::new(name), MAX_BYTES),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Standing::Nothing),
        Err(error) => return Err(error),
    };
    match read {
        Ok(bytes) => Ok(Standing::File(Digest::of(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Standing::Nothing),
        Err(error) if is_unfit(&error) => Ok(Standing::Another),
        Err(error) => Err(error),
    }
}

fn split(path: &str) -> (&Path, &OsStr) {
    let path = Path::new(path);
    (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default())
}

fn write_one(root: &Folder, path: &str, text: &str) -> io::Result<()> {
    let (parent, name) = split(path);
    let folder = root.made(parent)?;
    let temporary = folder.begin(name, text.as_bytes(), TEMPORARY)?;
    forget_others(&folder, name, &temporary)?;
    folder.put(&temporary, name)
}

/// Removes what others began to write for this file: a process that died, or one that stood still
/// and must not put an older text in the place of this one when it wakes.
fn forget_others(folder: &Folder, name: &OsStr, ours: &OsStr) -> io::Result<()> {
    let begins = format!(".{}.", name.to_string_lossy());
    for found in folder.names(MAX_ENTRIES)? {
        let text = found.to_string_lossy();
        if text.starts_with(&begins) && text.ends_with(TEMPORARY) && found != ours {
            folder.remove(&found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn planned(path: &str, text: &str) -> (ExportedFile, String) {
        let digest = Digest::of(text.as_bytes());
        (ExportedFile { path: path.to_owned(), digest }, text.to_owned())
    }

    #[test]
    fn writes_once_and_again_the_same() {
        let root = tempfile::tempdir().unwrap();
        let files = [planned("specs/x/design.md", "one")];
        for _ in 0..2 {
            let written = write_all(root.path(), &files, &[]).unwrap();
            assert_eq!(written, [(files[0].0.clone(), Some(files[0].0.digest))]);
        }
        assert_eq!(fs::read_to_string(root.path().join("specs/x/design.md")).unwrap(), "one");
    }

    #[test]
    fn what_another_process_left_half_written_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("specs/x");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(".design.md.1.specline-tmp"), "ha").unwrap();
        fs::write(folder.join(".design.md.notes"), "a person's").unwrap();
        let files = [planned("specs/x/design.md", "one")];
        write_all(root.path(), &files, &[]).unwrap();
        let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(names, [".design.md.notes", "design.md"]);
    }

    #[test]
    fn replaces_its_own_file_and_never_a_persons() {
        let root = tempfile::tempdir().unwrap();
        let first = [planned("specs/x/design.md", "one")];
        write_all(root.path(), &first, &[]).unwrap();
        let ours = [first[0].0.clone()];
        let second = [planned("specs/x/design.md", "two")];
        let written = write_all(root.path(), &second, &ours).unwrap();
        assert_eq!(written[0].0.path, "specs/x/design.md");

        fs::write(root.path().join("specs/x/design.md"), "a person's").unwrap();
        let third = [planned("specs/x/design.md", "three")];
        let written = write_all(root.path(), &third, &ours).unwrap();
        assert_eq!(written[0].0.path, "specs/x/design.new.md");
        let kept = fs::read_to_string(root.path().join("specs/x/design.md")).unwrap();
        assert_eq!(kept, "a person's");
    }
}
