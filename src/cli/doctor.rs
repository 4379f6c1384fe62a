//! `specline doctor`: what works on this machine, and what does not; one line each, honest.

use std::path::Path;

use serde_json::json;
use specline_aggregates::{Digest, GatePolicy, Manifest, Phase, gate, output};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::args::PlaceArgs;
use super::place::state_folder;
use super::{Exit, Failure, Location, print};
use crate::agent::{self, Job};
use crate::git::Git;
use crate::prompts;
use crate::protocol::Work;
use crate::sandbox::isolation;

/// Time that an agent gets for its one run, in milliseconds.
const AGENT_LIMIT_MS: u64 = 180_000;

pub async fn doctor(
    args: &PlaceArgs,
    agent: Option<String>,
    agent_env: Vec<String>,
) -> Result<Exit, Failure> {
    print::data(concat!("specline ", env!("CARGO_PKG_VERSION")));
    let mut well = true;
    well &= say("git", &git());
    let probed = tokio::task::spawn_blocking(|| isolation::probe().describe()).await;
    well &= say("isolation", &probed.map_err(|error| error.to_string()));
    well &= say("state", &writable(&state_folder("doctor")));
    let log = match Location::find(args) {
        Ok(location @ Location::Postgres(_)) => {
            let opened = location.open_to_read().await;
            opened.map(|_| location.shown()).map_err(|failure| failure.message)
        }
        Ok(location @ Location::Files(_)) => Ok(location.shown()),
        Err(_) => Ok("none here yet; `specline run` makes one".to_owned()),
    };
    well &= say("log", &log);
    if let Some(agent) = agent {
        well &= say("agent", &run_agent(&agent, agent_env).await);
    } else {
        print::data("ok    agent      builtin (offline, no model); try yours with --agent");
    }
    Ok(if well { Exit::Completed } else { Exit::Failed })
}

fn say(what: &str, found: &Result<String, String>) -> bool {
    match found {
        Ok(text) => print::data(&format!("ok    {what:<10} {text}")),
        Err(text) => print::data(&format!("FAIL  {what:<10} {text}")),
    }
    found.is_ok()
}

fn git() -> Result<String, String> {
    let version = Git::plain("say its version").arg("--version").line();
    version.map_err(|error| error.to_string())
}

fn writable(folder: &Path) -> Result<String, String> {
    let base = folder.parent().unwrap_or(folder);
    let probe = base.join(".doctor");
    let written = std::fs::create_dir_all(base).and_then(|()| std::fs::write(&probe, "x"));
    drop(std::fs::remove_file(&probe));
    match written {
        Ok(()) => Ok(format!("sandboxes are kept in {}", base.display())),
        Err(error) => Err(format!(
            "{} cannot be written: {error}; set SPECLINE_STATE_DIR to another folder",
            base.display()
        )),
    }
}

/// Runs an agent once on a tiny repository, and judges what it brings.
async fn run_agent(agent: &str, agent_env: Vec<String>) -> Result<String, String> {
    let (agent, agent_env) = chosen(agent, agent_env)?;
    let folder = std::env::temp_dir().join(format!("specline-doctor-{}", uuid::Uuid::now_v7()));
    let (workdir, scratch) = (folder.join("work"), folder.join("scratch"));
    let make = || -> std::io::Result<()> {
        std::fs::create_dir_all(&workdir)?;
        std::fs::create_dir_all(&scratch)?;
        std::fs::write(workdir.join("README.md"), "# Hello\n\nPrints a greeting.\n")?;
        std::fs::write(workdir.join("hello.py"), "def main():\n    print(\"hello\")\n")
    };
    make().map_err(|error| format!("{}: {error}", folder.display()))?;
    let (notes, mut said) = mpsc::channel(agent::MAX_WAITING_NOTES);
    let work = trial(&agent, agent_env)?;
    let job = Job { work, workdir, scratch, notes, stop: CancellationToken::new() };
    let result = agent::run(job).await;
    drop(std::fs::remove_dir_all(&folder));
    while let Ok(note) = said.try_recv() {
        print::talk(&format!("      {}: {}", note.kind, note.body));
    }
    let answer = result.map_err(|error| error.to_string())?;
    let file = |path: &str| specline_aggregates::manifest::File {
        path: path.to_owned(),
        bytes: 0,
        oid: String::new(),
    };
    let manifest = Manifest::new(String::new(), vec![file("README.md"), file("hello.py")]);
    let earlier = gate::Earlier::default();
    let policy = GatePolicy::default();
    let judged = gate::judge(Phase::Explore, &answer.output, &earlier, &manifest, &policy);
    match judged.failed().find(|_| !judged.passed) {
        None => Ok(format!("{agent} answered; its gate says {}/1000", judged.score)),
        Some(first) => Err(format!(
            "{agent} answered, and its output does not pass the gate: {} ({})",
            first.message, first.rule
        )),
    }
}

/// The agent that is meant, by its name or as a command line, and the variables that it may see.
fn chosen(agent: &str, mut agent_env: Vec<String>) -> Result<(String, Vec<String>), String> {
    if let Some(program) = crate::config::effective().programs.agents.get(agent) {
        agent_env.extend(program.env.iter().cloned());
        return Ok((format!("command:{}", program.command), agent_env));
    }
    let agent = super::run::anchored(agent).map_err(|failure| failure.message)?;
    Ok((agent, agent_env))
}

fn trial(agent: &str, agent_env: Vec<String>) -> Result<Work, String> {
    let context = json!({
        "spec": {
            "title": "Greet by name",
            "description": "Add an option to greet a person by name.",
        },
        "phase": "explore",
        "attempt": 1,
        "outputs": {},
        "feedback": null,
        "steps": [],
    });
    let prompt = prompts::render(Phase::Explore, &context).map_err(|error| error.to_string())?;
    Ok(Work {
        phase: Phase::Explore,
        attempt: 1,
        context_digest: Digest::of(b"doctor"),
        context,
        system_prompt: prompt.system,
        prompt: prompt.user,
        output_schema: output::schema(Phase::Explore),
        time_limit_ms: AGENT_LIMIT_MS,
        turns: 25,
        agent: agent.to_owned(),
        agent_env,
        session: None,
    })
}
