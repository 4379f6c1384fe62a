//! The HTTP API: thin handlers that turn requests into the engine's calls, and its answers and
//! refusals into JSON. No rule of the domain stands here.

mod access_keys;
mod agents;
mod answers;
mod audit;
mod auth;
mod body;
mod conditions;
mod docs;
mod error;
mod export;
mod extract;
mod front;
mod gates;
mod guard;
mod headers;
mod health;
mod history;
mod home;
#[cfg(test)]
mod hostile;
mod limits;
mod lists;
mod logins;
mod metrics;
mod needs;
mod observe;
mod paced;
mod paging;
mod projects;
mod reads;
mod receive;
mod sandbox_lines;
mod sandboxes;
mod server;
mod specs;
mod standing;
mod stream;
mod tasks;
mod tls;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use access_keys::{NewKey, RevokeBody};
pub use auth::{ACTOR, Peer};
pub use body::IDEMPOTENCY_KEY;
pub use docs::{ERRORS, document as openapi};
pub use export::Export;
pub use headers::{Origin, REQUEST_ID};
pub use limits::{Limits, RateLimit};
pub use logins::FailedLogins;
pub use needs::{Need, Of, ROUTES, Route};
pub use specs::{ActionBody, ApprovalBody, EditBody, ForkBody, RejectionBody, RetryBody};
pub use tls::{Tls, TlsError};

use crate::engine::{Engine, ReadyBounds};

/// Largest body: an output of 16 MiB, and what is said around it.
const MAX_BODY_BYTES: usize = 17 * 1024 * 1024;

/// What every handler sees.
#[derive(Clone)]
pub struct Api {
    engine: Engine,
    /// The token of whoever may read the engine's own file.
    operator: Arc<str>,
    auth: Auth,
    buckets: Arc<limits::Buckets>,
    logins: Arc<logins::Logins>,
    /// Places for streams of events.
    streams: Arc<tokio::sync::Semaphore>,
    ready: ReadyBounds,
    intake: receive::Intake,
    limits: Limits,
    /// Origins whose pages may call.
    origins: Arc<[Origin]>,
}

/// Whether callers have to say who they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Auth {
    #[default]
    Required,
    /// Whoever reaches the port may do everything: for trials on loopback.
    Off,
}

/// How the API treats its callers.
#[derive(Debug, Clone)]
pub struct Access {
    pub auth: Auth,
    /// None: a key may call as often as it likes.
    pub rate: Option<RateLimit>,
    /// None: an address may fail to log in as often as it likes.
    pub failed_logins: Option<FailedLogins>,
    /// Streams of events that may be open at a time on this node.
    pub streams: usize,
    /// Origins whose pages may call; none by default.
    pub origins: Vec<Origin>,
    /// When it says that it is ready.
    pub ready: ReadyBounds,
    pub limits: Limits,
}

/// Streams of events on one node, when nothing else was said.
pub const MAX_STREAMS: usize = 2_000;

impl Default for Access {
    fn default() -> Self {
        Self {
            auth: Auth::Required,
            rate: Some(RateLimit::default()),
            failed_logins: Some(FailedLogins::default()),
            streams: MAX_STREAMS,
            origins: Vec::new(),
            ready: ReadyBounds::default(),
            limits: Limits::default(),
        }
    }
}

impl Api {
    #[must_use]
    pub fn new(engine: Engine, operator: &str) -> Self {
        Self::with(engine, operator, Access::default())
    }

    #[must_use]
    pub fn with(engine: Engine, operator: &str, access: Access) -> Self {
        let Access { auth, rate, failed_logins, streams, origins, ready, limits } = access;
        let buckets = Arc::new(limits::Buckets::new(rate));
        let intake = receive::Intake::new(&limits);
        let logins = Arc::new(logins::Logins::new(failed_logins));
        let streams = Arc::new(tokio::sync::Semaphore::new(streams));
        let (operator, origins) = (operator.into(), origins.into());
        Self { engine, operator, auth, buckets, logins, streams, ready, intake, limits, origins }
    }
}

/// Serves the API on `listener` until `stop`.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    stop: CancellationToken,
) -> std::io::Result<()> {
    serve_with(listener, None, api, stop).await
}

