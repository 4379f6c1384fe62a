//! `specline resume`: goes on with one spec, or with every unfinished one, and follows to the end.

use std::collections::BTreeSet;

use specline_aggregates::SpecId;
use specline_aggregates::spec::Status;

use super::args::PlaceArgs;
use super::display::Display;
use super::follow::{Followed, exit_of, follow, stop_politely};
use super::host::{Duties, Host};
use super::lists::all_specs;
use super::reads::parse_id;
use super::run::resume_command;
use super::{Exit, Failure, Location, print, summary};
use crate::engine::Leave;
use crate::view::SpecView;

/// Pause between looks at a read model that is being built.
const LOOK: std::time::Duration = std::time::Duration::from_millis(20);

pub async fn resume(args: &PlaceArgs, spec: Option<String>, json: bool) -> Result<Exit, Failure> {
    let place = Location::find(args)?;
    let mut host = Host::connect(&place, Duties::Run).await?;
    let wanted = spec.as_deref().map(parse_id).transpose()?;
    let (mut exit, mut seen) = (Exit::Completed, BTreeSet::new());
    loop {
        let specs = match set_all_going(&host, wanted, &seen).await {
            // The engine that held the log went away: take it, and ask again.
            Err(failure) if failure.exit == Exit::Busy && host.engine().is_none() => {
                host = Host::connect(&place, Duties::Run).await?;
                continue;
            }
            result => result?,
        };
        if specs.is_empty() {
            break;
        }
        for view in specs {
            let id = view.id;
            seen.insert(id);
            print::talk(&view.title);
            let display = Display::at(&view);
            let followed = follow(&place, &mut host, id, &display).await;
            display.finish();
            match followed? {
                Followed::Interrupted => {
                    return Ok(stop_politely(host, &resume_command(args, id)).await);
                }
                Followed::AtRest => {
                    host.settle(id).await;
                    let view: SpecView = host.api.spec(id).await?;
                    summary::end(&view, display.elapsed(), (&args.flags(), json));
                    exit = worse(exit, exit_of(view.status));
                }
            }
        }
    }
    // Also what an engine that died had not followed up.
    host.catch_up().await;
    if seen.is_empty() {
        print::talk("nothing is unfinished");
    }
    host.stop(Leave::Sandboxes).await;
    Ok(exit)
}

/// The first that is not `Completed` stays.
fn worse(so_far: Exit, next: Exit) -> Exit {
    if so_far == Exit::Completed { next } else { so_far }
}

/// Asks for what each spec needs to go on, but for those that were `seen`; answers with how they
/// stood before. None is left when everything that the log holds has been looked at.
async fn set_all_going(
    host: &Host,
    wanted: Option<SpecId>,
    seen: &BTreeSet<SpecId>,
) -> Result<Vec<SpecView>, Failure> {
    let ids = match wanted {
        Some(id) => vec![id],
        None => unfinished(host).await?,
    };
    let mut before = Vec::new();
    for id in ids.into_iter().filter(|id| !seen.contains(id)) {
        let view = host.api.spec(id).await?;
        set_going(host, &view, wanted.is_none()).await?;
        before.push(view);
    }
    Ok(before)
}

async fn unfinished(host: &Host) -> Result<Vec<SpecId>, Failure> {
    wait_for_board(host).await?;
    let mut ids: Vec<SpecId> = Vec::new();
    for line in all_specs(&host.api, "").await? {
        let Some(id) = line["id"].as_str().and_then(|id| id.parse().ok()) else { continue };
        let open = match line["status"].as_str().unwrap_or_default() {
            "executing" | "paused" | "awaiting_approval" => true,
            // A run that was killed before it began; a fork waits until it is named.
            "draft" => host.api.spec(id).await?.forked_from.is_none(),
            _ => false,
        };
        if open {
            ids.push(id);
        }
    }
    // Oldest first.
    ids.reverse();
    let ended = host.moved().await?;
    ids.extend(ended.into_iter().filter(|id| !ids.contains(id)).collect::<Vec<_>>());
    Ok(ids)
}

/// The list of specs is a read model: in a new house, or after a restore, it is built first.
async fn wait_for_board(host: &Host) -> Result<(), Failure> {
    let mut head = None;
    loop {
        let now: serde_json::Value = host.api.get("/api/v1/projections").await?;
        let head = *head.get_or_insert(now["head"].as_u64());
        let behind = |model: &serde_json::Value| {
            model["name"] == "spec_board"
                && model["error"].is_null()
                && model["position"].as_u64() < head
        };
        if !now["projections"].as_array().is_some_and(|models| models.iter().any(behind)) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Asks for what the spec needs to go on. One that waits for a person is left waiting.
async fn set_going(host: &Host, view: &SpecView, all: bool) -> Result<(), Failure> {
    let id = view.id;
    match view.status {
        Status::Draft => {
            host.api.order(&format!("/api/v1/specs/{id}/execute")).await?;
        }
        Status::Paused => {
            host.api.order(&format!("/api/v1/specs/{id}/resume")).await?;
        }
        Status::Failed if !all => {
            let phase = view.error.as_ref().map_or("explore", |error| error.phase.as_str());
            return Err(Failure::failed(format!(
                "the spec failed in {phase}; `specline retry {id} --from {phase}` tries again"
            )));
        }
        Status::Executing
        | Status::AwaitingApproval
        | Status::Completed
        | Status::Failed
        | Status::Cancelled
        | Status::Unknown => {}
    }
    Ok(())
}
