//! What steers a spec: `cancel`, `pause`, `retry`, `fork`.

use serde_json::Value;
use specline_aggregates::{Budget, SpecId};

use super::args::{PlaceArgs, RetryArgs};
use super::host::{Duties, Host};
use super::reads::parse_id;
use super::run::resume_command;
use super::{Exit, Failure, Location, print};
use crate::engine::Leave;
use crate::http::{ActionBody, ForkBody, RetryBody};

/// A connected command on one spec.
struct Steering {
    host: Host,
    id: SpecId,
}

impl Steering {
    async fn begin(args: &PlaceArgs, spec: &str, duties: Duties) -> Result<Self, Failure> {
        let (place, id) = (Location::find(args)?, parse_id(spec)?);
        Ok(Self { host: Host::connect(&place, duties).await?, id })
    }

    async fn end(
        self,
        args: &PlaceArgs,
        result: Result<Value, Failure>,
        said: &str,
    ) -> Result<Exit, Failure> {
        let ours = self.host.engine().is_some();
        let (id, host) = (self.id, self.host);
        if result.is_ok() {
            host.settle(id).await;
        }
        host.stop(Leave::Sandboxes).await;
        result?;
        print::talk(said);
        if ours && said.contains("open") {
            let how = resume_command(args, id);
            print::talk(&format!("no engine is running; go on with: {how}"));
        }
        Ok(Exit::Completed)
    }

    async fn post<T: serde::Serialize>(&self, verb: &str, body: &T) -> Result<Value, Failure> {
        let path = format!("/api/v1/specs/{}/{verb}", self.id);
        Ok(self.host.api.post(&path, body, None).await?)
    }
}

/// The duties run, so that a living sandbox of the spec is ended too.
pub async fn cancel(args: &PlaceArgs, spec: &str, reason: Option<String>) -> Result<Exit, Failure> {
    let steering = Steering::begin(args, spec, Duties::Run).await?;
    let result = steering.post("cancel", &ActionBody { reason }).await;
    steering.end(args, result, "cancelled").await
}

pub async fn pause(args: &PlaceArgs, spec: &str, reason: Option<String>) -> Result<Exit, Failure> {
    let steering = Steering::begin(args, spec, Duties::Rest).await?;
    let result = steering.post("pause", &ActionBody { reason }).await;
    steering.end(args, result, "paused; what runs now still finishes").await
}

pub async fn retry(args: &PlaceArgs, retry: RetryArgs) -> Result<Exit, Failure> {
    let phase = retry.from;
    let steering = Steering::begin(args, &retry.spec, Duties::Rest).await?;
    let result = steering.post("retry", &RetryBody { phase, budget: budget(&retry)? }).await;
    steering.end(args, result, &format!("{phase} and the later phases are open again")).await
}

fn budget(retry: &RetryArgs) -> Result<Option<Budget>, Failure> {
    if retry.budget_tokens.is_none() && retry.budget_usd.is_none() {
        return Ok(None);
    }
    let cost_micro_usd = match retry.budget_usd {
        None => None,
        Some(usd) if usd.is_finite() && (0.0..=1e9).contains(&usd) => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 1e15 fits"
            )]
            let micro = (usd * 1e6).round() as u64;
            Some(micro)
        }
        Some(usd) => return Err(Failure::usage(format!("--budget-usd {usd} is no amount"))),
    };
    Ok(Some(Budget { tokens: retry.budget_tokens, cost_micro_usd }))
}

pub async fn fork(args: &PlaceArgs, spec: &str, at: u64, json: bool) -> Result<Exit, Failure> {
    let steering = Steering::begin(args, spec, Duties::Rest).await?;
    let result = steering.post("fork", &ForkBody { at_version: at }).await;
    steering.host.stop(Leave::Sandboxes).await;
    let forked = result?;
    if json {
        print::json(&forked);
        return Ok(Exit::Completed);
    }
    let id = forked["id"].as_str().unwrap_or_default();
    print::data(id);
    let id = parse_id(id)?;
    print::talk(&format!("forked; start it with: {}", resume_command(args, id)));
    Ok(Exit::Completed)
}
