//! Who calls: a key, the local operator by the token in the engine's own file, or a sandbox by its
//! own token, for its own calls. Which of them a route takes is said in `needs`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use specline_aggregates::access_key::{AccessKey, Scope};
use specline_aggregates::{AccessKeyId, ProjectId, SandboxId};
use std::collections::BTreeMap;

use super::Api;
use super::body::single;
use super::error::Refusal;
use super::extract::Path;
use super::home;
use super::logins::Failed;
use crate::engine::{Asked, EngineError, Keyed, PREFIX, Trust};

/// Whoever may call the route, by name and by what they may see.
#[derive(Debug, Clone)]
pub(super) struct Principal {
    /// The name to record: `key:NAME`, or what `X-Specline-Actor` says of a local operator.
    pub name: String,
    trust: Trust,
    key: Option<Arc<AccessKey>>,
}

/// The sandbox whose path was called, with its token checked.
pub(super) struct Caller(pub SandboxId);

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Header by which a command line names the person behind it.
pub const ACTOR: &str = "x-specline-actor";

/// Longest name of a person, in characters.
const MAX_NAME_CHARS: usize = 100;

impl Principal {
    /// Whoever has no key: the local operator, or anybody where nobody has to say who they are.
    fn without_key(headers: &HeaderMap, trust: Trust) -> Self {
        let name = headers.get(ACTOR).and_then(|value| value.to_str().ok());
        Self { name: person(name.unwrap_or_default()), trust, key: None }
    }

    fn of_key(key: Arc<AccessKey>) -> Self {
        let name = key.grant().map(|grant| grant.name.as_str()).unwrap_or_default();
        Self { name: format!("key:{name}"), trust: Trust::Guest, key: Some(key) }
    }

    /// What they ask. An idempotency key is one access key's own, which its id tells: names are
    /// given twice.
    pub fn asks(self, (keyed, expected): (Option<Keyed>, Option<u64>)) -> Asked {
        let keyed = self.owns(keyed);
        Asked { by: self.name, trust: self.trust, keyed, expected }
    }

    /// The idempotency key as nobody else's can be.
    pub fn owns(&self, keyed: Option<Keyed>) -> Option<Keyed> {
        let keyed = keyed?;
        let Some(id) = self.key() else { return Some(keyed) };
        Some(Keyed { key: format!("key:{id}/{}", keyed.key), ..keyed })
    }

    pub fn key(&self) -> Option<AccessKeyId> {
        self.key.as_ref().and_then(|key| key.id())
    }

    /// The key as it was when it was let in.
    pub fn access_key(&self) -> Option<Arc<AccessKey>> {
        self.key.clone()
    }

    pub fn allows(&self, needed: Scope) -> bool {
        self.key.as_ref().is_none_or(|key| key.allows(needed))
    }

    /// The only project that it sees; none = all.
    pub fn project(&self) -> Option<ProjectId> {
        self.key.as_ref()?.grant()?.project
    }

    /// The project that a list is held to, when `asked` was asked for.
    pub fn within(&self, asked: Option<ProjectId>) -> Result<Option<ProjectId>, Refusal> {
        if let Some(asked) = asked {
            self.may_see(asked)?;
        }
        Ok(self.project().or(asked))
    }

    /// Another project's is as if it were not there.
    pub fn may_see(&self, project: ProjectId) -> Result<(), Refusal> {
        if self.project().is_none_or(|own| own == project) {
            return Ok(());
        }
        Err(EngineError::NotFound { what: "project", id: project.to_string() }.into())
    }
}

/// A person's name. Colons stand after the kind of an actor only: nobody's name makes them look
/// like a key, a sandbox or the engine.
fn person(given: &str) -> String {
    let visible = given.chars().filter(|c| !c.is_control());
    let name: String = visible.map(|c| if c == ':' { '-' } else { c }).collect();
    let name: String = name.trim().chars().take(MAX_NAME_CHARS).collect();
    if name.is_empty() { "operator".to_owned() } else { name }
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let known = parts.extensions.get::<Self>().cloned();
        known.ok_or_else(|| Refusal::unauthorized("nobody was let in here"))
    }
}

