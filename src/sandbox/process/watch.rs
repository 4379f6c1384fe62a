//! Watching supervisors: the engine's own children and those of an earlier engine alike.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use specline_aggregates::SandboxId;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use super::folder::Folder;
use super::orders::{Ending, Record};
use super::reap;
use crate::sandbox::provider::{Cause, Exit, Exited};

/// The sandboxes whose end will be reported, each once.
#[derive(Clone)]
pub(super) struct Watched {
    sandboxes: Arc<Mutex<HashSet<SandboxId>>>,
    report: mpsc::Sender<Exited>,
}

impl Watched {
    pub(super) fn new(report: mpsc::Sender<Exited>) -> Self {
        Self { sandboxes: Arc::default(), report }
    }

    /// Reports the end of the sandbox in `folder`, unless it is watched already.
    pub(super) fn watch(&self, folder: Folder, record: Record, child: Option<Child>) {
        let sandbox = record.sandbox;
        if !self.watching().insert(sandbox) {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            if let Some(fd) = record.supervisor.open()
                && let Err(error) = until_gone(fd).await
            {
                tracing::warn!(sandbox.id = %sandbox, %error, "cannot watch by pidfd");
            }
            let settled = spawn_blocking(move || {
                if let Some(mut child) = child {
                    let _ = child.wait();
                }
                settle(&folder, sandbox, Some(&record))
            });
            this.watching().remove(&sandbox);
            if let Ok(exited) = settled.await {
                // A closed channel belongs to an engine that is ending.
                let _ = this.report.send(exited).await;
            }
        });
    }

    fn watching(&self) -> MutexGuard<'_, HashSet<SandboxId>> {
        self.sandboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Enough to wait in `poll`.
const WAIT_STACK_BYTES: usize = 128 * 1024;

/// Returns when the process of `pidfd` has ended.
///
/// A small thread waits, for the event loop takes a foreign descriptor only through unsafe code;
/// one of the runtime's own threads would keep the runtime from shutting down.
pub(super) async fn until_gone(pidfd: OwnedFd) -> io::Result<()> {
    let (tell, told) = oneshot::channel();
    let thread = thread::Builder::new().name("pidfd".to_owned()).stack_size(WAIT_STACK_BYTES);
    thread.spawn(move || {
        // Nobody listens when the wait was given up.
        let _ = tell.send(wait(&pidfd));
    })?;
    told.await.unwrap_or_else(|_| Err(io::Error::other("the waiting thread is gone")))
}

fn wait(pidfd: &OwnedFd) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], None) {
            Err(rustix::io::Errno::INTR) | Ok(0) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// How a sandbox without a living supervisor ended. What a killed supervisor left is ended first.
/// It blocks.
pub(super) fn settle(folder: &Folder, sandbox: SandboxId, known: Option<&Record>) -> Exited {
    let ending = folder.ending().unwrap_or_else(|| {
        let record = folder.record();
        let left = reap::orphans(folder, record.as_ref().or(known));
        if !left.is_empty() {
            tracing::warn!(sandbox.id = %sandbox, pids = ?left, "processes that cannot be ended");
        }
        let last_lines = folder.last_lines();
        Ending { exit: Exit::Unknown, cause: Cause::SupervisorLost, last_lines }
    });
    Exited { sandbox, exit: ending.exit, cause: ending.cause, last_lines: ending.last_lines }
}
