//! `specline doctor`: what works on this machine, and what does not; one line each, honest.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::json;
use specline_aggregates::{Digest, GatePolicy, Manifest, Phase, gate, output};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::args::PlaceArgs;
use super::place::{state_base, state_folder};
use super::{Exit, Failure, Location, Place, adopted, print};
use crate::agent::{self, Job};
use crate::git::Git;
use crate::prompts;
use crate::protocol::Work;
use crate::sandbox::isolation::{self, Isolation};

/// What group and others may do.
const OTHERS: u32 = 0o077;

/// Entries of one folder that are looked at.
const MAX_LOOKED_AT: usize = 10_000;

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
    let host = &crate::config::effective().sandbox;
    let chosen = tokio::task::spawn_blocking(|| isolation::choose(host.isolation)).await;
    let chosen =
        chosen.map_err(|error| error.to_string()).and_then(|c| c.map_err(|e| e.to_string()));
    let weak = chosen.as_ref().is_ok_and(Isolation::is_weak);
    well &= say_as(if weak { "WEAK" } else { "ok" }, "isolation", &chosen.map(|c| c.describe()));
    let bounds = format!(
        "at most {} sandboxes run at a time; each has at most {}",
        host.max_running,
        host.limits.describe()
    );
    well &= say("bounds", &Ok(bounds));
    well &= say("state", &writable(&state_folder("doctor")));
    well &= say("privacy", &private(args));
    let log = match Location::find(args) {
        Ok(location @ Location::Postgres(_)) => {
            let opened = location.open_to_read().await;
            opened.map(|_| location.shown()).map_err(|failure| failure.message)
        }
        Ok(Location::Files(place)) => yours(&place),
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
    say_as("ok", what, found)
}

fn say_as(word: &str, what: &str, found: &Result<String, String>) -> bool {
    match found {
        Ok(text) => print::data(&format!("{word:<5} {what:<10} {text}")),
        Err(text) => print::data(&format!("FAIL  {what:<10} {text}")),
    }
    found.is_ok()
}

/// Whether what the log says is obeyed.
fn yours(place: &Place) -> Result<String, String> {
    adopted::check_folder(place).map_err(|failure| failure.message)?;
    let readable = adopted::require(&place.log).map_err(|failure| failure.message)?;
    let shown = place.log.display();
    Ok(if readable { format!("{shown}, which is yours") } else { format!("{shown}: none yet") })
}

/// Whether group or others may read what Specline keeps.
fn private(args: &PlaceArgs) -> Result<String, String> {
    let mut folders = vec![state_base()];
    if let Ok(Location::Files(place)) = Location::find(args) {
        folders.extend(place.is_own_folder().then_some(place.folder));
    }
    let open: Vec<String> = folders.iter().flat_map(|folder| open_below(folder)).collect();
    match open.first() {
        None => Ok("no other user can read what Specline keeps".to_owned()),
        Some(first) => Err(format!(
            "group or others can read {first}{}; the next engine that starts mends its own files, \
             and `chmod -R go=` does it at once",
            if open.len() > 1 { format!(" and {} more", open.len() - 1) } else { String::new() }
        )),
    }
}

/// What lies below `folder` and is closed neither by itself nor by a folder that leads to it.
fn open_below(folder: &Path) -> Vec<String> {
    let mut open = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().take(MAX_LOOKED_AT) {
            let Ok(metadata) = entry.path().symlink_metadata() else { continue };
            if metadata.is_symlink() || metadata.mode() & OTHERS == 0 {
                continue;
            }
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                open.push(entry.path().display().to_string());
            }
        }
    }
    open
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
