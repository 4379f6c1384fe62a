//! What every answer carries: the request's id, headers that keep browsers from doing harm, and
//! the permissions for pages of other origins, where there are any.

use std::str::FromStr;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::Api;
use crate::request;
use crate::telemetry::trace;

/// The header of a request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that a caller may choose, in characters.
const MAX_ID_CHARS: usize = 64;

/// Answers of the API are data: nothing in them may be run, shown in a frame, or load anything.
const CSP_OF_DATA: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Pages bring their scripts and styles as files of their own, from here.
const CSP_OF_PAGES: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PATCH");
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, last-event-id, x-request-id",
);
const EXPOSED_HEADERS: HeaderValue =
    HeaderValue::from_static("x-request-id, retry-after, location, etag, specline-next-cursor");

/// How long a browser may remember what it is allowed, in seconds.
const REMEMBER: HeaderValue = HeaderValue::from_static("600");

/// An origin whose pages may call, as browsers write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host = |rest: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b);
            !rest.is_empty() && rest.bytes().all(plain)
        };
        let value = rest.filter(|rest| host(rest)).and_then(|_| HeaderValue::from_str(text).ok());
        let help = "is not an origin such as https://board.example.com (no path, no `*`)";
        value.map(Self).ok_or_else(|| format!("{text:?} {help}"))
    }
}

impl Origin {
    pub(super) fn is(&self, text: &str) -> bool {
        self.0.as_bytes() == text.as_bytes()
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// Goes around everything else.
pub(super) async fn frame(State(api): State<Api>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let span = tracing::info_span!("request", request.id = %id, method = %request.method(),
        path = request.uri().path());
    let parent = trace::parent(|name| request.headers().get(name)?.to_str().ok());
    trace::adopt(&span, parent.as_deref());
    let origin = request.headers().get(header::ORIGIN).cloned();
    let origin = origin.filter(|origin| api.origins.iter().any(|allowed| allowed.0 == *origin));
    let preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let current = request::Request { id: id.clone(), key: None };
    let mut response = if preflight && origin.is_some() {
        preflight_answer()
    } else {
        request::within(current, next.run(request).instrument(span)).await
    };
    let status = response.status();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if !api.origins.is_empty() {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    }
    harden(headers);
    response
}

fn preflight_answer() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, REMEMBER),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// What a handler has set itself, stays.
fn harden(headers: &mut HeaderMap) {
    let page = headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes().starts_with(b"text/html") || kind.as_bytes().starts_with(b"image/svg")
    });
    let policy = if page { CSP_OF_PAGES } else { CSP_OF_DATA };
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// The caller's own id where it is harmless, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let harmless = |id: &&str| {
        (1..=MAX_ID_CHARS).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(harmless);
    given.map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::{REQUEST_ID, request_id};

    #[test]
    fn an_id_that_could_do_harm_is_replaced() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(text));
            request_id(&headers)
        };
        assert_eq!(of("build-17.retry_2"), "build-17.retry_2");
        for bad in ["", "two words", "a\"b", "../../etc", "<script>"] {
            assert_eq!(of(bad).len(), 36, "{bad:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_str(&"x".repeat(65)).unwrap());
        assert_eq!(request_id(&headers).len(), 36);
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
