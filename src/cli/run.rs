//! `specline run`: drafts a spec, executes it, and follows it to its end.

use std::io::IsTerminal;
use std::path::Path;

use serde::Deserialize;
use specline_aggregates::{Policy, SpecId};
use uuid::Uuid;

use super::api::ApiError;
use super::args::{PlaceArgs, RunArgs};
use super::display::Display;
use super::follow::{Followed, exit_of, follow, stop_politely};
use super::host::{Duties, Host};
use super::{Exit, Failure, Location, input, print, summary};
use crate::agent::CommandLine;
use crate::engine::{DraftRequest, Leave, PolicyInput};
use crate::plain::one_line;

/// Longest title made from a request, in characters.
const MAX_TITLE_CHARS: usize = 80;

#[derive(Deserialize)]
struct Launched {
    id: SpecId,
}

pub async fn run(args: &PlaceArgs, run: RunArgs) -> Result<Exit, Failure> {
    let (place, repo) = Location::for_repository(args)?;
    let request = draft_request(&repo, &run)?;
    let title = request.title.clone();
    let mut host = Host::connect(&place, Duties::Run).await?;
    let key = format!("run-{}", Uuid::now_v7());
    let id = launch(&place, &mut host, &request, &key).await?;
    let agent = request.policy.as_ref().map(|policy| format!(", agent {}", policy.agent));
    print::talk(&format!("{}\n  spec {id}{}", one_line(&title), agent.unwrap_or_default()));
    let display = Display::new(id);
    let followed = follow(&place, &mut host, id, &display).await;
    display.finish();
    match followed? {
        Followed::Interrupted => Ok(stop_politely(host, &resume_command(args, id)).await),
        Followed::AtRest => {
            host.settle(id).await;
            let view = host.api.spec(id).await?;
            summary::end(&view, display.elapsed(), (&args.flags(), run.json));
            host.stop(Leave::Sandboxes).await;
            Ok(exit_of(view.status))
        }
    }
}

/// Drafts and executes, once: the key makes a repeat the same. An engine that went away meanwhile
/// is replaced.
async fn launch(
    place: &Location,
    host: &mut Host,
    request: &DraftRequest,
    key: &str,
) -> Result<SpecId, Failure> {
    loop {
        let launched = host.api.post::<Launched>("/api/v1/specs/launch", request, Some(key)).await;
        match launched {
            Ok(launched) => return Ok(launched.id),
            Err(ApiError::Unreachable(_)) if host.engine().is_none() => {
                *host = Host::connect(place, Duties::Run).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// How a person goes on with this spec, from the folder they are in.
pub fn resume_command(args: &PlaceArgs, id: SpecId) -> String {
    format!("specline resume{} {id}", args.flags())
}

fn draft_request(repo: &Path, run: &RunArgs) -> Result<DraftRequest, Failure> {
    let description = description(run)?;
    let title = run.title.clone().unwrap_or_else(|| title_of(&description));
    let repository = repo
        .to_str()
        .ok_or_else(|| Failure::usage("the repository's path is not UTF-8"))?
        .to_owned();
    // Who says nothing gets what the project says.
    let says = run.policy.is_some() || run.agent.is_some();
    let says = says || !run.agent_env.is_empty() || !run.approve.is_empty();
    let policy = if says { Some(policy(run)?) } else { None };
    Ok(DraftRequest { title, description, repository, project: None, policy, source_ticket: None })
}

fn description(run: &RunArgs) -> Result<String, Failure> {
    let text = if let Some(text) = &run.text {
        input::without_mark(text).to_owned()
    } else if let Some(file) = &run.file {
        input::read(file)
            .map_err(|error| Failure::usage(format!("--file {}: {error}", file.display())))?
    } else if std::io::stdin().is_terminal() {
        String::new()
    } else {
        input::read_from(std::io::stdin())
            .map_err(|error| Failure::usage(format!("standard input: {error}")))?
    };
    if text.trim().is_empty() {
        return Err(Failure::usage(
            "say what is wanted: specline run \"Add rate limiting to the public API\", or \
             --file REQUEST.md",
        ));
    }
    Ok(text)
}

/// The first heading, else the first line; cut at a word.
fn title_of(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let heading = text.lines().map(str::trim).find_map(|line| line.strip_prefix("# "));
    let line = heading.or_else(|| lines.next()).unwrap_or("Untitled");
    let line = line.trim_start_matches(['#', '-', '*', '>', ' ']).trim();
    if line.chars().count() <= MAX_TITLE_CHARS {
        return line.trim_end_matches(['.', ':']).to_owned();
    }
    let cut: String = line.chars().take(MAX_TITLE_CHARS).collect();
    let end = cut.rfind(' ').unwrap_or(cut.len());
    format!("{}…", cut[..end].trim_end_matches([',', ';', ':']))
}

fn policy(run: &RunArgs) -> Result<Policy, Failure> {
    let mut policy = match &run.policy {
        None => Policy::default(),
        Some(file) => {
            let refused =
                |error: String| Failure::usage(format!("--policy {}: {error}", file.display()));
            let text = input::read(file).map_err(|error| refused(error.to_string()))?;
            PolicyInput::read(&text).map_err(refused)?
        }
    };
    if let Some(agent) = &run.agent {
        policy.agent = anchored(agent)?;
    }
    for evaluator in policy.evaluators.iter_mut().filter(|evaluator| !evaluator.is_named()) {
        evaluator.command = anchored_line(&evaluator.command)?;
    }
    policy.agent_env.extend(run.agent_env.iter().cloned());
    policy.approvals.extend(run.approve.iter().copied());
    Ok(policy)
}

/// The agent with its program's path made absolute: it will run in another folder.
pub fn anchored(agent: &str) -> Result<String, Failure> {
    match agent.strip_prefix("command:") {
        Some(line) => Ok(format!("command:{}", anchored_line(line)?)),
        None => Ok(agent.to_owned()),
    }
}

/// A command line with its program's path made absolute.
fn anchored_line(line: &str) -> Result<String, Failure> {
    let here = std::env::current_dir()
        .map_err(|error| Failure::failed(format!("the current folder cannot be read: {error}")))?;
    let line = CommandLine::parse(line)
        .map_err(|error| Failure::usage(format!("the command line {line:?}: {error}")))?;
    Ok(line.anchored(&here).to_text())
}

#[cfg(test)]
mod tests {
    use super::title_of;

    #[test]
    fn a_title_is_the_heading_or_the_first_line() {
        assert_eq!(title_of("Add rate limiting."), "Add rate limiting");
        assert_eq!(title_of("intro\n\n# Rate limits\n\ntext"), "Rate limits");
        assert_eq!(title_of("- one\n- two"), "one");
        let long = title_of(&"many words ".repeat(20));
        assert!(long.ends_with('…') && long.chars().count() <= 81, "{long}");
    }
}
