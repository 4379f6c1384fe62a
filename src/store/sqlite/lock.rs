//! The lock beside a log file that lets one process write it. The kernel drops it when the process
//! ends, however it ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::OpenError;
use crate::private;

/// How long a lock is waited for that nobody means to keep: a process shares it with each child
/// between fork and exec, and a killed one holds it until the kernel has taken it down.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(5);

/// Held as long as it lives. The lock's file stays: removing it would let two in.
#[derive(Debug)]
pub(super) struct WriteLock {
    _file: File,
}

impl WriteLock {
    /// Never waits.
    pub(super) fn take(log: &Path) -> Result<Self, OpenError> {
        let path = lock_path(log);
        let file = private::options().open(&path).map_err(|error| OpenError::io(&path, &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(OpenError::Busy { path: log.to_owned() }),
            Err(errno) => Err(OpenError::io(&path, &errno.into())),
        }
    }

    /// Waits a moment for one that is on its way out; for those who cannot turn to its holder.
    pub(super) fn take_soon(log: &Path) -> Result<Self, OpenError> {
        let end = Instant::now() + PATIENCE;
        loop {
            match Self::take(log) {
                Err(OpenError::Busy { .. }) if Instant::now() < end => std::thread::sleep(LOOK),
                taken => return taken,
            }
        }
    }
}

/// `<file>.lock`, beside the file itself, so that two names of one log meet in one lock.
fn lock_path(log: &Path) -> PathBuf {
    let real = log.canonicalize();
    let mut name = real.as_deref().unwrap_or(log).as_os_str().to_owned();
    name.push(".lock");
    name.into()
}
