//! What each route needs: the one place where that is said. A route that is not here is for admins
//! of everything only, and a test fails until it is.

use axum::http::Method;
use specline_aggregates::access_key::Scope;

/// Whose a route's subject is; keys that are bound to a project see their own only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// No project's: not for bound keys.
    Everything,
    /// The answer, or the request, says; the handler holds it to the key's project.
    Handler,
    /// The spec `{id}`.
    Spec,
    /// The spec `{id}` and the ticket `{ticket_id}`.
    SpecAndTicket,
    /// The task `{id}`.
    Task,
    /// The ticket `{id}`.
    Ticket,
    /// The owner of the sandbox `{id}`.
    Sandbox,
    /// The project `{id}`.
    Project,
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Anybody.
    Nothing,
    /// The token of the sandbox that the path names.
    SandboxToken,
    /// A key with this scope, or with `admin`.
    Scope(Scope, Of),
}

/// A route and what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub method: &'static str,
    /// As the router has it.
    pub path: &'static str,
    pub need: Need,
}

const fn open(method: &'static str, path: &'static str) -> Route {
    Route { method, path, need: Need::Nothing }
}

const fn worker(method: &'static str, path: &'static str) -> Route {
    Route { method, path, need: Need::SandboxToken }
}

const fn read(path: &'static str, of: Of) -> Route {
    Route { method: "GET", path, need: Need::Scope(Scope::Reader, of) }
}

const fn operate(method: &'static str, path: &'static str, of: Of) -> Route {
    Route { method, path, need: Need::Scope(Scope::Operator, of) }
}

const fn decide(path: &'static str, of: Of) -> Route {
    Route { method: "POST", path, need: Need::Scope(Scope::Approver, of) }
}

const fn administer(method: &'static str, path: &'static str, of: Of) -> Route {
    Route { method, path, need: Need::Scope(Scope::Admin, of) }
}

/// Every route.
pub const ROUTES: &[Route] = &[
    open("GET", "/health/live"),
    open("GET", "/health/ready"),
    // What the API says of itself holds no secret, and a browser has no key to send.
    open("GET", "/api/openapi.json"),
    open("GET", "/api/docs"),
    open("GET", "/api/docs/page.js"),
    open("GET", "/api/docs/page.css"),
    open("GET", "/api/docs/errors/{code}"),
    // Specs.
    operate("POST", "/api/v1/specs", Of::Handler),
    operate("POST", "/api/v1/specs/launch", Of::Handler),
    read("/api/v1/specs", Of::Handler),
    read("/api/v1/specs/{id}", Of::Spec),
    operate("PATCH", "/api/v1/specs/{id}", Of::Spec),
    read("/api/v1/specs/{id}/events", Of::Spec),
    read("/api/v1/specs/{id}/context", Of::Spec),
    read("/api/v1/specs/{id}/requirements", Of::Spec),
    read("/api/v1/specs/{id}/tasks", Of::Spec),
    read("/api/v1/specs/{id}/traceability", Of::Spec),
    read("/api/v1/specs/{id}/checkpoints", Of::Spec),
    read("/api/v1/specs/{id}/diff", Of::Spec),
    read("/api/v1/specs/{id}/export", Of::Spec),
    read("/api/v1/specs/{id}/phases", Of::Spec),
    read("/api/v1/specs/{id}/phases/{phase}/attempts/{n}", Of::Spec),
    operate("POST", "/api/v1/specs/{id}/comments", Of::Spec),
    operate("POST", "/api/v1/specs/{id}/tickets/{ticket_id}", Of::SpecAndTicket),
    read("/api/v1/specs/{id}/detail", Of::Spec),
    read("/api/v1/specs/{id}/timeline", Of::Spec),
    read("/api/v1/specs/{id}/phases/{phase}", Of::Spec),
    operate("POST", "/api/v1/specs/{id}/execute", Of::Spec),
    operate("POST", "/api/v1/specs/{id}/resume", Of::Spec),
    operate("POST", "/api/v1/specs/{id}/pause", Of::Spec),
    operate("POST", "/api/v1/specs/{id}/cancel", Of::Spec),
    operate("POST", "/api/v1/specs/{id}/retry", Of::Spec),
    operate("POST", "/api/v1/specs/{id}/fork", Of::Spec),
    operate("POST", "/api/v1/specs/{id}/phases/{phase}/edit", Of::Spec),
    decide("/api/v1/specs/{id}/phases/{phase}/approve", Of::Spec),
    decide("/api/v1/specs/{id}/phases/{phase}/reject", Of::Spec),
    // Tasks and tickets.
    read("/api/v1/tasks", Of::Handler),
    read("/api/v1/tasks/{id}", Of::Task),
    read("/api/v1/tasks/{id}/why", Of::Task),
    read("/api/v1/tickets", Of::Handler),
    read("/api/v1/tickets/{id}", Of::Ticket),
    read("/api/v1/sandboxes", Of::Handler),
    read("/api/v1/sandboxes/{id}", Of::Sandbox),
    operate("POST", "/api/v1/sandboxes/{id}/terminate", Of::Sandbox),
    // Sandboxes: the worker's own calls.
    worker("POST", "/api/v1/sandboxes/{id}/attach"),
    worker("POST", "/api/v1/sandboxes/{id}/heartbeat"),
    worker("POST", "/api/v1/sandboxes/{id}/steps"),
    worker("POST", "/api/v1/sandboxes/{id}/output"),
    worker("POST", "/api/v1/sandboxes/{id}/failure"),
    worker("GET", "/api/v1/sandboxes/{id}/assignment"),
    worker("POST", "/api/v1/sandboxes/{id}/events"),
    worker("GET", "/api/v1/sandboxes/{id}/context/{digest}"),
    worker("POST", "/api/v1/sandboxes/{id}/detach"),
    // Projects and keys.
    administer("POST", "/api/v1/projects", Of::Everything),
    read("/api/v1/projects", Of::Handler),
    read("/api/v1/projects/{id}", Of::Project),
    administer("PATCH", "/api/v1/projects/{id}", Of::Project),
    administer("POST", "/api/v1/keys", Of::Everything),
    administer("GET", "/api/v1/keys", Of::Everything),
    administer("POST", "/api/v1/keys/{id}/revoke", Of::Everything),
    // The log.
    read("/api/v1/audit/events", Of::Handler),
    read("/api/v1/audit/events/{position}/trace", Of::Everything),
    read("/api/v1/audit/verify", Of::Everything),
    read("/api/v1/audit/seals", Of::Everything),
    read("/api/v1/audit/proof/{position}", Of::Everything),
    read("/api/v1/audit/consistency", Of::Everything),
    read("/api/v1/events/stream", Of::Handler),
    // The engine itself. What may be chosen by name is no project's, and tells nothing of one.
    read("/api/v1/agents", Of::Handler),
    read("/api/v1/projections", Of::Everything),
    read("/metrics", Of::Everything),
    operate("POST", "/api/v1/gates/backtest", Of::Everything),
    administer("POST", "/api/v1/projections/{name}/rebuild", Of::Everything),
];

/// What `method` on `path` needs.
pub(super) fn of(method: &Method, path: &str) -> Need {
    // axum answers HEAD by the handler of GET.
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    let path = path.strip_suffix('/').unwrap_or(path);
    let route = ROUTES.iter().find(|route| route.method == method && route.path == path);
    route.map_or(Need::Scope(Scope::Admin, Of::Everything), |route| route.need)
}
