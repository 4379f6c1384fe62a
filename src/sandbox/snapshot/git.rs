//! The git program, run with nothing of the caller's environment that could change what it does:
//! no hooks, no prompts, no `GIT_*` variables.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::SnapshotError;

/// For every call, ours or in the user's repository.
const QUIET: [&str; 6] = [
    "safe.directory=*",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "advice.detachedHead=false",
    "gc.autoDetach=false",
];

/// For calls on our own repositories: content goes in and out as it is, and is on disk after.
const EXACT: [&str; 8] = [
    "core.autocrlf=false",
    "core.symlinks=true",
    "core.fileMode=true",
    "core.protectNTFS=false",
    "core.protectHFS=false",
    "core.splitIndex=false",
    "core.fsync=committed",
    "core.fsyncMethod=batch",
];

const IDENTITY: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "Specline"),
    ("GIT_AUTHOR_EMAIL", "specline@localhost"),
    ("GIT_COMMITTER_NAME", "Specline"),
    ("GIT_COMMITTER_EMAIL", "specline@localhost"),
];

pub(super) struct Git {
    command: Command,
    what: &'static str,
}

impl Git {
    /// On a repository of ours.
    pub(super) fn at(git_dir: &Path, what: &'static str) -> Self {
        Self::plain(what).option("--git-dir", git_dir)
    }

    /// Without a repository, with our configuration alone.
    pub(super) fn plain(what: &'static str) -> Self {
        let git = Self::bare_call(what).env("GIT_CONFIG_GLOBAL", "/dev/null");
        IDENTITY
            .iter()
            .fold(git, |git, (name, value)| git.env(name, value))
            .configure(&EXACT)
            .env("GIT_CONFIG_NOSYSTEM", "1")
    }

    /// In a folder of the user's, whose own settings say what is ignored. For reading only.
    pub(super) fn reading(folder: &Path, what: &'static str) -> Self {
        Self::bare_call(what).arg("-C").arg(folder)
    }

    fn bare_call(what: &'static str) -> Self {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"GIT_") {
                command.env_remove(name);
            }
        }
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        Self { command, what }.configure(&QUIET)
    }

    fn configure(mut self, settings: &[&str]) -> Self {
        for setting in settings {
            self.command.args(["-c", setting]);
        }
        self
    }

    /// `name=path`, whatever bytes the path has.
    pub(super) fn option(self, name: &str, path: &Path) -> Self {
        let mut option = OsString::from(name);
        option.push("=");
        option.push(path);
        self.arg(option)
    }

    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(super) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(super) fn stdin(mut self, file: File) -> Self {
        self.command.stdin(file);
        self
    }

    /// What it printed; a non-zero exit is an error with what it said.
    pub(super) fn run(self) -> Result<Vec<u8>, SnapshotError> {
        let what = self.what;
        self.answer()?.map_err(|message| {
            if message.contains("No space left on device") {
                return SnapshotError::NoSpace { what: what.to_owned() };
            }
            SnapshotError::Git { what, message }
        })
    }

    /// What it printed, or what it said when its exit was not zero.
    pub(super) fn answer(mut self) -> Result<Result<Vec<u8>, String>, SnapshotError> {
        let output = self.command.output().map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound {
                return SnapshotError::GitMissing;
            }
            SnapshotError::io("run", Path::new("git"), source)
        })?;
        if output.status.success() {
            return Ok(Ok(output.stdout));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Ok(Err(said.trim().chars().take(2000).collect()))
    }

    /// The one line that it printed.
    pub(super) fn line(self) -> Result<String, SnapshotError> {
        Ok(String::from_utf8_lossy(&self.run()?).trim_end_matches('\n').to_owned())
    }

    /// The one path that it printed, without the line's end.
    pub(super) fn path(self) -> Result<PathBuf, SnapshotError> {
        let mut bytes = self.run()?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        Ok(PathBuf::from(OsString::from_vec(bytes)))
    }
}