impl Api {
    /// Who sent a request with these headers.
    pub(super) async fn principal(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Principal, Refusal> {
        if self.auth == super::Auth::Off {
            home::check(headers, &self.origins)?;
            single(headers, &header::AUTHORIZATION)?;
            // Only who has the token is the operator; that others are let in makes them nobody.
            let is_operator = bearer(headers).is_ok_and(|given| self.is_operators(given));
            let trust = if is_operator { Trust::Host } else { Trust::Guest };
            return Ok(Principal::without_key(headers, trust));
        }
        let given = bearer(headers)?;
        let from = from(extensions);
        if given.starts_with(PREFIX) {
            return self.by_key(from, given).await;
        }
        if !self.is_operators(given) {
            let detail = "this token opens nothing here";
            return Err(self.login_failed(from, ("token", given), detail));
        }
        if from.is_some_and(|ip| !ip.is_loopback()) {
            let detail = "the token of the engine's own file is good on its own machine only; \
                          make a key: specline keys create";
            return Err(self.login_failed(from, ("token", given), detail));
        }
        Ok(Principal::without_key(headers, Trust::Host))
    }

    /// Whether this is the operator's token.
    fn is_operators(&self, given: &str) -> bool {
        // blake3::Hash compares in constant time.
        blake3::hash(given.as_bytes()) == blake3::hash(self.operator.as_bytes())
    }

    /// Refuses a sandbox's call. Who is somebody else has guessed nothing, and is told so.
    async fn not_the_sandboxs(&self, from: Option<IpAddr>, given: &str) -> Refusal {
        let detail = "this route is for the worker in the sandbox, by its own token";
        let not_yours = || Refusal::new(StatusCode::FORBIDDEN, "not_yours", detail);
        if self.is_operators(given) {
            return not_yours();
        }
        if given.starts_with(PREFIX) {
            return match self.by_key(from, given).await {
                Ok(_) => not_yours(),
                Err(refusal) => refusal,
            };
        }
        self.login_failed(from, ("sandbox", given), "this token is not this sandbox's")
    }

    async fn by_key(&self, from: Option<IpAddr>, given: &str) -> Result<Principal, Refusal> {
        if let Err(wait) = self.logins.may_try(from, given) {
            self.engine.metrics().login_failed("key", "held_off");
            return Err(held_off(wait));
        }
        let Some(key) = self.engine.access_key(given).await? else {
            let detail = "there is no such key, or it has expired or was revoked";
            return Err(self.login_failed(from, ("key", given), detail));
        };
        self.logins.succeeded(from, given);
        Ok(Principal::of_key(key))
    }

    /// Counts a login that failed, and says so. What was tried is a secret, maybe of somebody
    /// else's: only the public part of a key is told.
    fn login_failed(
        &self,
        from: Option<IpAddr>,
        (kind, given): (&'static str, &str),
        detail: &str,
    ) -> Refusal {
        let failed = self.logins.failed(from, given);
        if let Failed::TooMany(wait) = failed {
            self.engine.metrics().login_failed(kind, "held_off");
            return held_off(wait);
        }
        self.engine.metrics().login_failed(kind, "refused");
        let address = from.map(|ip| ip.to_string()).unwrap_or_default();
        let id = given.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
        let id = id.and_then(|(id, _)| id.parse::<AccessKeyId>().ok());
        let id = id.map(|id| id.to_string()).unwrap_or_default();
        tracing::warn!(address, kind, key.id = id, "a login failed");
        if failed == Failed::Last {
            tracing::warn!(address, "too many failed logins: this address is held off for a while");
        }
        Refusal::unauthorized(detail)
    }
}

fn held_off(wait: Duration) -> Refusal {
    let seconds = wait.as_secs() + 1;
    let detail = format!("too many logins from this address have failed; wait {seconds} s");
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failed_logins", detail)
        .retry_after(seconds)
}

fn from(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<Peer>().map(|Peer(address)| address.ip().to_canonical())
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let given = bearer(&parts.headers)?.to_owned();
        let Path(path): Path<BTreeMap<String, String>> =
            Path::from_request_parts(parts, api).await?;
        let id = path.get("id").and_then(|id| id.parse::<SandboxId>().ok());
        let id = id.ok_or_else(|| Refusal::invalid("the sandbox's id is not a UUID"))?;
        // An unknown sandbox and a wrong token look the same from outside.
        let token = api.engine.sandbox_token(id).await?;
        if token.is_some_and(|token| token.matches(&given)) {
            Ok(Self(id))
        } else {
            Err(api.not_the_sandboxs(from(&parts.extensions), &given).await)
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let value = single(headers, &header::AUTHORIZATION)?.and_then(|value| value.to_str().ok());
    let parts = value.and_then(|value| value.split_once(' '));
    let bearer = parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = bearer.map(|(_, token)| token.trim_start_matches(' '));
    token.filter(|token| !token.is_empty()).ok_or_else(|| {
        let detail = "send `Authorization: Bearer KEY`; `specline keys create` makes one, and a \
                      command line finds its token in .specline/engine.json";
        Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    })
}
