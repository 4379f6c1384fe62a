//! How the engine starts a supervisor and hears that its worker runs.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::environment::{self, compose, harmless};
use super::folder::Folder;
use super::machine::living;
use super::options::Options;
use super::orders::{Orders, Record, Report};
use super::reap;
use crate::sandbox::confine::View;
use crate::sandbox::files::{Lock, is_full, private_file, private_folder};
use crate::sandbox::provider::{SpawnError, SpawnRequest};
use crate::sandbox::snapshot::Snapshots;
use crate::untrusted::read_regular;

/// A supervisor that has not answered by then hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The contract's variable with the engine's address.
const API_URL: &str = "OMOIOS_API_URL";

/// More than any report has.
const MAX_REPORT_BYTES: u64 = 64 * 1024;

/// A supervisor whose worker runs.
pub(super) struct Started {
    pub record: Record,
    /// None when it was there before.
    pub child: Option<Child>,
}

/// Makes the sandbox's folder and starts its supervisor, or finds the one that lives. It blocks.
pub(super) fn start(
    options: &Options,
    snapshots: &Snapshots,
    request: &SpawnRequest,
) -> Result<Started, SpawnError> {
    let folder = Folder::of(&options.sandboxes(), request.sandbox);
    let failed = |what| move |error| failure(what, folder_of(options, request).path(), error);
    private_folder(folder.path()).map_err(failed("make"))?;
    // Two spawns of one sandbox go one after the other: the second finds what the first started.
    let _starting = Lock::wait(&folder.start_lock()).map_err(failed("lock"))?;
    if folder.is_owned().map_err(failed("lock"))? {
        // Started by an engine that died: it may know that one's address only.
        if let Some(api_url) = request.env.get(API_URL) {
            folder.write_api(api_url).map_err(failed("write"))?;
        }
        return found(&folder);
    }
    let orders = orders(options, request, &folder)?;
    let left = reap::orphans(&folder, folder.record().as_ref());
    if !left.is_empty() {
        let message = format!("processes of an earlier start cannot be ended: {left:?}");
        return Err(SpawnError::Supervisor { message });
    }
    folder.prepare().map_err(failed("prepare"))?;
    if let Some(api_url) = request.env.get(API_URL) {
        folder.write_api(api_url).map_err(failed("write"))?;
    }
    snapshots.checkout(&request.commit, &folder.work())?;
    let child = launch(options, &folder)?;
    hear(child, &orders, &folder)
}

fn folder_of(options: &Options, request: &SpawnRequest) -> Folder {
    Folder::of(&options.sandboxes(), request.sandbox)
}

/// A supervisor that owns its folder has told of itself there, or is just about to end.
fn found(folder: &Folder) -> Result<Started, SpawnError> {
    let record = living(folder, None);
    let message = "another process holds the sandbox's lock".to_owned();
    let record = record.ok_or(SpawnError::Supervisor { message })?;
    Ok(Started { record, child: None })
}

fn orders(
    options: &Options,
    request: &SpawnRequest,
    folder: &Folder,
) -> Result<Orders, SpawnError> {
    let env = compose(request, folder)?;
    Ok(Orders {
        sandbox: request.sandbox,
        owner: request.owner,
        epoch: request.epoch,
        program: options.worker.program.clone(),
        args: options.worker.args.clone(),
        secrets: environment::secrets(request, &env),
        env,
        isolation: options.isolation.clone(),
        view: view(options, request, folder),
        limits: options.limits,
        silence: Duration::from_millis(request.lease_ms).saturating_add(options.lease_grace),
        end_grace: options.end_grace,
        log_bytes: options.log_bytes,
    })
}

/// What the worker may see and write. All that lies in the state folder is hidden but for what is
/// its own, and the objects that its working copy borrows.
fn view(options: &Options, request: &SpawnRequest, folder: &Folder) -> View {
    let agent = [folder.work(), folder.home(), folder.temporary(), folder.outbox()];
    let writable = agent.into_iter().chain([folder.lease()]).chain(options.writable.clone());
    View {
        writable: writable.collect(),
        shared: options.shared.clone(),
        protected: request.protect.clone(),
        hidden: request.hide.iter().cloned().chain([options.state.clone()]).collect(),
        readable: vec![folder.told(), options.state.join("snapshots.git/objects")],
    }
}

fn launch(options: &Options, folder: &Folder) -> Result<Child, SpawnError> {
    let path = folder.supervisor_log();
    let stderr = private_file(&path).map_err(|e| failure("write", &path, e))?;
    Command::new(&options.supervise.program)
        .args(&options.supervise.args)
        .arg(folder.path())
        .env_clear()
        .envs(harmless())
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .map_err(|source| SpawnError::Program {
            program: options.supervise.program.clone(),
            source,
        })
}

fn hear(mut child: Child, orders: &Orders, folder: &Folder) -> Result<Started, SpawnError> {
    let answer = ask(&mut child, orders);
    let message = match answer {
        Ok(Report::Started(record)) => return Ok(Started { record, child: Some(child) }),
        Ok(Report::Busy) => {
            end(&mut child);
            return found(folder);
        }
        Ok(Report::Failed { message }) => {
            end(&mut child);
            return Err(SpawnError::Worker { message });
        }
        Err(error) => error.to_string(),
    };
    end(&mut child);
    reap::orphans(folder, folder.record().as_ref());
    let said = read_regular(&folder.supervisor_log(), MAX_REPORT_BYTES).unwrap_or_default();
    let said: String = String::from_utf8_lossy(&said).chars().take(500).collect();
    let message = format!("{message} {said}").trim().to_owned();
    Err(SpawnError::Supervisor { message })
}

/// Hands over the orders and waits for the report.
fn ask(child: &mut Child, orders: &Orders) -> io::Result<Report> {
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let stdout = child.stdout.take().expect("stdout is piped");
    let sent = stdin.write_all(&serde_json::to_vec(orders)?);
    drop(stdin);
    let mut ready = [PollFd::new(&stdout, PollFlags::IN)];
    let patience = Timespec { tv_sec: i64::try_from(PATIENCE.as_secs()).unwrap_or(30), tv_nsec: 0 };
    if poll(&mut ready, Some(&patience))? == 0 {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "it was silent for too long"));
    }
    let mut line = String::new();
    BufReader::new(stdout.take(MAX_REPORT_BYTES)).read_line(&mut line)?;
    if line.is_empty() {
        sent?;
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended without a word"));
    }
    Ok(serde_json::from_str(&line)?)
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn failure(what: &'static str, path: &Path, source: io::Error) -> SpawnError {
    if is_full(&source) {
        return SpawnError::NoSpace { path: path.to_owned() };
    }
    SpawnError::Io { what, path: path.to_owned(), source }
}
