//! A working copy of a snapshot: a git repository of its own, without a remote to push to.

use std::fs;
use std::io;
use std::path::Path;

use super::SnapshotError;
use super::alternates::{entry, read_list};
use crate::git::Git;

pub(super) fn checkout(git_dir: &Path, commit: &str, into: &Path) -> Result<(), SnapshotError> {
    match fs::read_dir(into).map(|mut entries| entries.next().is_none()) {
        Ok(false) => return Err(SnapshotError::NotEmpty { path: into.to_owned() }),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(SnapshotError::io("read", into, error));
        }
        Ok(true) | Err(_) => {}
    }
    fill(git_dir, commit, into).inspect_err(|_| {
        if let Err(error) = fs::remove_dir_all(into) {
            tracing::debug!(path = %into.display(), %error, "left half a working copy behind");
        }
    })
}

fn fill(git_dir: &Path, commit: &str, into: &Path) -> Result<(), SnapshotError> {
    Git::plain("make the working copy")
        .args(["init", "--quiet", "--template=", "--object-format=sha1"])
        .arg(into)
        .run()?;
    let own = into.join(".git");
    let facts = own.join("objects/info");
    fs::create_dir_all(&facts).map_err(|e| SnapshotError::io("make", &facts, e))?;
    let alternates = facts.join("alternates");
    fs::write(&alternates, entry(&git_dir.join("objects")))
        .map_err(|e| SnapshotError::io("write", &alternates, e))?;
    let shallow = git_dir.join("shallow");
    let cuts = read_list(&shallow).map_err(|e| SnapshotError::io("read", &shallow, e))?;
    if !cuts.is_empty() {
        fs::write(own.join("shallow"), cuts).map_err(|e| SnapshotError::io("copy", &shallow, e))?;
    }
    // An agent may commit in its copy; the user's own identity is not there to be used.
    for (name, value) in [("user.name", "Specline agent"), ("user.email", "specline@localhost")] {
        Git::at(&own, "make the working copy").args(["config", name, value]).run()?;
    }
    Git::at(&own, "make the working copy")
        .arg("-C")
        .arg(into)
        .option("--work-tree", into)
        .args(["-c", "checkout.workers=0", "checkout", "--quiet", "--detach", commit, "--"])
        .run()?;
    Ok(())
}
