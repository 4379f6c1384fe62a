//! The worker's main loop: attach, then do what is assigned until there is nothing more to do.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use specline_aggregates::InstanceId;
use specline_aggregates::spec::FailureKind;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::heartbeat::{self, Pulse};
use super::outbox::{Entry, Outbox};
use super::{CallError, Client, Config, EXIT_CONFIGURATION, EXIT_STALE, Path, notes};
use crate::agent::{self, AgentError, Job, MAX_WAITING_NOTES, Mask};
use crate::crash_point;
use crate::protocol::{
    Assignment, Attach, Detach, FailureAnswer, FailureReport, Note, Submission, SubmissionAnswer,
    Work,
};
use crate::sandbox::files::private_folder;
use crate::sandbox::process::end_descendants;

/// Seconds of a long poll.
const POLL_SECONDS: u64 = 20;

/// How long what an agent left behind may take to end when it is asked to.
const LEFTOVER_GRACE: Duration = Duration::from_millis(250);

/// What the loop works with.
struct Worker {
    client: Arc<Client>,
    config: Config,
    outbox: Outbox,
    mask: Mask,
    notes: mpsc::Sender<Note>,
    pulse: Arc<Pulse>,
    workdir: PathBuf,
}

/// Runs to the end of the spec, or until this sandbox is over. Returns the exit code.
pub async fn run(config: Config, workdir: PathBuf, stop: CancellationToken) -> u8 {
    let Path::StateMachine { spec, .. } = config.path else {
        tracing::error!("this version drives specs; tasks are executed by a later one");
        return EXIT_CONFIGURATION;
    };
    let client = match Client::new(&config, stop.clone()) {
        Ok(client) => Arc::new(client),
        Err(error) => {
            tracing::error!(cause = %error, "no HTTP client");
            return EXIT_CONFIGURATION;
        }
    };
    let mask = Mask::new([config.token.clone()]);
    let pulse =
        Arc::new(Pulse { spent: Mutex::default(), progressed: AtomicBool::new(true), stop });
    let (sender, waiting) = mpsc::channel(MAX_WAITING_NOTES);
    tokio::spawn(notes::run(Arc::clone(&client), waiting, mask.clone(), Arc::clone(&pulse)));
    let worker = Worker {
        outbox: Outbox::new(config.outbox.clone()),
        client,
        config,
        mask,
        notes: sender,
        pulse,
        workdir,
    };
    match worker.run().await {
        Ok(()) => 0,
        Err(error) if error.is_over() => {
            tracing::info!(spec.id = %spec, cause = %error, "this sandbox is over");
            EXIT_STALE
        }
        Err(error) => {
            tracing::error!(spec.id = %spec, cause = %error, "the worker cannot go on");
            if matches!(error, CallError::AgentKilled) { EXIT_KILLED } else { 1 }
        }
    }
}

/// As a shell tells of a program that SIGKILL has ended.
const EXIT_KILLED: u8 = 128 + 9;

