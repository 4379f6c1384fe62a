//! The folder of one sandbox, and what lies where in it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;
use specline_aggregates::SandboxId;

use super::orders::{Ending, Record};
use crate::sandbox::files::{Lock, private_folder, remove_tree, write_whole};

/// Outputs of at most 16 MiB each, the last of every phase and then some.
const MAX_OUTBOX_BYTES: u64 = 128 * 1024 * 1024;

/// What of the log stands in for the last lines when no supervisor lived to tell them.
const TAIL_BYTES: u64 = 4096;

#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn of(sandboxes: &Path, sandbox: SandboxId) -> Self {
        Self(sandboxes.join(sandbox.to_string()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The agent's working copy.
    pub(super) fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    /// HOME, when the policy does not pass the user's own.
    pub(super) fn home(&self) -> PathBuf {
        self.0.join("home")
    }

    pub(super) fn outbox(&self) -> PathBuf {
        self.0.join("outbox")
    }

    /// Its time is the worker's last sign of life.
    pub(super) fn lease(&self) -> PathBuf {
        self.0.join("lease")
    }

    /// Where the engine can be reached.
    pub(super) fn api(&self) -> PathBuf {
        self.0.join("api.json")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.0.join("worker.log")
    }

    pub(super) fn supervisor_log(&self) -> PathBuf {
        self.0.join("supervisor.log")
    }

    /// Held by the supervisor for its life.
    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Held by an engine while it starts a supervisor.
    pub(super) fn start_lock(&self) -> PathBuf {
        self.0.join("start.lock")
    }

    /// Makes everything that a new worker needs, and takes away what an earlier one left, but for
    /// its outbox.
    pub(super) fn prepare(&self) -> io::Result<()> {
        private_folder(&self.0)?;
        for path in [self.work(), self.home()] {
            remove_tree(&path)?;
        }
        for path in [self.ending_path(), self.record_path()] {
            remove_file(&path)?;
        }
        private_folder(&self.home())?;
        private_folder(&self.outbox())?;
        write_whole(&self.lease(), b"")
    }

    /// Says where the engine is, for a worker that cannot reach it where it was.
    pub(super) fn write_api(&self, api_url: &str) -> io::Result<()> {
        write_json(&self.api(), &BTreeMap::from([("api_url", api_url)]))
    }

    pub(super) fn record(&self) -> Option<Record> {
        read_json(&self.record_path())
    }

    pub(super) fn write_record(&self, record: &Record) -> io::Result<()> {
        write_json(&self.record_path(), record)
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        read_json(&self.ending_path())
    }

    pub(super) fn write_ending(&self, ending: &Ending) -> io::Result<()> {
        write_json(&self.ending_path(), ending)
    }

    /// Whether a supervisor owns the folder now.
    pub(super) fn is_owned(&self) -> io::Result<bool> {
        match Lock::try_take(&self.lock()) {
            Ok(lock) => Ok(lock.is_none()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes away the working copy and the home, and what of the outbox is too much.
    pub(super) fn free(&self) -> io::Result<()> {
        if !self.0.exists() {
            return Ok(());
        }
        for path in [self.work(), self.home()] {
            remove_tree(&path)?;
        }
        for path in [self.api(), self.lease()] {
            remove_file(&path)?;
        }
        bound(&self.outbox(), MAX_OUTBOX_BYTES)
    }

    /// The end of the worker's log.
    pub(super) fn last_lines(&self) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = fs::File::open(self.log())?;
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(len.saturating_sub(TAIL_BYTES)))?;
            let mut tail = Vec::new();
            file.take(TAIL_BYTES).read_to_end(&mut tail)?;
            Ok(tail)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).trim_end().to_owned()
    }

    fn record_path(&self) -> PathBuf {
        self.0.join("supervisor.json")
    }

    fn ending_path(&self) -> PathBuf {
        self.0.join("exit.json")
    }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes the oldest entries of `folder` until the rest fits; folders in it go first.
fn bound(folder: &Path, max_bytes: u64) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in entries {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            remove_tree(&entry.path())?;
        } else {
            files.push((metadata.modified()?, metadata.len(), entry.path()));
        }
    }
    files.sort();
    let mut total: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, bytes, path) in files {
        if total <= max_bytes {
            break;
        }
        fs::remove_file(path)?;
        total -= bytes;
    }
    Ok(())
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    write_whole(path, &serde_json::to_vec(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_keeps_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        for (name, age) in [("old", 20), ("new", 10)] {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            file.set_len(60).unwrap();
            let time = SystemTime::now() - std::time::Duration::from_secs(age);
            file.set_modified(time).unwrap();
        }
        bound(dir.path(), 120).unwrap();
        assert!(dir.path().join("old").exists());
        bound(dir.path(), 100).unwrap();
        assert!(!dir.path().join("old").exists());
        assert!(dir.path().join("new").exists());
    }
}
