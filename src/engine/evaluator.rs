//! Duty: has the programs that a policy names judge an output which the gate has passed. A program
//! that cannot be run or makes no sense is a verdict that does not pass and says so: nothing waits
//! for ever, and nothing passes unseen.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use specline_aggregates::spec::command::RecordVerdict;
use specline_aggregates::spec::{Command, Pending, Spec};
use specline_aggregates::{Evaluator, Finding, RawJson, Severity};
use specline_projections::due_work::DueWork;
use tokio::io::AsyncWriteExt;

use super::lookup::by_duty;
use super::{Engine, EngineError};
use crate::agent::CommandLine;
use crate::commands::Order;

/// How much of what a program wrote stands in a message, in characters.
const SHOWN_CHARS: usize = 300;

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
    let there = spec.brief().is_some_and(|b| Path::new(&b.repository.location).is_dir());
    if engine.is_shared() && !there {
        return Err(EngineError::NotHere("the repository's folder"));
    }
    let Some(output) = engine.output_of(&spec, row.phase).await? else { return Ok(()) };
    for evaluator in spec.policy().evaluators(row.phase) {
        if !state.evaluating.contains(&evaluator.name) {
            continue;
        }
        let answer = ask(&spec, row, evaluator, &output).await;
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
    answer: Result<Answer, String>,
) -> Result<RecordVerdict, EngineError> {
    let answer = answer.unwrap_or_else(|message| Answer {
        passed: false,
        score: Some(0),
        findings: vec![Told {
            message,
            rule: Some("error".to_owned()),
            passed: false,
            place: String::new(),
            mend: "mend the evaluator, then retry the phase".to_owned(),
        }],
    });
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

/// Runs the program in the repository, with the output and what it is for on stdin.
async fn ask(
    spec: &Spec,
    row: &DueWork,
    evaluator: &Evaluator,
    output: &RawJson,
) -> Result<Answer, String> {
    let line = CommandLine::parse(&evaluator.command).map_err(|error| error.to_string())?;
    let brief = spec.brief().ok_or("the spec has no brief")?;
    let request = json!({
        "spec": { "id": spec.id(), "title": brief.title, "description": brief.description },
        "phase": row.phase,
        "attempt": row.attempt,
        "output": output,
        "repository": brief.repository.location,
    });
    let mut child = tokio::process::Command::new(&line.program)
        .args(&line.args)
        .current_dir(&brief.repository.location)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", line.program))?;
    let stdin = child.stdin.take();
    let talk = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read its stdin is not wrong for that.
            drop(stdin.write_all(request.to_string().as_bytes()).await);
        }
        child.wait_with_output().await
    };
    let limit = Duration::from_millis(evaluator.time_ms);
    let ended = tokio::time::timeout(limit, talk).await;
    let ended = ended.map_err(|_| format!("it said nothing within {} s", limit.as_secs()))?;
    let ended = ended.map_err(|error| error.to_string())?;
    if !ended.status.success() {
        let said = shown(&ended.stderr);
        return Err(format!("it ended with {}: {said}", ended.status));
    }
    serde_json::from_slice(&ended.stdout)
        .map_err(|error| format!("its answer is no verdict ({error}): {}", shown(&ended.stdout)))
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().chars().take(SHOWN_CHARS).collect()
}
