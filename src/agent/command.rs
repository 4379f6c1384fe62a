//! Runs any program as an agent: one JSON object on stdin, the output as JSON on stdout or in a
//! file. What it writes to stderr goes to the timeline, line by line.

use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use specline_aggregates::spec::MAX_OUTPUT_BYTES;
use specline_aggregates::{RawJson, Usage};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

use super::{AgentError, Answer, CommandLine, Job};
use crate::protocol::Note;

/// How much of a bad answer is shown, in characters.
const SHOWN_CHARS: usize = 300;

/// How much of the last stderr line goes into a failure's message, in characters.
const LAST_LINE_CHARS: usize = 500;

/// Longest stderr line that is kept, in bytes.
const MAX_LINE_BYTES: usize = 8 * 1024;

pub(super) async fn run(line: &str, job: Job) -> Result<Answer, AgentError> {
    let line = CommandLine::parse(line).map_err(|error| AgentError::Missing(error.to_string()))?;
    let began = Instant::now();
    let output_path = job.scratch.join("output.json");
    let mut child = start(&line, &job)?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(AgentError::Failed("its pipes are missing".to_owned()));
    };
    let request = request(&job, &output_path);
    let limit = Duration::from_millis(job.work.time_limit_ms);
    let talk = talk(&mut child, (stdin, stdout, stderr), &request, &job.notes);
    let result = tokio::select! {
        result = talk => result,
        () = job.stop.cancelled() => Err(AgentError::Stopped),
        () = tokio::time::sleep(limit) => {
            Err(AgentError::TimedOut { seconds: limit.as_secs() })
        }
    };
    end_group(&mut child).await;
    let (stdout, status, last_line) = result?;
    // First: a program whose output is cut off may die of that.
    if stdout.len() > MAX_OUTPUT_BYTES {
        return Err(too_long());
    }
    check(status, &last_line)?;
    let written = tokio::fs::read(&output_path).await.ok().filter(|bytes| !bytes.is_empty());
    let output = parse(&written.unwrap_or(stdout))?;
    let told = read_usage(&job.scratch);
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let usage = Usage { duration_ms, ..told.usage() };
    Ok(Answer { output, usage, session: told.session })
}

fn start(line: &CommandLine, job: &Job) -> Result<Child, AgentError> {
    Command::new(&line.program)
        .args(&line.args)
        .current_dir(&job.workdir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| AgentError::Missing(format!("{}: {error}", line.program)))
}

fn request(job: &Job, output_path: &std::path::Path) -> Vec<u8> {
    let work = &job.work;
    let request = json!({
        "phase": work.phase,
        "attempt": work.attempt,
        "prompt": work.prompt,
        "system_prompt": work.system_prompt,
        "context": work.context,
        "output_schema": work.output_schema,
        "workdir": job.workdir,
        "output_path": output_path,
        "session": work.session,
        "time_limit_ms": work.time_limit_ms,
        "turns": work.turns,
    });
    request.to_string().into_bytes()
}

/// Writes the request and reads everything that the program says until it ends.
async fn talk(
    child: &mut Child,
    (mut stdin, stdout, stderr): (ChildStdin, ChildStdout, ChildStderr),
    request: &[u8],
    notes: &mpsc::Sender<Note>,
) -> Result<(Vec<u8>, ExitStatus, String), AgentError> {
    let write = async {
        // A program that does not read its stdin is not wrong for that.
        drop(stdin.write_all(request).await);
        drop(stdin);
    };
    let read = async {
        let mut bytes = Vec::new();
        let most = MAX_OUTPUT_BYTES as u64 + 1;
        stdout.take(most).read_to_end(&mut bytes).await.map(|_| bytes)
    };
    let ((), bytes, last_line) = tokio::join!(write, read, keep_stderr(stderr, notes));
    let failed = |error: std::io::Error| AgentError::Failed(error.to_string());
    let bytes = bytes.map_err(failed)?;
    let status = child.wait().await.map_err(failed)?;
    Ok((bytes, status, last_line))
}

/// Sends stderr to the timeline; returns its last line.
async fn keep_stderr(stderr: ChildStderr, notes: &mpsc::Sender<Note>) -> String {
    let mut lines = BufReader::new(stderr);
    let mut last = String::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = MAX_LINE_BYTES as u64;
        let read = (&mut lines).take(most).read_until(b'\n', &mut line).await;
        if !matches!(read, Ok(n) if n > 0) {
            return last;
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if !text.is_empty() {
            let body = json!({ "text": text });
            // A flood of lines must not hold up the agent.
            drop(notes.try_send(Note { kind: "stderr".to_owned(), body }));
            last = text;
        }
    }
}

/// Ends whatever the program left running in its process group.
async fn end_group(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok())
        && let Some(pid) = rustix::process::Pid::from_raw(pid)
    {
        // It may have ended by itself.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
    drop(child.kill().await);
}

fn check(status: ExitStatus, last_line: &str) -> Result<(), AgentError> {
    if status.success() {
        return Ok(());
    }
    let last: String = last_line.chars().take(LAST_LINE_CHARS).collect();
    let said = if last.is_empty() { String::new() } else { format!("; it said: {last}") };
    Err(AgentError::Failed(format!("it ended with {status}{said}")))
}

fn too_long() -> AgentError {
    AgentError::InvalidOutput(format!("the answer is longer than {MAX_OUTPUT_BYTES} bytes"))
}

fn parse(bytes: &[u8]) -> Result<RawJson, AgentError> {
    let invalid = |message: String| Err(AgentError::InvalidOutput(message));
    if bytes.len() > MAX_OUTPUT_BYTES {
        return Err(too_long());
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return invalid("the answer is not UTF-8 text; it must be one JSON object".to_owned());
    };
    if text.trim().is_empty() {
        return invalid("the agent answered nothing; it must answer one JSON object".to_owned());
    }
    match RawJson::parse(text.trim().to_owned()) {
        Ok(output) => Ok(output),
        Err(error) => {
            let shown: String = text.trim().chars().take(SHOWN_CHARS).collect();
            invalid(format!(
                "the answer is not valid JSON ({error}); it must be one JSON object and nothing \
                 else. It began with: {shown}"
            ))
        }
    }
}

/// What a program may say of its cost, in `usage.json` beside its output; it may do so on the way.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageFile {
    input_tokens: u64,
    output_tokens: u64,
    cost_micro_usd: u64,
    session: Option<String>,
}

impl UsageFile {
    pub const fn usage(&self) -> Usage {
        Usage {
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cost_micro_usd: self.cost_micro_usd,
            duration_ms: 0,
        }
    }
}

pub(super) fn read_usage(scratch: &std::path::Path) -> UsageFile {
    let file = std::fs::read(scratch.join("usage.json")).unwrap_or_default();
    serde_json::from_slice(&file).unwrap_or_default()
}
