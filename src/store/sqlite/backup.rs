//! A copy of a log's file as it is at one moment, taken while an engine may be writing it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup as Online, StepResult};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{OpenError, connection, migrations};
use crate::private;

/// Pages copied between two looks at the world: 4 MB.
const PAGES_A_STEP: i32 = 1_024;

/// Pause when the file is locked for a moment.
const PAUSE: Duration = Duration::from_millis(20);

/// A finished copy, not yet under its name. Dropping it removes it.
#[derive(Debug)]
pub struct Backup {
    partial: PathBuf,
    to: PathBuf,
}

impl Backup {
    /// Copies the log at `log` beside `to`, readable by its owner alone: it holds the log's secret.
    /// It waits for nobody and holds nobody up; what is committed after it began is not in it. It
    /// is on the disk when this returns.
    pub fn take(log: &Path, to: &Path) -> Result<Self, OpenError> {
        if !log.exists() {
            return Err(OpenError::Missing { path: log.to_owned() });
        }
        if to.exists() {
            return Err(taken(to));
        }
        let backup = Self { partial: partial(to), to: to.to_owned() };
        drop(fs::remove_file(&backup.partial));
        let made = private::options().create_new(true).open(&backup.partial);
        made.map_err(|error| OpenError::io(&backup.partial, &error))?;
        copy(log, &backup.partial)?;
        let synced = File::open(&backup.partial).and_then(|file| file.sync_all());
        synced.map_err(|error| OpenError::io(&backup.partial, &error))?;
        Ok(backup)
    }

    /// The copy as it lies there now: a log that can be opened.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.partial
    }

    /// Puts it under its name, unless that is taken, and says how many bytes it has.
    pub fn keep(self) -> Result<u64, OpenError> {
        let failed = |error: io::Error| OpenError::io(&self.to, &error);
        let bytes = fs::metadata(&self.partial).map_err(failed)?.len();
        let renamed = renameat_with(CWD, &self.partial, CWD, &self.to, RenameFlags::NOREPLACE);
        match renamed {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => return Err(taken(&self.to)),
            // Not every file system can refuse to replace.
            Err(_) if self.to.exists() => return Err(taken(&self.to)),
            Err(_) => fs::rename(&self.partial, &self.to).map_err(failed)?,
        }
        sync_folder(&self.to).map_err(failed)?;
        Ok(bytes)
    }
}

impl Drop for Backup {
    fn drop(&mut self) {
        for suffix in ["", "-journal", "-wal", "-shm", ".lock"] {
            drop(fs::remove_file(connection::beside(&self.partial, suffix)));
        }
    }
}

fn taken(to: &Path) -> OpenError {
    OpenError::Exists { path: to.to_owned() }
}

/// Of this process alone, so that two backups do not meet.
fn partial(to: &Path) -> PathBuf {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    to.with_file_name(format!(".{name}.{}.partial", std::process::id()))
}

/// Makes a rename durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn copy(log: &Path, to: &Path) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| OpenError::sqlite(log, &error);
    let source = connection::open_reader(log).map_err(failed)?;
    migrations::check_log(log, &source)?;
    // One read transaction for the whole copy: else every write of the engine would begin it anew.
    source
        .execute_batch("BEGIN")
        .and_then(|()| source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())))
        .map_err(failed)?;
    let failed = |error: rusqlite::Error| OpenError::sqlite(to, &error);
    let mut target = Connection::open(to).map_err(failed)?;
    step_through(&source, &mut target).map_err(failed)?;
    // One file without a write-ahead log beside it, wherever it is opened.
    let mode: String =
        target.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0)).map_err(failed)?;
    tracing::debug!(mode, "the backup is one file");
    Ok(())
}

fn step_through(source: &Connection, target: &mut Connection) -> rusqlite::Result<()> {
    let online = Online::new(source, target)?;
    loop {
        match online.step(PAGES_A_STEP)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            StepResult::Busy | StepResult::Locked | _ => std::thread::sleep(PAUSE),
        }
    }
}
