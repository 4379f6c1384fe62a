//! Duty: has the programs that a policy names judge an output which the gate has passed, each
//! confined like an agent. One that could not be run, or makes no sense, has judged nothing: it is
//! asked again, and then a person is, so that its failure costs the agent no attempt. Nothing waits
//! unseen, and nothing passes unseen.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use specline_aggregates::spec::command::{PauseExecution, RecordVerdict};
use specline_aggregates::spec::{Command, Pending, Spec, Status};
use specline_aggregates::{Evaluator, Finding, RawJson, Severity};
use specline_projections::due_work::DueWork;

use super::lookup::by_duty;
use super::spawner::chain;
use super::{Engine, EngineError};
use crate::agent::CommandLine;
use crate::commands::Order;
use crate::program::RunError;
use crate::sandbox::{ProgramError, ProgramRequest};

/// How much of what a program wrote stands in a message, in characters.
const SHOWN_CHARS: usize = 300;

/// Longest answer, in bytes: some thousand findings.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Before an evaluator that gave no verdict is asked again.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// A fall-back: every change of the spec wakes the wait.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What a program answers: one JSON object on stdout.
#[derive(Deserialize)]
struct Answer {
    passed: bool,
    /// 0 to 1000.
    #[serde(default)]
    score: Option<u16>,
    #[serde(default)]
    findings: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    message: String,
    #[serde(default)]
    rule: Option<String>,
    #[serde(default)]
    passed: bool,
    #[serde(default, rename = "where")]
    place: String,
    #[serde(default)]
    mend: String,
}

pub(super) async fn run(engine: &Engine, row: &DueWork) -> Result<(), EngineError> {
    let spec = engine.spec(row.spec).await?;
    let Some(state) = spec.phase_state(row.phase) else { return Ok(()) };
    let Some(pending) = state.pending.as_ref().filter(|_| !spec.status().is_ended()) else {
        return Ok(());
    };
    if !engine.has_snapshot(&spec).await? {
        return Err(EngineError::NotHere("the snapshot that its evaluators look at"));
    }
    let Some(output) = engine.output_of(&spec, row.phase).await? else { return Ok(()) };
    for evaluator in spec.policy().evaluators(row.phase) {
        if !state.evaluating.contains(&evaluator.name) {
            continue;
        }
        let Some(answer) = persist(engine, &spec, row, (evaluator, &output)).await? else {
            return Ok(());
        };
        let command =
            Command::RecordVerdict(verdict(engine, row, (evaluator, pending), answer).await?);
        let origin = by_duty("evaluator", &spec);
        let done = engine.commands().spec(row.spec, &command, Order::from(&origin)).await?;
        let open = done.state.phase_state(row.phase).is_some_and(|s| !s.evaluating.is_empty());
        if !open {
            break;
        }
    }
    Ok(())
}

async fn verdict(
    engine: &Engine,
    row: &DueWork,
    (evaluator, pending): (&Evaluator, &Pending),
    answer: Answer,
) -> Result<RecordVerdict, EngineError> {
    let finding = |told: Told| Finding {
        rule: format!("{}.{}", evaluator.name, told.rule.as_deref().unwrap_or("finding")),
        severity: Severity::Hard,
        passed: told.passed,
        skipped: false,
        message: told.message,
        place: told.place,
        mend: told.mend,
    };
    Ok(RecordVerdict {
        phase: row.phase,
        digest: pending.digest,
        evaluator: evaluator.name.clone(),
        passed: answer.passed,
        score: answer.score.unwrap_or(if answer.passed { 1000 } else { 0 }),
        findings: answer.findings.into_iter().map(finding).collect(),
        wait: engine.wait().await?,
    })
}

