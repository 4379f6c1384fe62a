//! How each route of the API is called, well and wrongly.

use serde_json::{Value, json};

use super::routes::{By, Case, Wrong};
use crate::support::Agent;

/// A read whose wrong call names what is not there.
fn read(route: &'static str, path: &str, wrong: &str) -> Case {
    let wrong = Wrong::Path(wrong.to_owned(), 404);
    Case {
        route: ("GET", route),
        path: path.to_owned(),
        body: Value::Null,
        status: 200,
        wrong,
        by: By::Operator,
    }
}

/// A list whose wrong call asks for too many.
fn list(route: &'static str) -> Case {
    let wrong = Wrong::Path(format!("{route}?limit=0"), 400);
    Case {
        route: ("GET", route),
        path: route.to_owned(),
        body: Value::Null,
        status: 200,
        wrong,
        by: By::Operator,
    }
}

fn open(route: &'static str) -> Case {
    let (path, wrong) = (route.to_owned(), Wrong::Never);
    Case { route: ("GET", route), path, body: Value::Null, status: 200, wrong, by: By::Operator }
}

/// A read of a spec.
fn of_spec(route: &'static str, more: &str) -> Case {
    let path = |id: &str| format!("{}{more}", filled(route, id));
    read(route, &path("{done}"), &path("{nobody}"))
}

fn filled(route: &str, id: &str) -> String {
    route.replacen("{id}", id, 1).replace("{phase}", "explore").replace("{n}", "1")
}

/// An order, whose wrong call has a field that nobody knows.
fn order(route: &'static str, (id, status): (&str, u16), body: Value) -> Case {
    let wrong = Wrong::Body(json!({ "unheard_of": 1 }), 422);
    Case { route: ("POST", route), path: filled(route, id), body, status, wrong, by: By::Operator }
}

pub fn specs(draft: &Value) -> Vec<Case> {
    let mut revise = order(SPEC, ("{revise}", 200), json!({ "title": "Other" }));
    revise.route.0 = "PATCH";
    vec![
        order("/api/v1/specs", ("", 201), draft.clone()),
        order("/api/v1/specs/launch", ("", 202), draft.clone()),
        revise,
        order("/api/v1/specs/{id}/execute", ("{run}", 202), json!({})),
        order("/api/v1/specs/{id}/pause", ("{run}", 200), json!({ "reason": "later" })),
        order("/api/v1/specs/{id}/resume", ("{run}", 202), json!({})),
        order("/api/v1/specs/{id}/cancel", ("{run}", 200), json!({})),
        order("/api/v1/specs/{id}/retry", ("{run}", 202), json!({ "phase": "explore" })),
        order("/api/v1/specs/{id}/fork", ("{done}", 201), json!({ "at_version": 3 })),
        order("/api/v1/specs/{id}/comments", ("{done}", 200), json!({ "text": "Well." })),
    ]
}

/// What a person decides on an output that waits: each in a world of its own.
pub fn decisions() -> Vec<Case> {
    let digest = json!({ "digest": "{digest}" });
    let rejection = json!({ "digest": "{digest}", "feedback": "Look again." });
    let edit = json!({ "output": Agent::answer("explore") });
    vec![
        order("/api/v1/specs/{id}/phases/{phase}/approve", ("{waiting}", 200), digest),
        order("/api/v1/specs/{id}/phases/{phase}/reject", ("{waiting}", 200), rejection),
        order("/api/v1/specs/{id}/phases/{phase}/edit", ("{waiting}", 200), edit),
    ]
}

const SPEC: &str = "/api/v1/specs/{id}";

pub fn reads() -> Vec<Case> {
    vec![
        list("/api/v1/specs"),
        list("/api/v1/tasks"),
        list("/api/v1/tickets"),
        list("/api/v1/sandboxes"),
        list("/api/v1/projects"),
        list("/api/v1/keys"),
        of_spec(SPEC, ""),
        of_spec("/api/v1/specs/{id}/events", ""),
        of_spec("/api/v1/specs/{id}/context", "?phase=design"),
        of_spec("/api/v1/specs/{id}/requirements", ""),
        of_spec("/api/v1/specs/{id}/tasks", ""),
        of_spec("/api/v1/specs/{id}/traceability", ""),
        of_spec("/api/v1/specs/{id}/checkpoints", ""),
        of_spec("/api/v1/specs/{id}/diff", "?from=1"),
        of_spec("/api/v1/specs/{id}/export", "?format=json"),
        of_spec("/api/v1/specs/{id}/phases", ""),
        of_spec("/api/v1/specs/{id}/phases/{phase}", ""),
        of_spec("/api/v1/specs/{id}/phases/{phase}/attempts/{n}", ""),
        of_spec("/api/v1/specs/{id}/detail", ""),
        of_spec("/api/v1/specs/{id}/timeline", ""),
        read("/api/v1/tasks/{id}", "/api/v1/tasks/{tasks}", "/api/v1/tasks/{nobody}"),
        read("/api/v1/tasks/{id}/why", "/api/v1/tasks/{tasks}/why", "/api/v1/tasks/{nobody}/why"),
        read("/api/v1/tickets/{id}", "/api/v1/tickets/{tickets}", "/api/v1/tickets/{nobody}"),
        read(
            "/api/v1/sandboxes/{id}",
            "/api/v1/sandboxes/{sandboxes}",
            "/api/v1/sandboxes/{nobody}",
        ),
        open("/health/live"),
        open("/health/ready"),
        open("/api/openapi.json"),
        open("/api/docs"),
        open("/api/docs/page.js"),
        open("/api/docs/page.css"),
        open("/api/v1/agents"),
        open("/api/v1/projections"),
        read("/api/docs/errors/{code}", "/api/docs/errors/not_found", "/api/docs/errors/none"),
    ]
}

