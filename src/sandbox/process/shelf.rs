//! All sandboxes of this machine's state folder, as they lie there.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use specline_aggregates::SandboxId;
use uuid::Uuid;

use super::environment::LEASE_FILE;
use super::folder::Folder;
use super::machine::{handle, living};
use super::reap;
use super::tree::{self, Process};
use crate::sandbox::files::{remove_tree, write_new};
use crate::sandbox::provider::{Life, Listed};

/// Ended and cleaned-up sandboxes whose logs are kept.
const MAX_KEPT: usize = 64;

pub(super) fn list(sandboxes: &Path) -> io::Result<Vec<Listed>> {
    let marked: HashSet<String> = Process::all()
        .iter()
        .filter(|process| process.is_alive())
        .filter_map(|process| tree::mark_of(process.identity.pid, LEASE_FILE))
        .collect();
    let listed = folders(sandboxes)?.into_iter().map(|(sandbox, folder)| {
        let record = living(&folder, None);
        let leases = [folder.lease(), folder.path().join("lease")];
        let is_marked = leases.iter().any(|lease| marked.contains(&lease.display().to_string()));
        let lives = record.is_some() || is_marked;
        let handle = record.or_else(|| folder.record()).map(|record| handle(&record));
        let life = if lives { Life::Alive } else { Life::Ended };
        Listed { sandbox, handle, life }
    });
    Ok(listed.collect())
}

/// Whether any process of the sandbox is there.
pub(super) fn lives(folder: &Folder) -> bool {
    living(folder, None).is_some() || !reap::remains(folder, folder.record().as_ref()).is_empty()
}

/// The name of this state folder on this machine: drawn once, and kept in it. The machine's own
/// name is part of it, as a folder may be copied or shared over a network.
pub(super) fn place(state: &Path) -> io::Result<String> {
    let file = state.join("place");
    if !file.exists() {
        let drawn = state.join(format!("place.{}", Uuid::now_v7()));
        write_new(&drawn, Uuid::now_v7().to_string().as_bytes())?;
        // The first of several that start together wins, and a reader never finds half a name.
        let linked = fs::hard_link(&drawn, &file);
        fs::remove_file(&drawn)?;
        if let Err(error) = linked
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error);
        }
    }
    let uname = rustix::system::uname();
    let machine = uname.nodename().to_string_lossy();
    Ok(format!("{machine}/{}", fs::read_to_string(file)?.trim()))
}

/// Writes the engine's address into every sandbox that still has a working copy.
pub(super) fn announce(sandboxes: &Path, api_url: &str) -> io::Result<()> {
    for (_, folder) in folders(sandboxes)? {
        if folder.is_in_use() {
            folder.write_api(api_url)?;
        }
    }
    Ok(())
}

/// Removes the oldest of those that were cleaned up, and from which nothing is to be handed over.
pub(super) fn prune(sandboxes: &Path) -> io::Result<()> {
    let mut freed: Vec<(SystemTime, PathBuf)> = Vec::new();
    for (_, folder) in folders(sandboxes)? {
        let metadata = fs::metadata(folder.path())?;
        if !folder.is_in_use() && !folder.has_outputs() {
            freed.push((metadata.modified()?, folder.path().to_owned()));
        }
    }
    freed.sort();
    let n_old = freed.len().saturating_sub(MAX_KEPT);
    freed.iter().take(n_old).try_for_each(|(_, path)| remove_tree(path))
}

fn folders(sandboxes: &Path) -> io::Result<Vec<(SandboxId, Folder)>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(sandboxes)? {
        let entry = entry?;
        let named = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(sandbox) = named.filter(|_| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        else {
            continue;
        };
        folders.push((sandbox, Folder::new(entry.path())));
    }
    folders.sort_by_key(|(sandbox, _)| *sandbox);
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::provider::Outbox;

    /// Many sandboxes die together; their outputs wait for the sandboxes that come after them.
    #[test]
    fn a_folder_whose_outputs_were_not_handed_over_is_never_pruned() {
        let dir = tempfile::tempdir().unwrap();
        let sandboxes = dir.path();
        let made = |outputs: bool| {
            let sandbox = SandboxId::new(Uuid::now_v7());
            let folder = Folder::of(sandboxes, sandbox);
            fs::create_dir_all(folder.outbox()).unwrap();
            if outputs {
                fs::write(folder.outbox().join("explore.json"), "{}").unwrap();
            }
            folder
        };
        let full: Vec<Folder> = (0..120).map(|_| made(true)).collect();
        let empty: Vec<Folder> = (0..70).map(|_| made(false)).collect();
        for folder in full.iter().chain(&empty) {
            folder.free(Outbox::Kept).unwrap();
            prune(sandboxes).unwrap();
        }
        assert!(full.iter().all(Folder::has_outputs), "finished work is never thrown away");
        assert_eq!(empty.iter().filter(|folder| folder.path().exists()).count(), MAX_KEPT);
        for folder in &full {
            folder.free(Outbox::Dropped).unwrap();
        }
        prune(sandboxes).unwrap();
        assert_eq!(fs::read_dir(sandboxes).unwrap().count(), MAX_KEPT);
    }
}
