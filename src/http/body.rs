//! Bodies and idempotency keys of requests.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use serde::de::DeserializeOwned;
use specline_aggregates::Digest;

use super::error::Refusal;
use crate::engine::Keyed;

/// The header of an idempotency key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Longest idempotency key, in bytes.
const MAX_KEY_BYTES: usize = 200;

/// A JSON body with the request's idempotency key. An empty body is `{}`.
pub(super) struct Body<T> {
    pub value: T,
    pub keyed: Option<Keyed>,
    /// The version that `If-Match` names.
    pub expected: Option<u64>,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let headers = request.headers().clone();
        let bytes = Bytes::from_request(request, state).await.map_err(|error| {
            let status = error.status();
            let code = if status == StatusCode::PAYLOAD_TOO_LARGE {
                "body_too_large"
            } else {
                "body_unreadable"
            };
            Refusal::new(status, code, error.body_text())
        })?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        let value = serde_json::from_slice(text).map_err(|error| {
            let code = if error.is_data() { "invalid_input" } else { "invalid_json" };
            let status = if error.is_data() {
                StatusCode::UNPROCESSABLE_ENTITY
            } else {
                StatusCode::BAD_REQUEST
            };
            Refusal::new(status, code, format!("the body cannot be read: {error}"))
        })?;
        let keyed = keyed(&headers, (&method, &uri), &bytes)?;
        let expected = expected(&headers)?;
        Ok(Self { value, keyed, expected })
    }
}

/// `If-Match: 12`, or `"12"` as an ETag has it. `*` says nothing: what a route names must be there.
fn expected(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let version = digits.parse().ok().filter(|_| number);
    version.map(Some).ok_or_else(|| {
        let detail = "If-Match is the version of the answer that you go by, such as \"12\"";
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_header", detail)
    })
}

fn keyed(
    headers: &HeaderMap,
    (method, uri): (&Method, &Uri),
    body: &[u8],
) -> Result<Option<Keyed>, Refusal> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let visible = |key: &&str| key.bytes().all(|byte| byte.is_ascii_graphic());
    let fits = |key: &&str| !key.is_empty() && key.len() <= MAX_KEY_BYTES;
    let key = key.to_str().ok().filter(fits).filter(visible);
    let key = key.ok_or_else(|| {
        Refusal::invalid(format!("Idempotency-Key is 1 to {MAX_KEY_BYTES} visible characters"))
    })?;
    let mut request = format!("{method} {}\n", uri.path()).into_bytes();
    request.extend_from_slice(body);
    Ok(Some(Keyed { key: key.to_owned(), request: Digest::of(&request) }))
}
