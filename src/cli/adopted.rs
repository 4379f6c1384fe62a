//! Which log files this user obeys. A log that comes with a repository, an archive or a copy may
//! have been written by anybody: its events name programs to run and keys to let in. So the state
//! folder remembers each log that this user made or adopted, and any other is only read.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::place::{FOLDER, state_folder};
use super::{Exit, Failure, Place};
use crate::git::Git;
use crate::sandbox::files::{private_folder, write_whole};
use crate::store::{EventLog, SqliteLog};
use crate::untrusted::read_regular;

/// The file in a log's state folder.
const FILE: &str = "logs.json";

/// More than the file has.
const MAX_BYTES: u64 = 1024 * 1024;

#[derive(Default, Serialize, Deserialize)]
struct Record {
    logs: Vec<Known>,
}

/// One file that is obeyed, by what a copy of it has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Known {
    fn of(log: &Path) -> io::Result<Self> {
        let path = log.canonicalize()?;
        let metadata = fs::metadata(&path)?;
        Ok(Self { path, device: metadata.dev(), inode: metadata.ino() })
    }

    fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether it is still where it was when it was written down.
    fn is_there(&self) -> bool {
        Self::of(&self.path).is_ok_and(|now| now.is_same_file(self))
    }
}

/// How a log file stands to this user.
pub enum Standing {
    Adopted,
    /// Nothing was ever written to it.
    Empty,
    /// Made by somebody else, or by a program that copies files.
    Foreign {
        log_id: Uuid,
        /// The file that it is a copy of, which is obeyed and still there.
        original: Option<PathBuf>,
    },
}

/// How the log in the file `log` stands.
pub fn standing(log: &Path, opened: &SqliteLog) -> Result<Standing, Failure> {
    let log_id = opened.identity().log_id;
    let this = Known::of(log).map_err(|error| unreadable(log, &error))?;
    let known = read(log_id);
    if known.logs.iter().any(|known| known.is_same_file(&this)) {
        return Ok(Standing::Adopted);
    }
    if opened.watch_head().borrow().0 == 0 {
        return Ok(Standing::Empty);
    }
    let original = known.logs.into_iter().find(Known::is_there).map(|known| known.path);
    Ok(Standing::Foreign { log_id, original })
}

/// Refuses to write to, or act on, what this user has not made or adopted. False: there is nothing
/// that can be read.
pub fn require(log: &Path) -> Result<bool, Failure> {
    let Ok(opened) = SqliteLog::open_read_only(log) else { return Ok(false) };
    let Standing::Foreign { log_id, original } = standing(log, &opened)? else { return Ok(true) };
    let shown = log.display();
    let message = match original {
        Some(original) => format!(
            "{shown} is a copy of {}, which is still there: the two would share sandboxes and tell \
             different stories. Its events can be read (events, show, timeline). To go on with the \
             copy as a log of its own:\n  specline log adopt --as-copy {}",
            original.display(),
            place_flag(log)
        ),
        None => format!(
            "{shown} (log {log_id}) was not made by you on this machine, and what it says is not \
             obeyed: its events name programs to run. It can be read (events, show, timeline). If \
             you know where it comes from, and want to go on with it:\n  specline log adopt {}",
            place_flag(log)
        ),
    };
    Err(Failure::new(Exit::Configuration, message))
}

/// The flag that names this log.
fn place_flag(log: &Path) -> String {
    let folder = log.parent().filter(|folder| folder.file_name().is_some_and(|n| n == FOLDER));
    match folder.and_then(Path::parent) {
        Some(repo) => format!("--repo {}", repo.display()),
        None => format!("--store sqlite:{}", log.display()),
    }
}

/// Writes down that this user obeys `log`.
pub fn remember(log: &Path, log_id: Uuid) -> Result<(), Failure> {
    let write = || -> io::Result<()> {
        let this = Known::of(log)?;
        let mut record = read(log_id);
        if record.logs.contains(&this) {
            return Ok(());
        }
        // A path holds one file, and a file that moved has one path.
        record.logs.retain(|known| known.path != this.path && !known.is_same_file(&this));
        record.logs.push(this);
        let folder = state_folder(&log_id.to_string());
        private_folder(&folder)?;
        write_whole(&folder.join(FILE), &serde_json::to_vec(&record)?)
    };
    write().map_err(|error| {
        Failure::new(
            Exit::Configuration,
            format!(
                "{} cannot be written: {error}; set SPECLINE_STATE_DIR to a folder that can be \
                 written",
                state_folder(&log_id.to_string()).display()
            ),
        )
    })
}

fn read(log_id: Uuid) -> Record {
    let file = state_folder(&log_id.to_string()).join(FILE);
    let bytes = read_regular(&file, MAX_BYTES).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// The folder of a log and what leads to it must be this user's own: whoever can exchange them
/// decides what is obeyed.
pub fn check_folder(place: &Place) -> Result<(), Failure> {
    let Ok(metadata) = fs::symlink_metadata(&place.folder) else { return Ok(()) };
    let shown = place.folder.display();
    let refuse = |problem: String| Err(Failure::new(Exit::Configuration, problem));
    let me = rustix::process::geteuid().as_raw();
    if place.is_own_folder() {
        if metadata.is_symlink() {
            return refuse(format!("{shown} is a link, and is not followed; remove it"));
        }
        if metadata.uid() != me {
            return refuse(format!(
                "{shown} belongs to user {}, and you are {me}: what it says is not obeyed; keep \
                 your own log elsewhere, with --store sqlite:FILE",
                metadata.uid()
            ));
        }
    }
    if let Ok(log) = fs::symlink_metadata(&place.log)
        && log.uid() != me
    {
        let (path, owner) = (place.log.display(), log.uid());
        return refuse(format!("{path} belongs to user {owner}, and you are {me}"));
    }
    if let Some(file) = place.is_own_folder().then(|| tracked(&place.folder)).flatten() {
        return refuse(format!(
            "git tracks {file}: what is in a repository is everybody's, and your log is not. Take \
             it out (git rm --cached -r {FOLDER}), look at what it is, and remove what you did not \
             make"
        ));
    }
    let open = place.folder.ancestors().find(|folder| is_open(folder));
    if let Some(open) = open {
        return refuse(format!(
            "every user of this machine may exchange what lies in {}: take that right away (chmod \
             o-w), or keep the log elsewhere with --store sqlite:FILE",
            open.display()
        ));
    }
    Ok(())
}

/// A file of `folder` that git tracks. None also where git cannot be asked: then nothing can be
/// tracked that a person sees.
fn tracked(folder: &Path) -> Option<String> {
    let repo = folder.parent()?;
    repo.ancestors().find(|above| above.join(".git").symlink_metadata().is_ok())?;
    let asked = Git::reading(repo, "look for tracked files").args(["ls-files", "-z", "--"]);
    let answer = asked.arg(FOLDER).run().ok()?;
    let first = answer.split(|byte| *byte == 0).find(|path| !path.is_empty())?;
    Some(String::from_utf8_lossy(first).into_owned())
}

/// Whether anybody may rename what lies in it: world-writable, and not sticky.
fn is_open(folder: &Path) -> bool {
    const WRITABLE: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    fs::metadata(folder).is_ok_and(|m| m.mode() & WRITABLE != 0 && m.mode() & STICKY == 0)
}

fn unreadable(log: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Configuration, format!("{} cannot be read: {error}", log.display()))
}
