//! Writes the spec's files into the repository: temporary file, flush, rename. A file that a person
//! changed since is left alone; ours then stands beside it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use specline_aggregates::Digest;
use specline_aggregates::output::ExportedFile;
use uuid::Uuid;

/// How the name of a file ends that is being written.
const TEMPORARY: &str = ".specline-tmp";

/// Writes every file, and reads each back. `ours` are the files that an earlier SYNC wrote.
pub(super) fn write_all(
    root: &Path,
    files: &[(ExportedFile, String)],
    ours: &[ExportedFile],
) -> io::Result<Vec<(ExportedFile, Option<Digest>)>> {
    let mut written = Vec::new();
    for (file, text) in files {
        let path = place(root, file, ours)?;
        let target = root.join(&path);
        let mut read = digest_of(&target)?;
        if read != Some(file.digest) {
            let wrote = write_one(&target, text);
            read = digest_of(&target)?;
            // Another node may have been at it, and done the same.
            if read != Some(file.digest) {
                wrote?;
            }
        }
        written.push((ExportedFile { path, digest: file.digest }, read));
    }
    Ok(written)
}

/// Where the file goes: its own path, or beside it when what stands there is a person's.
fn place(root: &Path, file: &ExportedFile, ours: &[ExportedFile]) -> io::Result<String> {
    let standing = digest_of(&root.join(&file.path))?;
    let is_ours = |digest: Digest| {
        digest == file.digest || ours.iter().any(|o| o.path == file.path && o.digest == digest)
    };
    Ok(match standing {
        Some(digest) if !is_ours(digest) => beside(&file.path),
        _ => file.path.clone(),
    })
}

/// `specs/x/design.md` → `specs/x/design.new.md`.
fn beside(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((stem, ending)) => format!("{stem}.new.{ending}"),
        None => format!("{path}.new"),
    }
}

/// Digest of the file at `path`; none when it is not there.
fn digest_of(path: &Path) -> io::Result<Option<Digest>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(Digest::of(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(named(path, &error)),
    }
}

fn write_one(target: &Path, text: &str) -> io::Result<()> {
    let folder = target.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    fs::create_dir_all(&folder).map_err(|error| named(&folder, &error))?;
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let temporary = folder.join(format!(".{name}.{}{TEMPORARY}", Uuid::now_v7()));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        forget_others(&folder, &name, &temporary)?;
        fs::rename(&temporary, target)?;
        File::open(&folder)?.sync_all()
    };
    write().map_err(|error| named(target, &error))
}

/// Removes what others began to write for this file: a process that died, or one that stood still
/// and must not put an older text in the place of this one when it wakes.
fn forget_others(folder: &Path, name: &str, ours: &Path) -> io::Result<()> {
    let begins = format!(".{name}.");
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.file_name();
        let found = found.to_string_lossy();
        if found.starts_with(&begins) && found.ends_with(TEMPORARY) && entry.path() != ours {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(())
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
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
