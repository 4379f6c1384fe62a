//! Who may call: the operator, by the token in the engine's own file; or a sandbox, by its own
//! token, for its own calls.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use specline_aggregates::SandboxId;
use std::collections::BTreeMap;

use super::Api;
use super::error::Refusal;
use super::extract::Path;

/// The operator of this engine.
pub(super) struct Operator {
    /// The name to record; the `X-Specline-Actor` header, else `operator`.
    pub name: String,
}

/// The sandbox whose path was called, with its token checked.
pub(super) struct Caller(pub SandboxId);

/// Header by which a command line names the person behind it.
pub const ACTOR: &str = "x-specline-actor";

/// Longest name of a person, in characters.
const MAX_NAME_CHARS: usize = 100;

impl FromRequestParts<Api> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let given = bearer(parts)?;
        // blake3::Hash compares in constant time.
        if blake3::hash(given.as_bytes()) != blake3::hash(api.operator.as_bytes()) {
            return Err(Refusal::unauthorized("this token is not the operator's"));
        }
        let name = parts.headers.get(ACTOR).and_then(|value| value.to_str().ok());
        let name = name.map(str::trim).filter(|name| !name.is_empty()).unwrap_or("operator");
        Ok(Self { name: name.chars().take(MAX_NAME_CHARS).collect() })
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let given = bearer(parts)?.to_owned();
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

fn bearer(parts: &Parts) -> Result<&str, Refusal> {
    let value = parts.headers.get(header::AUTHORIZATION);
    let value = value.and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer "));
    token.filter(|token| !token.is_empty()).ok_or_else(|| {
        let detail = "send `Authorization: Bearer TOKEN`; a command line finds its token in \
                      .specline/engine.json";
        Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    })
}
