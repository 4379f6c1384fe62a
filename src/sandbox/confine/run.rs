//! `specline confine`: holds itself to a view and to limits, and becomes the program, or starts it
//! and ends whatever it leaves behind.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use rustix::process::{Signal, getpid, set_child_subreaper, set_parent_process_death_signal};
use tokio::signal::unix::{SignalKind, signal};

use super::landlock::restrict;
use super::{Limits, View};
use crate::sandbox::process::end_descendants;

/// A program that could not be confined is not run; shells say 126 for that.
const NOT_RUN: u8 = 126;

/// How long what a program left behind may take to end when it is asked to.
const LEFTOVER_GRACE: Duration = Duration::from_millis(250);

/// What the subcommand is told; none of it is secret.
#[derive(Debug)]
pub struct Order {
    /// JSON of a [`View`]; none = whatever it sees already.
    pub view: Option<String>,
    /// JSON of [`Limits`].
    pub limits: Option<String>,
    /// Whether all that the program leaves behind ends with it, and all of it with its starter.
    pub reap: bool,
    pub program: OsString,
    pub args: Vec<OsString>,
}

/// Returns only when the program could not be started, or has ended and was to be reaped. It
/// blocks, and needs a process without other threads.
#[must_use]
pub fn confine(order: &Order) -> ExitCode {
    match run(order) {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            let _ = writeln!(io::stderr(), "specline: {message}");
            ExitCode::from(NOT_RUN)
        }
    }
}

fn run(order: &Order) -> Result<u8, String> {
    let words = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    if order.reap {
        set_parent_process_death_signal(Some(Signal::TERM))
            .map_err(|error| words("end with the starter", &error))?;
        set_child_subreaper(Some(getpid())).map_err(|e| words("become a subreaper", &e))?;
    }
    if let Some(json) = &order.limits {
        let limits: Limits = serde_json::from_str(json).map_err(|e| words("--limits", &e))?;
        limits.apply().map_err(|error| words("the limits cannot be set", &error))?;
    }
    if let Some(json) = &order.view {
        let view: View = serde_json::from_str(json).map_err(|e| words("--view", &e))?;
        restrict(&view).map_err(|error| words("the program cannot be confined", &error))?;
    }
    let mut command = Command::new(&order.program);
    command.args(&order.args);
    let named = order.program.to_string_lossy().into_owned();
    if !order.reap {
        return Err(words(&named, &command.exec()));
    }
    let status = outlast(command).map_err(|error| words(&named, &error))?;
    end_descendants(LEFTOVER_GRACE);
    let code = status.and_then(|s| s.code().or_else(|| s.signal().map(|signal| 128 + signal)));
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(NOT_RUN))
}

/// How the program ended; none when this process was told to end first.
fn outlast(command: Command) -> io::Result<Option<ExitStatus>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut told = signal(SignalKind::terminate())?;
        let mut child = tokio::process::Command::from(command).spawn()?;
        tokio::select! {
            status = child.wait() => status.map(Some),
            _ = told.recv() => Ok(None),
        }
    })
}
