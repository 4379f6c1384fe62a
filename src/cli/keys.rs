//! `specline keys`: access keys of the API, made, listed and revoked.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use specline_aggregates::Timestamp;
use specline_aggregates::access_key::Scope;

use super::args::{KeyArgs, KeysCommand, PlaceArgs};
use super::host::{Duties, Host};
use super::location::take_files;
use super::{Exit, Failure, Location, host_key, print};
use crate::engine::Leave;
use crate::http::{NewKey, RevokeBody};
use crate::store::PgLog;

/// Keys asked for in one call.
const PAGE: u32 = 1_000;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

pub async fn keys(args: &PlaceArgs, command: KeysCommand) -> Result<Exit, Failure> {
    let place = Location::find(args)?;
    if let KeysCommand::RotateSecret = command {
        return rotate_secret(&place).await;
    }
    let host = Host::connect(&place, Duties::Rest).await?;
    let result = match command {
        KeysCommand::Create(args) => create(&host, args).await,
        KeysCommand::List { all, json } => {
            let shown = if all { Shown::All } else { Shown::Good };
            list(&host, shown, json).await
        }
        KeysCommand::Revoke { key, reason, json } => revoke(&host, &key, reason, json).await,
        KeysCommand::RotateSecret => Ok(Exit::Usage),
    };
    host.stop(Leave::Sandboxes).await;
    result
}

/// The operator's token and those of sandboxes are worth nothing afterwards: sandboxes that live
/// are started anew by the next engine, at the last thing that they had recorded.
async fn rotate_secret(place: &Location) -> Result<Exit, Failure> {
    let log_id = match place {
        Location::Files(files) => {
            let taken = take_files(files).await?.ok_or_else(|| {
                let shown = files.log.display();
                let message = format!("an engine holds {shown}; stop it, then rotate the secret");
                Failure::new(Exit::Busy, message)
            })?;
            let log_id = taken.log.identity().log_id.to_string();
            host_key::draw_anew(&log_id)?;
            log_id
        }
        Location::Postgres(url) => PgLog::renew_secret(url)
            .await
            .map_err(|error| Failure::new(Exit::Configuration, error.to_string()))?
            .to_string(),
    };
    print::data(&format!("log {log_id} has a new secret"));
    print::talk("Next: start every engine of this log again; tokens of before are refused.");
    Ok(Exit::Completed)
}

async fn create(host: &Host, args: KeyArgs) -> Result<Exit, Failure> {
    let now = now();
    let expires_at = args.expires.as_deref().map(|text| expiry(text, now)).transpose()?;
    let scopes = if args.scope.is_empty() { vec![Scope::Reader] } else { args.scope };
    let body = NewKey { name: args.name, scopes, project: args.project, expires_at };
    let made: Value = host.api.post("/api/v1/keys", &body, None).await?;
    if args.json {
        print::json(&made);
        return Ok(Exit::Completed);
    }
    print::talk("the key, shown this once; whoever has it may do what its scopes allow:");
    print::data(made["key"].as_str().unwrap_or_default());
    Ok(Exit::Completed)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// `90d`, or a moment.
fn expiry(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Some(days) = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()) {
        return Ok(now.plus_ms(days.saturating_mul(DAY_MS)));
    }
    text.parse().map_err(|_| {
        let help = "say a number of days such as 90d, or a time such as 2027-01-31T00:00:00Z";
        Failure::usage(format!("--expires {text:?}: {help}"))
    })
}

/// Which keys to list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Good,
    /// Also those that are revoked or have expired.
    All,
}

async fn all(host: &Host) -> Result<Vec<Value>, Failure> {
    let mut keys = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/keys?limit={PAGE}{cursor}");
        let page: Value = host.api.get(&path).await?;
        keys.extend(page["keys"].as_array().cloned().unwrap_or_default());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(keys),
        }
    }
}

async fn list(host: &Host, shown: Shown, json: bool) -> Result<Exit, Failure> {
    let now = now();
    let mut keys = all(host).await?;
    keys.retain(|key| shown == Shown::All || state(key, now) == "good");
    if json {
        print::json(&keys);
        return Ok(Exit::Completed);
    }
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let row = |key: &Value| {
        let scopes = key["scopes"].as_array().into_iter().flatten().map(text);
        let scopes = scopes.collect::<Vec<_>>().join(" ");
        let id = text(&key["id"]);
        let (name, project, until) =
            (text(&key["name"]), text(&key["project"]), text(&key["expires_at"]));
        vec![id, name, scopes, project, until, state(key, now).to_owned()]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    print::table(&["KEY", "NAME", "SCOPES", "PROJECT", "EXPIRES", "STATE"], &rows);
    Ok(Exit::Completed)
}

fn state(key: &Value, now: Timestamp) -> &'static str {
    let expires: Option<Timestamp> = key["expires_at"].as_str().and_then(|at| at.parse().ok());
    if !key["revoked_at"].is_null() {
        "revoked"
    } else if expires.is_some_and(|at| at <= now) {
        "expired"
    } else {
        "good"
    }
}

/// By id, or by name where one good key has it.
async fn revoke(
    host: &Host,
    key: &str,
    reason: Option<String>,
    json: bool,
) -> Result<Exit, Failure> {
    let now = now();
    let known = all(host).await?;
    let named =
        |line: &&Value| line["id"] == key || (line["name"] == key && state(line, now) == "good");
    let found: Vec<_> = known.iter().filter(named).collect();
    let id = match found.as_slice() {
        [one] => one["id"].as_str().unwrap_or_default(),
        [] => return Err(Failure::usage(format!("no good key is called {key:?}"))),
        many => {
            let message = format!("{} keys are called {key:?}; name one by its id", many.len());
            return Err(Failure::usage(message));
        }
    };
    let path = format!("/api/v1/keys/{id}/revoke");
    let done: Value = host.api.post(&path, &RevokeBody { reason }, None).await?;
    if json {
        print::json(&done);
    } else {
        print::talk(&format!("revoked {id}; every node refuses it within a second"));
    }
    Ok(Exit::Completed)
}
