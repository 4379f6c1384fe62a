//! What a program may see, write and use on this machine, and the two ways to hold it to that:
//! bubblewrap's namespaces, and Landlock where there is no bubblewrap.
//!
//! Nothing here knows what runs: a sandbox's worker and an evaluator are confined alike.

mod bubblewrap;
mod complement;
mod landlock;
mod limits;
mod run;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::Isolation;

pub use limits::Limits;
pub use run::{Order, confine};

/// A view of the machine: everything may be read, nothing may be written, but for what is named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Folders that are the program's own.
    pub writable: Vec<PathBuf>,
    /// Folders of the machine that it may write to all the same; what is protected or hidden below
    /// them stays so.
    pub shared: Vec<PathBuf>,
    /// Never written to, wherever they lie.
    pub protected: Vec<PathBuf>,
    /// Files and folders whose content it must not see, wherever they lie.
    pub hidden: Vec<PathBuf>,
    /// What it may read although it lies below something hidden.
    pub readable: Vec<PathBuf>,
}

impl View {
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("lists of paths become JSON")
    }
}

/// The subcommand of this program that confines itself and then becomes another.
pub const SUBCOMMAND: &str = "confine";

/// `program` under `isolation`, in the folder `workdir`. No secret is in its arguments.
///
/// With bubblewrap it must be started from a thread that lives as long as it may
/// (`--die-with-parent`).
#[must_use]
pub fn command(isolation: &Isolation, view: &View, workdir: &Path, program: &Path) -> Command {
    let mut command = match isolation {
        Isolation::Bubblewrap { program: bwrap, .. } => {
            let mut command = Command::new(bwrap);
            command.args(bubblewrap::arguments(view)).arg("--chdir").arg(workdir).arg("--");
            command.arg(program);
            command
        }
        Isolation::Landlock { program: confiner } => {
            let mut command = Command::new(confiner);
            command.args([SUBCOMMAND, "--view", &view.to_json(), "--"]).arg(program);
            command
        }
        Isolation::Subreaper => Command::new(program),
    };
    command.current_dir(workdir);
    command
}