/// The evaluator's answer. None: it could not be had, and the spec waits for a person, or another
/// look at it.
async fn persist(
    engine: &Engine,
    spec: &Spec,
    row: &DueWork,
    (evaluator, output): (&Evaluator, &RawJson),
) -> Result<Option<Answer>, EngineError> {
    for pause in PAUSES.map(Some).into_iter().chain([None]) {
        let message = match ask(engine, spec, row, (evaluator, output)).await {
            Ok(answer) => return Ok(Some(answer)),
            Err(message) => message,
        };
        let name = &evaluator.name;
        tracing::warn!(spec.id = %row.spec, evaluator = name, cause = message, "no verdict");
        if engine.inner.stop.is_cancelled() {
            return Ok(None);
        }
        let Some(pause) = pause else {
            ask_a_person(engine, spec, row, format!("evaluator {name}: {message}")).await?;
            return Ok(None);
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = engine.inner.stop.cancelled() => return Ok(None),
        }
    }
    Ok(None)
}

/// Pauses the spec, and returns when somebody has let it go on.
async fn ask_a_person(
    engine: &Engine,
    spec: &Spec,
    row: &DueWork,
    problem: String,
) -> Result<(), EngineError> {
    let reason = format!("{problem}; mend the evaluator, then `specline resume {}`", row.spec);
    let pause = Command::Pause(PauseExecution { by: "engine".to_owned(), reason });
    let origin = by_duty("evaluator", spec);
    let mut projected = engine.inner.projected.subscribe();
    let done = engine.commands().spec(row.spec, &pause, Order::from(&origin)).await?;
    let mut status = done.state.status();
    while status == Status::Paused {
        tokio::select! {
            moved = projected.changed() => if moved.is_err() { return Ok(()) },
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = engine.inner.stop.cancelled() => return Ok(()),
        }
        status = engine.spec(row.spec).await?.status();
    }
    Ok(())
}

/// Runs the program on a copy of the snapshot, with the output and what it is for on stdin.
async fn ask(
    engine: &Engine,
    spec: &Spec,
    row: &DueWork,
    (evaluator, output): (&Evaluator, &RawJson),
) -> Result<Answer, String> {
    let chosen = engine.evaluator_of(spec, evaluator).await.map_err(|error| chain(&error))??;
    let line = CommandLine::parse(&chosen.command).map_err(|error| error.to_string())?;
    let brief = spec.brief().ok_or("the spec has no brief")?;
    let manifest = spec.manifest().ok_or("the spec has no snapshot")?;
    let question = json!({
        "spec": { "id": spec.id(), "title": brief.title, "description": brief.description },
        "phase": row.phase,
        "attempt": row.attempt,
        "output": output,
    });
    let request = ProgramRequest {
        program: line.program.clone(),
        args: line.args,
        commit: manifest.commit.clone(),
        question: question.as_object().cloned().unwrap_or_default(),
        pass_env: chosen.env,
        time: Duration::from_millis(chosen.time_ms),
        stdout_bytes: MAX_ANSWER_BYTES,
        stop: engine.inner.stop.clone(),
        hide: engine.inner.hidden.clone(),
        protect: vec![brief.repository.location.clone().into()],
    };
    let ended = engine.inner.provider.run_program(request).await;
    let ended = ended.map_err(|error| match &error {
        ProgramError::Run(RunError::NotStarted(cause)) => {
            format!("{} cannot be started: {cause}", line.program)
        }
        ProgramError::Snapshot(_)
        | ProgramError::Io(_)
        | ProgramError::Run(_)
        | ProgramError::Unsupported => chain(&error),
    })?;
    if !ended.status.success() {
        let said: String = ended.last_line.chars().take(SHOWN_CHARS).collect();
        return Err(format!("it ended with {}: {said}", ended.status));
    }
    if ended.stdout.len() > MAX_ANSWER_BYTES {
        return Err(format!("its answer is longer than {MAX_ANSWER_BYTES} bytes"));
    }
    let answer = ended.stdout.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&ended.stdout);
    serde_json::from_slice(answer)
        .map_err(|error| format!("its answer is no verdict ({error}): {}", shown(&ended.stdout)))
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().chars().take(SHOWN_CHARS).collect()
}
