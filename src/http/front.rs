//! What no route wants is turned away here, before anything else looks at it.

use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::body::single;
use super::error::Refusal;

/// Longest path with its query, in bytes. All conditions of the longest query fit many times.
const MAX_TARGET_BYTES: usize = 16 * 1024;

pub(super) async fn front(request: Request, next: Next) -> Response {
    match check(&request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn check(request: &Request) -> Result<(), Refusal> {
    let target = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    if target.len() > MAX_TARGET_BYTES {
        let detail = format!("path and query have at most {MAX_TARGET_BYTES} bytes");
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail));
    }
    one_host(request.headers())?;
    // No text of the log or of a read model has this character; PostgreSQL cannot even ask for it.
    let nul = "the character U+0000 is in no name here";
    if request.uri().path().contains("%00") {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "invalid_path", nul));
    }
    if request.uri().query().is_some_and(|query| query.contains("%00")) {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "invalid_query", nul));
    }
    Ok(())
}

/// Two hosts are how one request is made to look like two (RFC 9112, 3.2).
fn one_host(headers: &HeaderMap) -> Result<(), Refusal> {
    single(headers, &header::HOST).map(drop)
}
