//! Who calls: a key, the local operator by the token in the engine's own file, or a sandbox by its
//! own token, for its own calls. Which of them a route takes is said in `needs`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use specline_aggregates::access_key::{AccessKey, Scope};
use specline_aggregates::{AccessKeyId, ProjectId, SandboxId};
use std::collections::BTreeMap;

use super::Api;
use super::error::Refusal;
use super::extract::Path;
use crate::engine::{EngineError, PREFIX};

/// Whoever may call the route, by name and by what they may see.
#[derive(Debug, Clone)]
pub(super) struct Principal {
    /// The name to record: `key:NAME`, or what `X-Specline-Actor` says of a local operator.
    pub name: String,
    key: Option<Arc<AccessKey>>,
}

/// The name that handlers know it by.
pub(super) type Operator = Principal;

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
    /// The local operator.
    fn local(headers: &HeaderMap) -> Self {
        let name = headers.get(ACTOR).and_then(|value| value.to_str().ok());
        let name = name.map(str::trim).filter(|name| !name.is_empty()).unwrap_or("operator");
        // No person is recorded as a key.
        let name = name.strip_prefix("key:").unwrap_or(name);
        Self { name: name.chars().take(MAX_NAME_CHARS).collect(), key: None }
    }

    fn of_key(key: Arc<AccessKey>) -> Self {
        let name = key.grant().map(|grant| grant.name.as_str()).unwrap_or_default();
        Self { name: format!("key:{name}"), key: Some(key) }
    }

    pub fn key(&self) -> Option<AccessKeyId> {
        self.key.as_ref().and_then(|key| key.id())
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
            return Ok(Principal::local(headers));
        }
        let given = bearer(headers)?;
        if given.starts_with(PREFIX) {
            let key = self.engine.access_key(given).await?;
            let wrong = "there is no such key, or it has expired or was revoked";
            return key.map(Principal::of_key).ok_or_else(|| Refusal::unauthorized(wrong));
        }
        // blake3::Hash compares in constant time.
        if blake3::hash(given.as_bytes()) != blake3::hash(self.operator.as_bytes()) {
            return Err(Refusal::unauthorized("this token opens nothing here"));
        }
        let from = extensions.get::<Peer>().map(|Peer(address)| address.ip().to_canonical());
        if from.is_some_and(|ip| !ip.is_loopback()) {
            let detail = "the token of the engine's own file is good on its own machine only; \
                          make a key: specline keys create";
            return Err(Refusal::unauthorized(detail));
        }
        Ok(Principal::local(headers))
    }
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
            Err(Refusal::unauthorized("this token is not this sandbox's"))
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let value = headers.get(header::AUTHORIZATION);
    let value = value.and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer "));
    token.filter(|token| !token.is_empty()).ok_or_else(|| {
        let detail = "send `Authorization: Bearer KEY`; `specline keys create` makes one, and a \
                      command line finds its token in .specline/engine.json";
        Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    })
}
