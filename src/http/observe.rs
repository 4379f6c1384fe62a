//! Counts every request, and leaves one line in the log for each.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::Api;
use crate::telemetry::trace;

/// The route of what has none, so that no path becomes a label.
const NO_ROUTE: &str = "none";

/// Around each route.
pub(super) async fn observe(State(api): State<Api>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let method = known(request.method());
    let path = request.uri().path().to_owned();
    let parent = trace::parent(|name| request.headers().get(name)?.to_str().ok());
    let started = Instant::now();
    let response = trace::within(parent, next.run(request)).await;
    let took = started.elapsed();
    let status = response.status().as_u16();
    api.engine.metrics().request((method, route), status, took);
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if is_frequent(route) && status < 400 {
        tracing::debug!(method, route, path, status, duration_ms, "answered");
    } else {
        tracing::info!(method, route, path, status, duration_ms, "answered");
    }
    response
}

/// What comes every few seconds for each sandbox, or from each prober, would bury the rest.
fn is_frequent(route: &str) -> bool {
    let ends = ["/heartbeat", "/assignment", "/metrics", "/health/live", "/health/ready"];
    ends.iter().any(|end| route.ends_with(end))
}

/// Callers may send any word as a method.
fn known(method: &Method) -> &'static str {
    let all = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    all.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}
