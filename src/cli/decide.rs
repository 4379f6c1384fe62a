//! What a person decides: `approve`, `reject`, `edit`.

use std::io::IsTerminal;

use serde_json::Value;
use specline_aggregates::{Phase, RawJson, SpecId};

use super::args::{ApproveArgs, EditArgs, PlaceArgs, RejectArgs};
use super::host::{Duties, Host};
use super::reads::parse_id;
use super::run::resume_command;
use super::{Exit, Failure, Location, print};
use crate::engine::Leave;
use crate::http::{ApprovalBody, EditBody, RejectionBody};

/// The phase's output and its digest, as they wait now.
struct Waiting {
    digest: String,
    output: Value,
}

async fn waiting(host: &Host, id: SpecId, phase: Phase) -> Result<Waiting, Failure> {
    let found: Value = host.api.get(&format!("/api/v1/specs/{id}/phases/{phase}")).await?;
    let digest = found["phase"]["digest"].as_str().map(ToOwned::to_owned);
    let digest = digest.ok_or_else(|| {
        Failure::failed(format!("{phase} has no output yet; `specline show {id}` says more"))
    })?;
    Ok(Waiting { digest, output: found["output"].clone() })
}

pub async fn approve(args: &PlaceArgs, approve: ApproveArgs) -> Result<Exit, Failure> {
    let (place, id) = (Location::find(args)?, parse_id(&approve.spec)?);
    let host = Host::connect(&place, Duties::Rest).await?;
    let result = approve_on(&host, id, approve).await;
    finish(host, args, id, result).await
}

async fn approve_on(host: &Host, id: SpecId, approve: ApproveArgs) -> Result<bool, Failure> {
    let phase = approve.phase;
    let digest = match approve.digest {
        Some(digest) => digest,
        None if !std::io::stdin().is_terminal() => {
            return Err(Failure::usage(
                "not at a terminal: name the output that you looked at with --digest",
            ));
        }
        None => {
            let waiting = waiting(host, id, phase).await?;
            print::json(&waiting.output);
            if !print::ask(&format!("approve this {phase} output ({})?", waiting.digest)) {
                print::talk("not approved; nothing was changed");
                return Ok(false);
            }
            waiting.digest
        }
    };
    let digest = digest.parse().map_err(|e| Failure::usage(format!("--digest: {e}")))?;
    let body = ApprovalBody { digest, comment: approve.comment };
    let path = format!("/api/v1/specs/{id}/phases/{phase}/approve");
    host.api.post::<Value>(&path, &body, None).await?;
    print::talk(&format!("approved {phase}"));
    Ok(true)
}

pub async fn reject(args: &PlaceArgs, reject: RejectArgs) -> Result<Exit, Failure> {
    let (place, id) = (Location::find(args)?, parse_id(&reject.spec)?);
    let host = Host::connect(&place, Duties::Rest).await?;
    let result = reject_on(&host, id, reject).await;
    finish(host, args, id, result).await
}

async fn reject_on(host: &Host, id: SpecId, reject: RejectArgs) -> Result<bool, Failure> {
    let phase = reject.phase;
    let digest = match reject.digest {
        Some(digest) => digest,
        None => waiting(host, id, phase).await?.digest,
    };
    let digest = digest.parse().map_err(|e| Failure::usage(format!("--digest: {e}")))?;
    let body = RejectionBody { digest, feedback: reject.feedback };
    let path = format!("/api/v1/specs/{id}/phases/{phase}/reject");
    host.api.post::<Value>(&path, &body, None).await?;
    print::talk(&format!("sent {phase} back"));
    Ok(true)
}

pub async fn edit(args: &PlaceArgs, edit: EditArgs) -> Result<Exit, Failure> {
    let (place, id) = (Location::find(args)?, parse_id(&edit.spec)?);
    let host = Host::connect(&place, Duties::Rest).await?;
    let result = edit_on(&host, id, edit).await;
    finish(host, args, id, result).await
}

async fn edit_on(host: &Host, id: SpecId, edit: EditArgs) -> Result<bool, Failure> {
    let phase = edit.phase;
    let text = if edit.from_repo {
        super::edit::from_repository(host, id, phase).await?
    } else if let Some(file) = &edit.file {
        super::input::read(file)
            .map_err(|error| Failure::usage(format!("--file {}: {error}", file.display())))?
    } else {
        super::edit::by_hand(&waiting(host, id, phase).await?.output)?
    };
    let text = super::input::without_mark(&text);
    let output = RawJson::parse(text.trim().to_owned())
        .map_err(|error| Failure::usage(format!("the edited output is not JSON: {error}")))?;
    let path = format!("/api/v1/specs/{id}/phases/{phase}/edit");
    host.api.post::<Value>(&path, &EditBody { output }, None).await?;
    print::talk(&format!("{phase} is now as you edited it; later phases are open again"));
    Ok(true)
}

/// Says how to go on, when no engine is at work on it.
async fn finish(
    host: Host,
    args: &PlaceArgs,
    id: SpecId,
    result: Result<bool, Failure>,
) -> Result<Exit, Failure> {
    let ours = host.engine().is_some();
    host.stop(Leave::Sandboxes).await;
    if result? && ours {
        print::talk(&format!("no engine is running; go on with: {}", resume_command(args, id)));
    }
    Ok(Exit::Completed)
}
