//! Runs any program as an agent: one JSON object on stdin, the output as JSON on stdout or in a
//! file. What it writes to stderr goes to the timeline, line by line.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use specline_aggregates::Usage;
use specline_aggregates::spec::MAX_OUTPUT_BYTES;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::{AgentError, Answer, CommandLine, Job, answer};
use crate::program::{self, Bounds, Lines, RunError};
use crate::protocol::Note;
use crate::untrusted::read_regular;

/// How much of the last stderr line goes into a failure's message, in characters.
const LAST_LINE_CHARS: usize = 500;

const SIGKILL: i32 = 9;

/// More than `usage.json` has.
const MAX_USAGE_BYTES: u64 = 64 * 1024;

pub(super) async fn run(line: &str, job: Job) -> Result<Answer, AgentError> {
    let line = CommandLine::parse(line).map_err(|error| AgentError::Missing(error.to_string()))?;
    let began = Instant::now();
    let output_path = job.scratch.join("output.json");
    let request = request(&job, &output_path);
    let bounds = Bounds {
        time: Duration::from_millis(job.work.time_limit_ms),
        stdout_bytes: MAX_OUTPUT_BYTES,
        stop: job.stop.clone(),
    };
    let mut command = Command::new(&line.program);
    command.args(&line.args).current_dir(&job.workdir);
    let ended = program::run(command, request, &bounds, told(job.notes.clone())).await;
    let ended = ended.map_err(|error| failure(error, &line.program))?;
    // First: a program whose output is cut off may die of that.
    if ended.stdout.len() > MAX_OUTPUT_BYTES {
        return Err(answer::too_long());
    }
    check(ended.status, &ended.last_line)?;
    let output = answer::parse(&written(&output_path)?.unwrap_or(ended.stdout))?;
    let told = read_usage(&job.scratch);
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let usage = Usage { duration_ms, ..told.usage() };
    Ok(Answer { output, usage, session: told.session })
}

fn failure(error: RunError, program: &str) -> AgentError {
    match error {
        RunError::NotStarted(error) => AgentError::Missing(format!("{program}: {error}")),
        RunError::Io(error) => AgentError::Failed(error.to_string()),
        RunError::TimedOut(limit) => AgentError::TimedOut { seconds: limit.as_secs() },
        RunError::Stopped => AgentError::Stopped,
    }
}

/// What the agent wrote into the file that it was offered; none when it wrote nothing there.
fn written(path: &Path) -> Result<Option<Vec<u8>>, AgentError> {
    match read_regular(path, MAX_OUTPUT_BYTES as u64) {
        Ok(bytes) => Ok(Some(bytes).filter(|bytes| !bytes.is_empty())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AgentError::InvalidOutput(format!("its output file: {error}"))),
    }
}

/// Sends the lines of stderr to the timeline.
fn told(notes: mpsc::Sender<Note>) -> Lines {
    Box::new(move |text| {
        let body = json!({ "text": text });
        // A flood of lines must not hold up the agent.
        drop(notes.try_send(Note { kind: "stderr".to_owned(), body }));
    })
}

fn request(job: &Job, output_path: &Path) -> Vec<u8> {
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

fn check(status: ExitStatus, last_line: &str) -> Result<(), AgentError> {
    if status.success() {
        return Ok(());
    }
    // A shell says so of what it ran.
    if status.signal() == Some(SIGKILL) || status.code() == Some(128 + SIGKILL) {
        return Err(AgentError::Killed);
    }
    let last: String = last_line.chars().take(LAST_LINE_CHARS).collect();
    let said = if last.is_empty() { String::new() } else { format!("; it said: {last}") };
    Err(AgentError::Failed(format!("it ended with {status}{said}")))
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

pub(super) fn read_usage(scratch: &Path) -> UsageFile {
    let file = read_regular(&scratch.join("usage.json"), MAX_USAGE_BYTES).unwrap_or_default();
    serde_json::from_slice(&file).unwrap_or_default()
}
