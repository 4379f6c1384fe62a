//! Runs a program for one answer: what it is told goes to its stdin while its stdout and stderr are
//! read, its own exit ends it, and all that it left in its process group ends with it. Time and
//! bytes are bounded.
//!
//! What confines the program is the caller's to choose: it hands over the command.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long pipes are read after the program's own exit: what it wrote itself is in them already,
/// and a child that holds them open may do so for ever.
const DRAIN: Duration = Duration::from_secs(1);

/// How long a program has to end by itself when it is told to.
const TIDY: Duration = Duration::from_secs(1);

/// Longest stderr line that is told of, in bytes.
const MAX_LINE_BYTES: u64 = 8 * 1024;

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// How far a program may go.
#[derive(Debug, Clone)]
pub struct Bounds {
    pub time: Duration,
    /// One byte more is kept, so that a longer answer can be told from one that fits.
    pub stdout_bytes: usize,
    /// Set when nobody wants the answer any more.
    pub stop: CancellationToken,
}

/// A program that has ended by itself.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    /// Of stderr.
    pub last_line: String,
}

/// Why there is no answer. The program does not run any more.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{0}")]
    NotStarted(io::Error),
    #[error("{0}")]
    Io(io::Error),
    #[error("it did not end within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("it was called off")]
    Stopped,
}

/// Where the lines of stderr go.
pub type Lines = Box<dyn FnMut(&str) + Send>;

/// Runs `command` with `input` on its stdin.
pub async fn run(
    mut command: Command,
    input: Vec<u8>,
    bounds: &Bounds,
    lines: Lines,
) -> Result<Ended, RunError> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(RunError::NotStarted)?;
    // After the exit nobody can say it any more, and the group may outlive its first process.
    let group = Group::of(&child);
    let (stdout, last_line) = (Arc::default(), Arc::default());
    let mut pipes = JoinSet::new();
    if let Some(mut stdin) = child.stdin.take() {
        pipes.spawn(async move {
            // A program that does not read its stdin is not wrong for that.
            drop(stdin.write_all(&input).await);
        });
    }
    if let Some(pipe) = child.stdout.take() {
        pipes.spawn(keep(pipe, Arc::clone(&stdout), bounds.stdout_bytes.saturating_add(1)));
    }
    if let Some(pipe) = child.stderr.take() {
        pipes.spawn(tell(pipe, Arc::clone(&last_line), lines));
    }
    let status = tokio::select! {
        status = child.wait() => status.map_err(RunError::Io),
        () = tokio::time::sleep(bounds.time) => Err(RunError::TimedOut(bounds.time)),
        () = bounds.stop.cancelled() => Err(RunError::Stopped),
    };
    if status.is_ok() {
        let drained = async { while pipes.join_next().await.is_some() {} };
        // Whoever holds a pipe open for longer has no part in the answer.
        drop(tokio::time::timeout(DRAIN, drained).await);
    }
    if status.is_err() {
        // It may tidy up; one that only keeps others together ends them.
        group.signal(Signal::TERM);
        drop(tokio::time::timeout(TIDY, child.wait()).await);
    }
    drop(group);
    drop(child.kill().await);
    pipes.abort_all();
    let status = status?;
    let stdout = std::mem::take(&mut *stdout.lock().unwrap_or_else(PoisonError::into_inner));
    let last_line = std::mem::take(&mut *last_line.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Ended { status, stdout, last_line })
}

/// A process group, which is killed when it is dropped: also when the call is given up.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Self(pid.and_then(Pid::from_raw))
    }

    /// A group that is gone is no error.
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Keeps what `pipe` says, at most `most` bytes; then the pipe is closed.
async fn keep(mut pipe: impl AsyncRead + Unpin, kept: Arc<Mutex<Vec<u8>>>, most: usize) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(n @ 1..) = pipe.read(&mut chunk).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = most.saturating_sub(kept.len());
        kept.extend(&chunk[..n.min(room)]);
        if room <= n {
            return;
        }
    }
}

/// Tells of each line, and keeps the last.
async fn tell(pipe: impl AsyncRead + Unpin, last: Arc<Mutex<String>>, mut lines: Lines) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await;
        if !matches!(read, Ok(1..)) {
            return;
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if !text.is_empty() {
            lines(&text);
            *last.lock().unwrap_or_else(PoisonError::into_inner) = text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    fn bounds(time: Duration) -> Bounds {
        Bounds { time, stdout_bytes: 1 << 20, stop: CancellationToken::new() }
    }

    async fn ask(script: &str, input: Vec<u8>) -> Result<Ended, RunError> {
        run(sh(script), input, &bounds(Duration::from_mins(1)), Box::new(|_| ())).await
    }

    #[tokio::test]
    async fn one_that_writes_before_it_reads_is_heard() {
        let script = "head -c 500000 /dev/zero; wc -c";
        let ended = ask(script, vec![b'x'; 1 << 20]).await.unwrap();
        assert!(ended.status.success());
        assert_eq!(&ended.stdout[500_000..], b"1048576\n");
    }

    #[tokio::test]
    async fn a_child_that_holds_stdout_open_is_not_waited_for_and_does_not_live_on() {
        let script = "sleep 31536000 & echo $!; exit 0";
        let ended = ask(script, Vec::new()).await.unwrap();
        let pid = String::from_utf8(ended.stdout).unwrap();
        // It was killed; the kernel takes a moment to make it so.
        let lives = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while lives() {
            assert!(std::time::Instant::now() < deadline, "{pid} lives");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_is_too_much_is_cut_off_and_an_end_is_found_in_time() {
        let bounds = Bounds { stdout_bytes: 10, ..bounds(Duration::from_millis(300)) };
        let ended = run(sh("echo 0123456789ab; exec cat"), Vec::new(), &bounds, Box::new(|_| ()));
        assert_eq!(ended.await.unwrap().stdout, b"0123456789a");
        let late = run(sh("trap '' TERM; sleep 31536000"), Vec::new(), &bounds, Box::new(|_| ()));
        assert!(matches!(late.await, Err(RunError::TimedOut(_))));
        bounds.stop.cancel();
        let stopped = run(sh("sleep 31536000"), Vec::new(), &bounds, Box::new(|_| ()));
        assert!(matches!(stopped.await, Err(RunError::Stopped)));
        let missing = run(Command::new("/no/such"), Vec::new(), &bounds, Box::new(|_| ())).await;
        assert!(matches!(missing, Err(RunError::NotStarted(_))));
    }
}
