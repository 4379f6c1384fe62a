//! The HTTP API: thin handlers that turn requests into the engine's calls, and its answers and
//! refusals into JSON. No rule of the domain stands here.

mod auth;
mod body;
mod error;
mod extract;
mod health;
mod lists;
mod reads;
mod sandboxes;
mod specs;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use auth::ACTOR;
pub use body::IDEMPOTENCY_KEY;
pub use reads::SpecList;
pub use specs::{ActionBody, ApprovalBody, EditBody, ForkBody, RejectionBody, RetryBody};

use crate::engine::Engine;

/// Largest body: an output of 16 MiB, and what is said around it.
const MAX_BODY_BYTES: usize = 17 * 1024 * 1024;

/// What every handler sees.
#[derive(Clone)]
pub struct Api {
    engine: Engine,
    /// The token of whoever may read the engine's own file.
    operator: Arc<str>,
}

impl Api {
    #[must_use]
    pub fn new(engine: Engine, operator: &str) -> Self {
        Self { engine, operator: operator.into() }
    }
}

/// Serves the API on `listener` until `stop`.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router(api))
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await
}

/// The routes. Every one but `/health/…` needs a bearer token.
pub fn router(api: Api) -> Router {
    let specs = Router::new()
        .route("/", post(specs::draft).get(reads::list))
        .route("/launch", post(specs::launch))
        .route("/{id}", get(reads::show).patch(specs::revise))
        .route("/{id}/events", get(reads::events))
        .route("/{id}/context", get(reads::context))
        .route("/{id}/requirements", get(lists::requirements))
        .route("/{id}/detail", get(lists::detail))
        .route("/{id}/timeline", get(lists::timeline))
        .route("/{id}/phases/{phase}", get(reads::phase))
        .route("/{id}/execute", post(specs::execute))
        .route("/{id}/resume", post(specs::resume))
        .route("/{id}/pause", post(specs::pause))
        .route("/{id}/cancel", post(specs::cancel))
        .route("/{id}/retry", post(specs::retry))
        .route("/{id}/fork", post(specs::fork))
        .route("/{id}/phases/{phase}/approve", post(specs::approve))
        .route("/{id}/phases/{phase}/reject", post(specs::reject))
        .route("/{id}/phases/{phase}/edit", post(specs::edit));
    let sandboxes = Router::new()
        .route("/{id}/attach", post(sandboxes::attach))
        .route("/{id}/heartbeat", post(sandboxes::heartbeat))
        .route("/{id}/steps", post(sandboxes::step))
        .route("/{id}/output", post(sandboxes::output))
        .route("/{id}/failure", post(sandboxes::failure))
        .route("/{id}/assignment", get(sandboxes::assignment))
        .route("/{id}/events", post(sandboxes::events))
        .route("/{id}/context/{digest}", get(sandboxes::context))
        .route("/{id}/detach", post(sandboxes::detach));
    Router::new()
        .nest("/api/v1/specs", specs)
        .nest("/api/v1/sandboxes", sandboxes)
        .route("/api/v1/tasks", get(lists::tasks))
        .route("/api/v1/tickets", get(lists::tickets))
        .route("/api/v1/projections", get(health::projections))
        .route("/api/v1/projections/{name}/rebuild", post(lists::rebuild))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(api)
}
