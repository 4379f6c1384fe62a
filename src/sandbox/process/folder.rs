//! The folders of one sandbox, and what lies where in them. There are three, one below the other:
//!
//! - the supervisor's (`<id>/`): records, locks, logs. No process inside the sandbox sees it.
//! - `<id>/told/`: what the engine tells the worker; read-only inside.
//! - `<id>/agent/`: working copy, home, scratch, outbox. What lies there, somebody else has put
//!   there: it is looked at without following links, and nothing there is believed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;
use specline_aggregates::SandboxId;

use super::environment::LEASE_FILE;
use super::orders::{Ending, Record};
use super::outbox;
use super::tree::{self, Identity};
use crate::sandbox::files::{Held, Lock, private_folder, remove_tree, write_whole};
use crate::sandbox::provider::Outbox;
use crate::untrusted::read_regular;

/// What of the log stands in for the last lines when no supervisor lived to tell them.
const TAIL_BYTES: u64 = 4096;

/// More than any record has.
const MAX_RECORD_BYTES: u64 = 256 * 1024;

#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn of(sandboxes: &Path, sandbox: SandboxId) -> Self {
        Self(sandboxes.join(sandbox.to_string()))
    }

    /// The supervisor's.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The agent's.
    pub(super) fn agent(&self) -> PathBuf {
        self.0.join("agent")
    }

    /// What the worker may read and nobody inside may write.
    pub(super) fn told(&self) -> PathBuf {
        self.0.join("told")
    }

    /// The agent's working copy.
    pub(super) fn work(&self) -> PathBuf {
        self.agent().join("work")
    }

    /// HOME, when the policy does not pass the user's own.
    pub(super) fn home(&self) -> PathBuf {
        self.agent().join("home")
    }

    /// TMPDIR.
    pub(super) fn temporary(&self) -> PathBuf {
        self.agent().join("tmp")
    }

    pub(super) fn outbox(&self) -> PathBuf {
        self.agent().join("outbox")
    }

    /// Where sandboxes of version 0.1 without the folders within had theirs.
    pub(super) fn old_outbox(&self) -> PathBuf {
        self.0.join("outbox")
    }

    /// Its time is the worker's last sign of life.
    pub(super) fn lease(&self) -> PathBuf {
        self.agent().join("lease")
    }

    /// Where the engine can be reached.
    pub(super) fn api(&self) -> PathBuf {
        self.told().join("api.json")
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

    /// Whether the process was started to supervise this folder.
    pub(super) fn supervises(&self, supervisor: Identity) -> bool {
        tree::has_argument(supervisor.pid, &self.0)
    }

    /// Whether the process was started as this folder's worker, or what confines it.
    pub(super) fn runs(&self, pid: i32) -> bool {
        self.marks(pid) || tree::has_argument(pid, &self.work())
    }

    /// Whether the environment that the process was started with names this folder.
    pub(super) fn marks(&self, pid: i32) -> bool {
        [self.lease(), self.0.join("lease")]
            .iter()
            .any(|lease| tree::is_marked(pid, &format!("{LEASE_FILE}={}", lease.display())))
    }

    /// Whether it still has what a worker needs, or was cleaned up.
    pub(super) fn is_in_use(&self) -> bool {
        [self.work(), self.0.join("work")].iter().any(|path| path.symlink_metadata().is_ok())
    }

    /// Makes everything that a new worker needs, and takes away what an earlier one left, but for
    /// its outbox.
    pub(super) fn prepare(&self) -> io::Result<()> {
        private_folder(&self.0)?;
        private_folder(&self.agent())?;
        private_folder(&self.told())?;
        for path in [self.work(), self.home(), self.temporary()] {
            remove_tree(&path)?;
        }
        for path in [self.ending_path(), self.record_path(), self.lease()] {
            remove_file(&path)?;
        }
        outbox::make(&self.outbox())?;
        private_folder(&self.home())?;
        private_folder(&self.temporary())?;
        write_whole(&self.lease(), b"")
    }

    /// Says where the engine is, for a worker that cannot reach it where it was.
    pub(super) fn write_api(&self, api_url: &str) -> io::Result<()> {
        private_folder(&self.told())?;
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
    pub(super) fn free(&self, kept: Outbox) -> io::Result<()> {
        if !self.0.exists() {
            return Ok(());
        }
        for old in ["work", "home"] {
            remove_tree(&self.0.join(old))?;
        }
        remove_file(&self.api())?;
        outbox::bound(&self.old_outbox(), kept)?;
        let Some(agent) = Held::open(&self.agent())? else { return remove_file(&self.agent()) };
        for name in ["work", "home", "tmp"] {
            remove_tree(&agent.join(name))?;
        }
        remove_file(&agent.join("lease"))?;
        outbox::bound(&agent.join("outbox"), kept)
    }

    /// Whether finished outputs wait in it for a later sandbox.
    pub(super) fn has_outputs(&self) -> bool {
        [self.outbox(), self.old_outbox()].iter().any(|path| outbox::has_files(path))
    }

    /// Moves what waits in the outbox to that of `to`.
    pub(super) fn hand_over(&self, to: &Self) -> io::Result<()> {
        for from in [self.outbox(), self.old_outbox()] {
            if from.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                private_folder(&to.0)?;
                private_folder(&to.agent())?;
                outbox::move_files(&from, &to.outbox())?;
            }
        }
        Ok(())
    }

    /// The end of the worker's log.
    pub(super) fn last_lines(&self) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
            let mut options = fs::File::options();
            let mut file = options.read(true).custom_flags(flags).open(self.log())?;
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

fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&read_regular(path, MAX_RECORD_BYTES).ok()?).ok()
}

fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    write_whole(path, &serde_json::to_vec(value)?)
}