pub fn others() -> Vec<Case> {
    let rebuild = "/api/v1/projections/{name}/rebuild";
    let missing = Wrong::Path(rebuild.replace("{name}", "none"), 404);
    let link = "/api/v1/specs/{id}/tickets/{ticket_id}";
    let mut link = order(link, ("{done}", 200), json!({}));
    link.path = link.path.replace("{ticket_id}", "{tickets}");
    let path = rebuild.replace("{name}", "tickets");
    vec![
        link,
        order("/api/v1/sandboxes/{id}/terminate", ("{sandboxes}", 202), json!({})),
        order("/api/v1/keys/{id}/revoke", ("{key}", 200), json!({})),
        order("/api/v1/keys", ("", 201), json!({ "name": "k", "scopes": ["reader"] })),
        Case {
            route: ("POST", rebuild),
            path,
            body: json!({}),
            status: 200,
            wrong: missing,
            by: By::Operator,
        },
    ]
}

/// A read that refuses what is no number.
fn counted(route: &'static str, path: &str, wrong: &str) -> Case {
    let wrong = Wrong::Path(format!("{route}{wrong}"), 400);
    Case { path: path.to_owned(), wrong, ..open(route) }
}

/// The log, the engine and the projects.
pub fn rest() -> Vec<Case> {
    let project = json!({ "name": "Other", "repository": "{elsewhere}" });
    let mut revise = order("/api/v1/projects/{id}", ("{project}", 200), json!({ "name": "New" }));
    revise.route.0 = "PATCH";
    let seal = "/api/v1/audit/consistency?first={sealed}";
    let late = "/api/v1/audit/proof/{position}".replace("{position}", "9000000");
    let unsealed = Wrong::Path(late, 409);
    let proof = Case {
        path: "/api/v1/audit/proof/1".to_owned(),
        wrong: unsealed,
        ..open("/api/v1/audit/proof/{position}")
    };
    let trace = "/api/v1/audit/events/{position}/trace";
    vec![
        order("/api/v1/projects", ("", 201), project),
        revise,
        read("/api/v1/projects/{id}", "/api/v1/projects/{project}", "/api/v1/projects/{nobody}"),
        list("/api/v1/audit/events"),
        list("/api/v1/audit/seals"),
        read(trace, &trace.replace("{position}", "7"), &trace.replace("{position}", "9000000")),
        proof,
        counted("/api/v1/audit/verify", "/api/v1/audit/verify", "?from=x"),
        counted("/api/v1/audit/consistency", seal, ""),
        counted("/api/v1/events/stream", "/api/v1/events/stream?after=0", "?heartbeat=x"),
        order("/api/v1/gates/backtest", ("", 200), json!({})),
        open("/metrics"),
    ]
}

/// A call of the worker: its wrong one has a field of another kind.
fn work(route: &'static str, status: u16, body: Value) -> Case {
    let mut wrong = body.clone();
    let name = wrong.as_object().and_then(|members| members.keys().next().cloned());
    wrong[name.unwrap_or_default()] = json!(["what?"]);
    let mut case = order(route, ("{sandbox}", status), body);
    (case.wrong, case.by) = (Wrong::Body(wrong, 422), By::Sandbox);
    case
}

/// The worker's calls up to its first output, which the gate takes.
pub fn work_well() -> Vec<Case> {
    let begun = json!({ "epoch": 1, "instance": "{instance}", "worker_version": "test" });
    let step = json!({
        "phase": "explore", "attempt": 1, "number": 1, "name": "look", "result": { "seen": 3 },
    });
    let output = json!({
        "phase": "explore", "attempt": 1, "context_digest": "{context}",
        "output": Agent::answer("explore"),
    });
    let notes = json!({ "events": [{ "kind": "tool", "body": { "name": "grep" } }] });
    let assignment = "/api/v1/sandboxes/{id}/assignment";
    let assignment = Case {
        path: filled(assignment, "{sandbox}"),
        wrong: Wrong::Path(filled(assignment, "{sandbox}") + "?wait=x", 400),
        by: By::Sandbox,
        ..open(assignment)
    };
    let context = "/api/v1/sandboxes/{id}/context/{digest}";
    let of = |digest: &str| filled(context, "{sandbox}").replace("{digest}", digest);
    let context = Case {
        path: of("{kept}"),
        wrong: Wrong::Path(of(&"0".repeat(64)), 404),
        by: By::Sandbox,
        ..open(context)
    };
    vec![
        work("/api/v1/sandboxes/{id}/attach", 200, begun),
        work("/api/v1/sandboxes/{id}/heartbeat", 200, json!({ "progressed": true })),
        work("/api/v1/sandboxes/{id}/steps", 200, step),
        work("/api/v1/sandboxes/{id}/events", 202, notes),
        assignment,
        context,
        work("/api/v1/sandboxes/{id}/output", 200, output),
    ]
}

/// An attempt that brings nothing, and the worker's end.
pub fn work_badly() -> Vec<Case> {
    let failure = json!({
        "phase": "explore", "attempt": 1, "kind": "agent_error", "message": "It ended.",
    });
    vec![
        work("/api/v1/sandboxes/{id}/failure", 200, failure),
        work("/api/v1/sandboxes/{id}/detach", 200, json!({ "reason": "done" })),
    ]
}
