//! The git program. Every call of Specline goes through here, and runs nothing that a repository,
//! its settings or the caller's `GIT_*` variables name: [`pins`] holds the list. A call ends within
//! a bound of time and of output, and takes its whole process group with it.
//!
//! In a repository of a person's only plumbing is called that applies no filter, no diff or merge
//! driver and no signature program, since those have names that no list can hold: `rev-parse`,
//! `rev-list`, `ls-files`, `check-ignore`, and `log` for names of files. Git's own protection
//! against repositories of other owners holds: no `safe.directory` is set here, so that the
//! person's own settings decide.

mod error;
mod pins;
mod run;
mod stuck;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub use error::GitError;
use run::Bounds;

/// A call in a person's folder: listing the largest trees on a cold disk takes less.
const READING_LIMIT: Duration = Duration::from_mins(2);

/// A call on a repository of ours, which may read and write every file of a large tree.
const OWN_LIMIT: Duration = Duration::from_mins(10);

/// One call of git, being put together.
pub(crate) struct Git {
    command: Command,
    what: &'static str,
    bounds: Bounds,
}

impl Git {
    /// On a repository that Specline made, and whose settings are what it made them.
    pub(crate) fn at(git_dir: &Path, what: &'static str) -> Self {
        // A file `commondir` in it would lead to other settings.
        Self::plain(what).env("GIT_COMMON_DIR", git_dir).option("--git-dir", git_dir)
    }

    /// Without a repository, with our configuration alone.
    pub(crate) fn plain(what: &'static str) -> Self {
        let git = Self::bare_call(what, OWN_LIMIT)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        pins::IDENTITY
            .iter()
            .fold(git, |git, (name, value)| git.env(name, value))
            .configure(&pins::EXACT)
    }

    /// In a folder of a person's, whose own settings say what is ignored. For reading only.
    pub(crate) fn reading(folder: &Path, what: &'static str) -> Self {
        Self::bare_call(what, READING_LIMIT).reads(folder).arg("-C").arg(folder)
    }

    fn bare_call(what: &'static str, limit: Duration) -> Self {
        let mut command = Command::new("git");
        command.env_clear().stdin(Stdio::null()).process_group(0);
        for name in pins::PASSED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(pins::VARIABLES).args(pins::OPTIONS);
        Self { command, what, bounds: Bounds::within(limit) }.configure(&pins::SETTINGS)
    }

    fn configure(mut self, settings: &[&str]) -> Self {
        for setting in settings {
            self.command.args(["-c", setting]);
        }
        self
    }

    /// The call reads files of `folder` by git's own means: what can hold it up there is looked for
    /// when it takes long.
    pub(crate) fn reads(mut self, folder: &Path) -> Self {
        self.bounds.folder = Some(folder.to_owned());
        self
    }

    /// With another limit of time.
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.bounds.limit = limit;
        self
    }

    /// `name=path`, whatever bytes the path has.
    pub(crate) fn option(self, name: &str, path: &Path) -> Self {
        let mut option = OsString::from(name);
        option.push("=");
        option.push(path);
        self.arg(option)
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn stdin(mut self, file: File) -> Self {
        self.command.stdin(file);
        self
    }

    /// What it printed; a non-zero exit is an error with what it said.
    pub(crate) fn run(self) -> Result<Vec<u8>, GitError> {
        let what = self.what;
        self.answer()?.map_err(|message| {
            if message.contains("No space left on device") {
                return GitError::NoSpace { what };
            }
            GitError::Failed { what, message }
        })
    }

    /// What it printed, or what it said when its exit was not zero.
    pub(crate) fn answer(self) -> Result<Result<Vec<u8>, String>, GitError> {
        let output = run::run(self.command, self.what, &self.bounds)?;
        if output.is_success {
            return Ok(Ok(output.stdout));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Ok(Err(said.trim().chars().take(2000).collect()))
    }

    /// The one line that it printed.
    pub(crate) fn line(self) -> Result<String, GitError> {
        Ok(String::from_utf8_lossy(&self.run()?).trim_end_matches('\n').to_owned())
    }

    /// The one path that it printed, without the line's end.
    pub(crate) fn path(self) -> Result<PathBuf, GitError> {
        let mut bytes = self.run()?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        Ok(PathBuf::from(OsString::from_vec(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_whole() {
        for setting in pins::SETTINGS.iter().chain(&pins::EXACT) {
            let answer = Git::plain("read").args(["config", "--get"]);
            let (name, value) = setting.split_once('=').unwrap();
            assert_eq!(answer.arg(name).line().unwrap(), value, "{setting}");
        }
    }
}