impl Worker {
    async fn run(&self) -> Result<(), CallError> {
        let attach = Attach {
            epoch: self.config.epoch,
            instance: InstanceId::new(Uuid::now_v7()),
            worker_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mut assignment: Assignment = self.client.post("/attach", &attach, None).await?;
        let (client, config) = (Arc::clone(&self.client), self.config.clone());
        tokio::spawn(heartbeat::run(client, config, Arc::clone(&self.pulse)));
        loop {
            assignment = match assignment {
                Assignment::Work(work) => self.work(*work).await?,
                Assignment::Wait { reason, .. } => {
                    tracing::debug!(reason, "waiting");
                    self.client.get(&format!("/assignment?wait={POLL_SECONDS}")).await?
                }
                Assignment::Detach { reason } => {
                    let detach = Detach { reason };
                    let _: Value = self.client.post("/detach", &detach, None).await?;
                    return Ok(());
                }
                Assignment::Done { status } => {
                    tracing::info!(%status, "the spec has ended");
                    return Ok(());
                }
            };
        }
    }

    /// One attempt: an output that waits already, else the agent's; then the next assignment.
    async fn work(&self, work: Work) -> Result<Assignment, CallError> {
        let (phase, attempt, context) = (work.phase, work.attempt, work.context_digest);
        crash_point::reach(&format!("worker_assigned:{phase}"));
        self.note("progress", json!({ "phase": phase, "attempt": attempt, "stage": "started" }));
        let entry = match self.outbox.find(phase, context) {
            Some(entry) => {
                tracing::info!(%phase, "handing in what an earlier sandbox finished");
                entry
            }
            None => match self.run_agent(work).await {
                Ok(entry) => entry,
                Err(AgentError::Stopped) => return Err(CallError::Stopped),
                Err(AgentError::Killed) => return Err(CallError::AgentKilled),
                Err(error) => return self.report_failure((phase, attempt), &error).await,
            },
        };
        crash_point::reach(&format!("worker_before_output:{phase}"));
        let result = self.submit(&entry, attempt).await;
        if result.is_ok() {
            self.outbox.forget(phase, context);
        }
        match result {
            Err(CallError::Problem(problem)) if is_unfit(&problem.code) => {
                self.outbox.forget(phase, context);
                let error = AgentError::InvalidOutput(problem.detail);
                self.report_failure((phase, attempt), &error).await
            }
            Err(CallError::Problem(problem)) if has_moved_on(&problem.code) => {
                tracing::info!(%phase, code = problem.code, "the output came too late");
                self.client.get("/assignment?wait=0").await
            }
            other => other,
        }
    }

    async fn run_agent(&self, work: Work) -> Result<Entry, AgentError> {
        self.mask.learn_variables(&work.agent_env);
        let (phase, context) = (work.phase, work.context_digest);
        let scratch =
            tempdir().map_err(|e| AgentError::Failed(format!("no scratch folder: {e}")))?;
        let job = Job {
            work,
            workdir: self.workdir.clone(),
            scratch: scratch.clone(),
            notes: self.notes.clone(),
            stop: self.pulse.stop.clone(),
        };
        self.pulse.spent().running = Some(scratch.clone());
        let result = agent::run(job).await;
        end_leftovers().await;
        {
            let mut spent = self.pulse.spent();
            spent.running = None;
            if result.is_err() {
                spent.failed = agent::told_usage(&scratch);
            }
        }
        // Only a leftover in the sandbox's own folder.
        drop(std::fs::remove_dir_all(scratch));
        let mut answer = result?;
        answer.output = masked(&answer.output, &self.mask)?;
        answer.session = answer.session.map(|session| self.mask.apply(&session));
        self.pulse.progressed.store(true, Ordering::Relaxed);
        let entry = Entry::of(phase, context, answer);
        self.outbox
            .keep(&entry)
            .map_err(|e| AgentError::Failed(format!("the output cannot be kept: {e}")))?;
        Ok(entry)
    }

    async fn submit(&self, entry: &Entry, attempt: u32) -> Result<Assignment, CallError> {
        let submission = Submission {
            phase: entry.phase,
            attempt,
            context_digest: entry.context_digest,
            output: entry.output.clone(),
            usage: entry.usage,
            session: entry.session.clone(),
        };
        let key = self.key("output", (entry.phase.as_str(), attempt));
        let answer: SubmissionAnswer = self.client.post("/output", &submission, Some(&key)).await?;
        self.pulse.spent().add(entry.usage);
        crash_point::reach(&format!("worker_output_sent:{}", entry.phase));
        let (phase, verdict) = (entry.phase, &answer.verdict);
        tracing::info!(%phase, attempt, passed = verdict.passed, score = verdict.score, "judged");
        Ok(answer.next)
    }

    async fn report_failure(
        &self,
        (phase, attempt): (specline_aggregates::Phase, u32),
        error: &AgentError,
    ) -> Result<Assignment, CallError> {
        let kind: FailureKind = error.kind();
        // The engine takes no U+0000, and agents print what they like.
        let message = self.mask.apply(&error.to_string()).replace('\0', "\u{FFFD}");
        tracing::warn!(%phase, attempt, cause = message, "the attempt failed");
        let report = FailureReport {
            phase,
            attempt,
            kind,
            message,
            usage: std::mem::take(&mut self.pulse.spent().failed),
        };
        let key = self.key("failure", (phase.as_str(), attempt));
        match self.client.post::<FailureAnswer>("/failure", &report, Some(&key)).await {
            Ok(answer) => {
                self.pulse.spent().add(report.usage);
                Ok(answer.next)
            }
            Err(CallError::Problem(problem)) if has_moved_on(&problem.code) => {
                self.client.get("/assignment?wait=0").await
            }
            Err(error) => Err(error),
        }
    }

    fn note(&self, kind: &str, body: Value) {
        // Notes are worth less than progress: a full queue drops them.
        drop(self.notes.try_send(Note { kind: kind.to_owned(), body }));
    }

    /// The same call of the same sandbox has the same key, also after a restart of the engine.
    fn key(&self, what: &str, (phase, attempt): (&str, u32)) -> String {
        format!("{}/{what}/{phase}/{attempt}", self.config.sandbox)
    }
}

/// The engine will never take this output.
fn is_unfit(code: &str) -> bool {
    matches!(code, "invalid_input" | "body_too_large" | "too_large" | "invalid_json")
}

/// The attempt is over; there may be another.
fn has_moved_on(code: &str) -> bool {
    matches!(code, "stale_context" | "stale_attempt" | "phase_not_open" | "idempotency_key_reused")
}

fn masked(
    output: &specline_aggregates::RawJson,
    mask: &Mask,
) -> Result<specline_aggregates::RawJson, AgentError> {
    let text = mask.apply_json(output.text());
    specline_aggregates::RawJson::parse(text)
        .map_err(|error| AgentError::InvalidOutput(format!("with its secrets masked: {error}")))
}

/// Ends what the agent left running, also what has left its process group: nothing of one attempt
/// lives on in the next. Only a process that adopts what its descendants leave can know it all.
async fn end_leftovers() {
    if rustix::process::child_subreaper().is_ok_and(|reaper| reaper.is_some()) {
        let ended = tokio::task::spawn_blocking(|| end_descendants(LEFTOVER_GRACE));
        drop(ended.await);
    }
}

fn tempdir() -> std::io::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("specline-agent-{}", Uuid::now_v7()));
    private_folder(&folder)?;
    Ok(folder)
}
