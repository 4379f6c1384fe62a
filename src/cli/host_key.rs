//! The secret of a log in files: 32 bytes in the state folder, and never in the log's own file,
//! which people copy, back up and may let others read. With the log's own salt it makes the key of
//! every token: the operator's, and those of sandboxes.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::place::state_folder;
use super::{Exit, Failure};
use crate::sandbox::files::{private_folder, write_new, write_whole};
use crate::untrusted::read_regular;

const FILE: &str = "secret";
const BYTES: usize = 32;

/// The key of the log `log_id`; drawn when it is not there.
pub fn load_or_draw(log_id: &str) -> Result<[u8; BYTES], Failure> {
    let path = path(log_id);
    read_or_draw(&path).map_err(|error| refused(&path, &error))
}

/// The key of the log `log_id`, where this user has one.
pub fn look(log_id: &str) -> Option<[u8; BYTES]> {
    read(&path(log_id)).ok().flatten()
}

/// Puts a new key in the place of the old one: every token that was made with that is worthless.
pub fn draw_anew(log_id: &str) -> Result<(), Failure> {
    let path = path(log_id);
    let write = || -> io::Result<()> {
        private_folder(&state_folder(log_id))?;
        write_whole(&path, &random()?)
    };
    write().map_err(|error| refused(&path, &error))
}

fn path(log_id: &str) -> PathBuf {
    state_folder(log_id).join(FILE)
}

fn read_or_draw(path: &Path) -> io::Result<[u8; BYTES]> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    let key = random()?;
    match write_new(path, &key) {
        Ok(()) => Ok(key),
        // Another engine that starts now was first.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it went away again")),
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> io::Result<Option<[u8; BYTES]>> {
    match read_regular(path, BYTES as u64) {
        Ok(bytes) => bytes.try_into().map(Some).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "it holds no key; remove it, and a new one is drawn: living sandboxes are then \
                 started anew",
            )
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn random() -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn refused(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Exit::Configuration,
        format!("the log's secret, {}, cannot be kept: {error}", path.display()),
    )
}