/// The same, encrypted where `tls` is given.
pub async fn serve_with(
    listener: TcpListener,
    tls: Option<Tls>,
    api: Api,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let limits = api.limits;
    server::serve(listener, tls, (router(api), limits), stop).await
}

/// The routes under `/api/v1/specs`.
fn spec_routes() -> Router<Api> {
    Router::new()
        .route("/", post(specs::draft).get(reads::list))
        .route("/launch", post(specs::launch))
        .route("/{id}", get(reads::show).patch(specs::revise))
        .route("/{id}/events", get(reads::events))
        .route("/{id}/context", get(reads::context))
        .route("/{id}/requirements", get(lists::requirements))
        .route("/{id}/tasks", get(tasks::of_spec))
        .route("/{id}/traceability", get(tasks::traceability))
        .route("/{id}/checkpoints", get(history::checkpoints))
        .route("/{id}/diff", get(history::diff))
        .route("/{id}/export", get(export::export))
        .route("/{id}/comments", post(tasks::comment))
        .route("/{id}/tickets/{ticket_id}", post(tasks::link))
        .route("/{id}/phases", get(history::phases))
        .route("/{id}/phases/{phase}/attempts/{n}", get(history::attempt))
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
        .route("/{id}/phases/{phase}/edit", post(specs::edit))
}

/// The routes. What each needs stands in `needs`.
pub fn router(api: Api) -> Router {
    let sandboxes = Router::new()
        .route("/", get(sandbox_lines::list))
        .route("/{id}", get(sandbox_lines::show))
        .route("/{id}/terminate", post(sandbox_lines::terminate))
        .route("/{id}/attach", post(sandboxes::attach))
        .route("/{id}/heartbeat", post(sandboxes::heartbeat))
        .route("/{id}/steps", post(sandboxes::step))
        .route("/{id}/output", post(sandboxes::output))
        .route("/{id}/failure", post(sandboxes::failure))
        .route("/{id}/assignment", get(sandboxes::assignment))
        .route("/{id}/events", post(sandboxes::events))
        .route("/{id}/context/{digest}", get(sandboxes::context))
        .route("/{id}/detach", post(sandboxes::detach));
    let audit = Router::new()
        .route("/events", get(audit::events))
        .route("/events/{position}/trace", get(audit::trace))
        .route("/verify", get(audit::verify))
        .route("/seals", get(audit::seals))
        .route("/proof/{position}", get(audit::proof))
        .route("/consistency", get(audit::consistency));
    let projects = Router::new()
        .route("/", post(projects::create).get(projects::list))
        .route("/{id}", get(projects::show).patch(projects::revise));
    let keys = Router::new()
        .route("/", post(access_keys::create).get(access_keys::list))
        .route("/{id}/revoke", post(access_keys::revoke));
    Router::new()
        .nest("/api/v1/specs", spec_routes())
        .nest("/api/v1/sandboxes", sandboxes)
        .nest("/api/v1/audit", audit)
        .route("/api/v1/events/stream", get(stream::stream))
        .nest("/api/v1/projects", projects)
        .nest("/api/v1/keys", keys)
        .route("/api/v1/tasks", get(lists::tasks))
        .route("/api/v1/tasks/{id}", get(tasks::task))
        .route("/api/v1/tasks/{id}/why", get(tasks::why))
        .route("/api/v1/tickets", get(lists::tickets))
        .route("/api/v1/tickets/{id}", get(tasks::ticket))
        .route("/api/v1/agents", get(agents::list))
        .route("/api/v1/projections", get(health::projections))
        .route("/api/v1/projections/{name}/rebuild", post(lists::rebuild))
        .route("/api/v1/gates/backtest", post(gates::backtest))
        .route("/metrics", get(metrics::metrics))
        .route("/api/openapi.json", get(docs::openapi))
        .route("/api/docs", get(docs::page))
        .route("/api/docs/page.js", get(docs::script))
        .route("/api/docs/page.css", get(docs::style))
        .route("/api/docs/errors/{code}", get(docs::error))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::wrong_method)
        .route_layer(middleware::from_fn_with_state(api.clone(), guard::guard))
        .layer(middleware::from_fn_with_state(api.clone(), observe::observe))
        .layer(middleware::from_fn(front::front))
        .layer(middleware::from_fn_with_state(api.clone(), headers::frame))
        .with_state(api)
}
