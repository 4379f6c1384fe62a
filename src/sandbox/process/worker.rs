//! How a supervisor starts its worker.

use std::fs::canonicalize;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::folder::Folder;
use super::orders::Orders;
use crate::sandbox::isolation::{FLAGS, Isolation};

/// Starts the worker in its working copy, in a process group of its own, with nothing on stdin.
/// Must be called on a thread that lives as long as the worker may (`--die-with-parent`).
pub(super) fn start(orders: &Orders, folder: &Folder) -> Result<Child, String> {
    if orders.program.is_absolute() && !orders.program.exists() {
        // Bubblewrap would start, and only then find nothing to run.
        return Err(format!("{}: no such program", orders.program.display()));
    }
    let mut command = match &orders.isolation {
        Isolation::Bubblewrap { program, .. } => contained(program, orders, folder),
        Isolation::Subreaper => Command::new(&orders.program),
    };
    command
        .args(&orders.args)
        .env_clear()
        .envs(&orders.env)
        .current_dir(folder.work())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    command
        .spawn()
        .map_err(|error| format!("{}: {}", command.get_program().display(), in_words(&error)))
}

/// `bwrap <flags> -- <program>`: no secret among them.
fn contained(bwrap: &Path, orders: &Orders, folder: &Folder) -> Command {
    let mut command = Command::new(bwrap);
    command.args(FLAGS);
    // Other sandboxes are none of this one's business.
    let own = folder.path();
    let siblings = own.parent().map(Path::to_path_buf);
    for path in orders.hide.iter().cloned().chain(siblings) {
        if let Some(path) = existing_folder(&path) {
            command.arg("--tmpfs").arg(path);
        }
    }
    command.arg("--bind").arg(own).arg(own);
    command.arg("--chdir").arg(folder.work()).arg("--").arg(&orders.program);
    command
}

fn existing_folder(path: &Path) -> Option<PathBuf> {
    canonicalize(path).ok().filter(|path| path.is_dir())
}

fn in_words(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        return "no such program".to_owned();
    }
    if error.kind() == io::ErrorKind::ArgumentListTooLong {
        return "the environment is too long".to_owned();
    }
    error.to_string()
}
