//! Runs one call within its bounds. What it prints is read while it runs; when it ends, or is
//! ended, nothing of its process group is left.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process_group, pidfd_open, prlimit,
};

use super::GitError;
use super::stuck;

/// After so long the folder is looked over for what may hold the call up.
const LOOK_AFTER: Duration = Duration::from_secs(2);

/// Names and ids of a million files fit; a call that prints more is ended.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// What git may hold of its own memory, in bytes; what it maps of packs does not count. A file
/// below `core.bigFileThreshold` (512 MiB) is held whole, and again where it is packed.
const MAX_MEMORY: u64 = 2 * 1024 * 1024 * 1024;

/// What is kept of what it says on stderr.
const MAX_SAID: usize = 64 * 1024;

pub(super) struct Bounds {
    pub limit: Duration,
    /// A folder whose files the call reads.
    pub folder: Option<PathBuf>,
}

impl Bounds {
    pub(super) const fn within(limit: Duration) -> Self {
        Self { limit, folder: None }
    }
}

pub(super) struct Output {
    pub is_success: bool,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

pub(super) fn run(
    mut command: Command,
    what: &'static str,
    bounds: &Bounds,
) -> Result<Output, GitError> {
    let failed = |source: io::Error| {
        if source.kind() == io::ErrorKind::NotFound {
            return GitError::Missing;
        }
        GitError::Io { what, source }
    };
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let mut call = Call::of(child).map_err(failed)?;
    call.read(what, bounds)?;
    let is_success = call.end().map_err(failed)?;
    Ok(Output { is_success, stdout: call.stdout.take(), stderr: call.stderr.take() })
}

/// A running git; it is ended when this goes.
struct Call {
    child: Child,
    ended: OwnedFd,
    stdout: Pipe,
    stderr: Pipe,
}

impl Call {
    fn of(mut child: Child) -> io::Result<Self> {
        let made = Self::watch(&mut child);
        match made {
            Ok((ended, stdout, stderr)) => Ok(Self { child, ended, stdout, stderr }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    /// Set right after the start: it has opened nothing of the repository's yet that could matter.
    fn confine(child: &Child) -> io::Result<()> {
        let bound = Rlimit { current: Some(MAX_MEMORY), maximum: Some(MAX_MEMORY) };
        match prlimit(Some(pid(child)), Resource::Data, bound) {
            // It has ended, or the system bounds its users more tightly already.
            Ok(_) | Err(Errno::SRCH | Errno::PERM) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn watch(child: &mut Child) -> io::Result<(OwnedFd, Pipe, Pipe)> {
        Self::confine(child)?;
        let ended = pidfd_open(pid(child), PidfdFlags::empty())?;
        let stdout = Pipe::of(child.stdout.take().map(OwnedFd::from), MAX_BYTES)?;
        let stderr = Pipe::of(child.stderr.take().map(OwnedFd::from), MAX_SAID)?;
        Ok((ended, stdout, stderr))
    }

    /// Reads until the program has ended and all that it printed is read.
    fn read(&mut self, what: &'static str, bounds: &Bounds) -> Result<(), GitError> {
        let began = Instant::now();
        let mut has_looked = false;
        loop {
            let passed = began.elapsed();
            if passed >= bounds.limit {
                return Err(GitError::TimedOut { what, limit_s: bounds.limit.as_secs() });
            }
            if let Some(folder) = bounds.folder.as_deref().filter(|_| passed >= LOOK_AFTER)
                && !std::mem::replace(&mut has_looked, true)
                && let Some(path) = stuck::culprit(folder)
            {
                return Err(GitError::Stuck { what, path });
            }
            let until = if has_looked { bounds.limit } else { bounds.limit.min(LOOK_AFTER) };
            let has_ended = self
                .wait(until.saturating_sub(passed))
                .and_then(|ended| self.drain().map(|()| ended))
                .map_err(|source| GitError::Io { what, source })?;
            if self.stdout.is_over {
                return Err(GitError::TooMuch { what, max_bytes: MAX_BYTES });
            }
            if has_ended {
                return Ok(());
            }
        }
    }

    /// Waits for anything to happen; whether the program has ended.
    fn wait(&self, at_most: Duration) -> io::Result<bool> {
        let mut fds = vec![PollFd::new(&self.ended, PollFlags::IN)];
        let open = [&self.stdout, &self.stderr].into_iter().filter_map(|pipe| pipe.file.as_ref());
        fds.extend(open.map(|file| PollFd::new(file, PollFlags::IN)));
        // Some more than asked for, so that the limit has passed when it is looked at again.
        let at_most = Timespec::try_from(at_most + Duration::from_millis(1));
        match poll(&mut fds, at_most.ok().as_ref()) {
            Ok(_) => Ok(!fds[0].revents().is_empty()),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn drain(&mut self) -> io::Result<()> {
        self.stdout.drain()?;
        self.stderr.drain()
    }

    /// Whether it ended well. What is left of its group goes first: its number is its own as long
    /// as nobody has waited for it.
    fn end(&mut self) -> io::Result<bool> {
        let _ = kill_process_group(pid(&self.child), Signal::KILL);
        Ok(self.child.wait()?.success())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_)))
            && let Err(error) = self.end()
        {
            tracing::warn!(%error, "a git program could not be ended");
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// One of its outputs, read as far as there is room.
struct Pipe {
    file: Option<std::fs::File>,
    bytes: Vec<u8>,
    max: usize,
    is_over: bool,
}

impl Pipe {
    fn of(fd: Option<OwnedFd>, max: usize) -> io::Result<Self> {
        if let Some(fd) = &fd {
            fcntl_setfl(fd.as_fd(), fcntl_getfl(fd.as_fd())? | OFlags::NONBLOCK)?;
        }
        let file = fd.map(std::fs::File::from);
        Ok(Self { file, bytes: Vec::new(), max, is_over: false })
    }

    fn drain(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        while let Some(file) = &mut self.file {
            match file.read(&mut buffer) {
                Ok(0) => self.file = None,
                Ok(n) => {
                    let room = self.max - self.bytes.len();
                    self.bytes.extend(&buffer[..n.min(room)]);
                    self.is_over |= n > room;
                    if self.is_over && self.max == MAX_BYTES {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).process_group(0).stdin(Stdio::null());
        command
    }

    fn said(script: &str, limit: Duration) -> Result<Output, GitError> {
        run(shell(script), "test", &Bounds::within(limit))
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn both_outputs_are_read_however_much_it_is() {
        let script = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; exit 3";
        let output = said(script, LONG).unwrap();
        assert!(!output.is_success);
        assert_eq!((output.stdout.len(), output.stderr.len()), (300_000, MAX_SAID));
        assert!(said("true", LONG).unwrap().is_success);
    }

    #[test]
    fn a_call_that_hangs_is_ended_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        // The reader of the pipe is a grandchild that holds the outputs as well.
        let script = format!("(cat '{}'; true) & wait", fifo.display());
        let error = said(&script, Duration::from_millis(50)).err().unwrap();
        assert!(matches!(error, GitError::TimedOut { .. }), "{error}");
        let end = Instant::now() + LONG;
        let is_read = || {
            let flags = OFlags::WRONLY | OFlags::NONBLOCK;
            rustix::fs::open(&fifo, flags, rustix::fs::Mode::empty()).is_ok()
        };
        while is_read() {
            assert!(Instant::now() < end, "the reader lives on");
        }
    }

    #[test]
    fn a_child_that_holds_the_outputs_does_not_hold_the_call() {
        let output = said("sleep 600 & echo done", LONG).unwrap();
        assert!(output.is_success);
        assert_eq!(output.stdout, b"done\n");
    }

    #[test]
    fn a_program_that_is_not_there_is_said_so() {
        let missing = Command::new("/nowhere/git");
        let error = run(missing, "test", &Bounds::within(LONG)).err().unwrap();
        assert!(matches!(error, GitError::Missing));
    }

    #[test]
    fn the_folder_is_looked_over_when_a_call_takes_long() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join(".gitignore");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, rustix::fs::Mode::RWXU, 0).unwrap();
        let bounds = Bounds { limit: LONG, folder: Some(dir.path().to_owned()) };
        let error = run(shell("sleep 600"), "test", &bounds).err().unwrap();
        assert!(matches!(error, GitError::Stuck { path, .. } if path == fifo));
    }

    #[test]
    fn the_look_is_for_what_git_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("README.md");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, rustix::fs::Mode::RWXU, 0).unwrap();
        assert_eq!(stuck::culprit(dir.path()), None);
        std::fs::create_dir_all(dir.path().join(".git/info")).unwrap();
        let link = dir.path().join(".git/info/exclude");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(stuck::culprit(dir.path()), Some(link));
    }
}
