//! Runs the builtin agent on a job: takes its inputs from the context, and its output as JSON.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;
use specline_aggregates::{Finding, Phase, RawJson, Severity, Usage};

use super::builtin::{self, Request};
use super::{AgentError, Answer, Job};

pub(super) async fn run(job: Job) -> Result<Answer, AgentError> {
    let limit = Duration::from_millis(job.work.time_limit_ms);
    let stop = job.stop.clone();
    let work = tokio::task::spawn_blocking(move || answer(&job));
    tokio::select! {
        joined = work => joined.map_err(|error| AgentError::Failed(error.to_string()))?,
        () = stop.cancelled() => Err(AgentError::Stopped),
        () = tokio::time::sleep(limit) => {
            Err(AgentError::TimedOut { seconds: limit.as_secs() })
        }
    }
}

fn answer(job: &Job) -> Result<Answer, AgentError> {
    let began = Instant::now();
    let context = &job.work.context;
    let text = |name: &str| context["spec"][name].as_str().unwrap_or_default();
    let request = Request { title: text("title"), description: text("description") };
    let feedback = feedback(&context["feedback"]);
    let output = output(job, &request, &feedback)?;
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Answer { output, usage: Usage { duration_ms, ..Usage::default() }, session: None })
}

/// What the last attempt was told. A person's remark is a finding of its own.
fn feedback(told: &Value) -> Vec<Finding> {
    let mut findings: Vec<Finding> = part(&told["findings"]).unwrap_or_default();
    if told["kind"] == "rejected" {
        findings.push(Finding {
            rule: "person.rejected".to_owned(),
            severity: Severity::Hard,
            passed: false,
            skipped: false,
            message: told["message"].as_str().unwrap_or_default().to_owned(),
            place: String::new(),
            mend: String::new(),
        });
    }
    findings
}

fn output(job: &Job, request: &Request<'_>, feedback: &[Finding]) -> Result<RawJson, AgentError> {
    let failed = |error: builtin::BuiltinError| AgentError::Failed(error.to_string());
    let outputs = &job.work.context["outputs"];
    match job.work.phase {
        Phase::Explore => json(&builtin::explore(&job.workdir, request).map_err(failed)?),
        Phase::Requirements => {
            let explore = earlier(outputs, Phase::Explore)?;
            json(&builtin::requirements(request, &explore, feedback))
        }
        Phase::Design => {
            let explore = earlier(outputs, Phase::Explore)?;
            let requirements = earlier(outputs, Phase::Requirements)?;
            let design = builtin::design(&job.workdir, request, &explore, &requirements, feedback);
            json(&design.map_err(failed)?)
        }
        Phase::Tasks => {
            let explore = earlier(outputs, Phase::Explore)?;
            let requirements = earlier(outputs, Phase::Requirements)?;
            let design = earlier(outputs, Phase::Design)?;
            let tasks = builtin::tasks(&job.workdir, &explore, &requirements, &design, feedback);
            json(&tasks.map_err(failed)?)
        }
        Phase::Sync => Err(AgentError::Failed("sync is the engine's work".to_owned())),
    }
}

fn part<T: DeserializeOwned>(value: &Value) -> Result<T, serde_json::Error> {
    T::deserialize(value)
}

fn earlier<T: DeserializeOwned>(outputs: &Value, phase: Phase) -> Result<T, AgentError> {
    part(&outputs[phase.as_str()])
        .map_err(|error| AgentError::Failed(format!("the {phase} output in the context: {error}")))
}

fn json<T: serde::Serialize>(output: &T) -> Result<RawJson, AgentError> {
    RawJson::of(output).map_err(|error| AgentError::Failed(error.to_string()))
}
