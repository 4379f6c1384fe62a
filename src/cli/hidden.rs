//! What no sandbox may see of this machine: whatever holds secrets of Specline's, wherever it lies.
//! The state folder is hidden by the provider, which knows what of it a sandbox needs.

use std::path::{Path, PathBuf};

use super::place::state_base;
use super::{Location, Place};
use crate::config;

/// What follows the log's own name in those of its companions.
const COMPANIONS: [&str; 9] = [
    "",
    "-wal",
    "-shm",
    "-journal",
    ".lock",
    ".audit",
    ".audit-wal",
    ".audit-shm",
    ".audit-journal",
];

/// Files and folders; some may not be there.
pub fn of(location: &Location) -> Vec<PathBuf> {
    let mut hidden = vec![state_base()];
    let env = |name: &str| std::env::var(name).ok();
    let users = config::users_file(&env);
    hidden.extend(users.and_then(|file| file.parent().map(Path::to_path_buf)));
    hidden.extend(config::effective().server.tls.clone().map(|(_, key)| key));
    if let Location::Files(place) = location {
        hidden.extend(files(place));
    }
    hidden
}

fn files(place: &Place) -> Vec<PathBuf> {
    if place.is_own_folder() {
        return vec![place.folder.clone()];
    }
    let with = |path: &Path, ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let of = |path: &Path| COMPANIONS.map(|ending| with(path, ending));
    of(&place.log).into_iter().chain(of(&place.read_models)).collect()
}
