//! How a supervisor starts its worker.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use super::folder::Folder;
use super::orders::Orders;
use crate::sandbox::confine;

/// Starts the worker in its working copy, in a process group of its own, with nothing on stdin.
/// Must be called on a thread that lives as long as the worker may (`--die-with-parent`).
pub(super) fn start(orders: &Orders, folder: &Folder) -> Result<Child, String> {
    if orders.program.is_absolute() && !orders.program.exists() {
        // What confines it would start, and only then find nothing to run.
        return Err(format!("{}: no such program", orders.program.display()));
    }
    let view = &orders.view;
    let mut command = confine::command(&orders.isolation, view, &folder.work(), &orders.program);
    command
        .args(&orders.args)
        .env_clear()
        .envs(&orders.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    command
        .spawn()
        .map_err(|error| format!("{}: {}", command.get_program().display(), in_words(&error)))
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
