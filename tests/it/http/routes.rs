//! Every route of the table: called by someone without a key, called wrongly, and called well. A
//! route without a case here fails the test.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use specline::http::{Need, ROUTES};
use specline_aggregates::{Phase, Policy, SpecId};
use uuid::Uuid;

use super::completed;
use crate::access::{Caller, Told, told};
use crate::support::{Agent, Lab, Start};

/// A route, and how it is called: well, and wrongly.
struct Case {
    route: (&'static str, &'static str),
    /// With names of the world in braces.
    path: String,
    body: Value,
    status: u16,
    wrong: Wrong,
}

/// A call that is refused.
enum Wrong {
    /// Another path, and the status that it gets.
    Path(String, u16),
    /// Another body, and the status that it gets.
    Body(Value, u16),
    /// It cannot be called wrongly: it takes nothing.
    Never,
}

struct World {
    lab: Lab,
    caller: Caller,
    names: BTreeMap<&'static str, String>,
}

impl World {
    async fn new() -> Self {
        let (lab, spec) = completed().await;
        let caller = Caller::of(&lab);
        let mut world = Self { lab, caller, names: BTreeMap::new() };
        world.name("done", spec);
        let (head, none) = (world.lab.engine.head(), Value::Null);
        for list in ["tasks", "tickets", "sandboxes"] {
            let path = format!("/api/v1/{list}?at_least={head}");
            let told = world.caller.operate("GET", &path, &none).await;
            let id = told.body[list][0]["id"].as_str().unwrap().to_owned();
            world.names.insert(list, id);
        }
        for name in ["run", "revise"] {
            let told = world.caller.operate("POST", "/api/v1/specs", &world.draft()).await;
            world.names.insert(name, told.body["id"].as_str().unwrap().to_owned());
        }
        world.names.insert("nobody", Uuid::now_v7().to_string());
        let body = json!({ "name": "held", "scopes": ["reader"] });
        let key = world.caller.key(&body).await;
        world.names.insert("key", key.id);
        world
    }

    /// One whose explore output waits for a person.
    async fn waiting() -> Self {
        let lab = Lab::new(Start::Nothing).await;
        let approvals = [Phase::Explore].into();
        let spec = lab.execute(Policy { approvals, ..Policy::default() }).await;
        let sandbox = lab.spawned(1).await;
        let work = lab.attach(&sandbox, Uuid::now_v7()).await.body;
        let output = json!({
            "phase": work["phase"], "attempt": work["attempt"],
            "context_digest": work["context_digest"], "output": Agent::answer("explore"),
        });
        let judged = lab.call(&sandbox, "/output", &output).await;
        assert_eq!(judged.status, 200, "{judged:?}");
        let caller = Caller::of(&lab);
        let mut world = Self { lab, caller, names: BTreeMap::new() };
        world.name("waiting", spec);
        let digest = judged.body["verdict"]["output"].as_str().unwrap().to_owned();
        world.names.insert("digest", digest);
        world
    }

    fn name(&mut self, name: &'static str, spec: SpecId) {
        self.names.insert(name, spec.to_string());
    }

    fn draft(&self) -> Value {
        let repository = self.lab.project.repo().display().to_string();
        let policy = json!({ "agent": self.lab.project.agent.line() });
        json!({
            "title": "Limit", "description": "It.", "repository": repository, "policy": policy,
        })
    }

    fn filled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.names {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Told {
        let body: Value = serde_json::from_str(&self.filled(&body.to_string())).unwrap();
        self.caller.operate(method, &self.filled(path), &body).await
    }
}

/// A read whose wrong call names what is not there.
fn read(route: &'static str, path: &str, wrong: &str) -> Case {
    let wrong = Wrong::Path(wrong.to_owned(), 404);
    Case { route: ("GET", route), path: path.to_owned(), body: Value::Null, status: 200, wrong }
}

/// A list whose wrong call asks for too many.
fn list(route: &'static str) -> Case {
    let wrong = Wrong::Path(format!("{route}?limit=0"), 400);
    Case { route: ("GET", route), path: route.to_owned(), body: Value::Null, status: 200, wrong }
}

fn open(route: &'static str) -> Case {
    let (path, wrong) = (route.to_owned(), Wrong::Never);
    Case { route: ("GET", route), path, body: Value::Null, status: 200, wrong }
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
    Case { route: ("POST", route), path: filled(route, id), body, status, wrong }
}

fn specs(draft: &Value) -> Vec<Case> {
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
fn decisions() -> Vec<Case> {
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

fn reads() -> Vec<Case> {
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
        open("/api/v1/projections"),
        read("/api/docs/errors/{code}", "/api/docs/errors/not_found", "/api/docs/errors/none"),
    ]
}

fn others() -> Vec<Case> {
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
        Case { route: ("POST", rebuild), path, body: json!({}), status: 200, wrong: missing },
    ]
}

/// Routes whose cases stand with what they are about.
const ELSEWHERE: [&str; 4] =
    ["/api/v1/audit/", "/api/v1/events/stream", "/api/v1/gates/", "/metrics"];

/// Projects are walked in `access::projects`.
const PROJECTS: [&str; 2] = ["/api/v1/projects", "/api/v1/projects/{id}"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_is_called_well_wrongly_and_without_a_key() {
    let world = World::new().await;
    let mut cases = reads();
    cases.extend(specs(&world.draft()));
    cases.extend(others());
    let decisions = decisions();
    let walked: BTreeSet<_> = cases.iter().chain(&decisions).map(|case| case.route).collect();
    let elsewhere = |path: &str| ELSEWHERE.iter().any(|start| path.starts_with(start));
    for route in ROUTES {
        let worker = route.need == Need::SandboxToken;
        let project = PROJECTS.contains(&route.path);
        let known = walked.contains(&(route.method, route.path));
        let said = known || worker || project || elsewhere(route.path);
        assert!(said, "{} {} has no case in tests/it/http/routes.rs", route.method, route.path);
    }
    for case in &cases {
        walk(&world, case).await;
    }
    for case in &decisions {
        walk(&World::waiting().await, case).await;
    }
}

async fn walk(world: &World, case: &Case) {
    let (method, route) = case.route;
    let need = ROUTES.iter().find(|one| (one.method, one.path) == case.route).unwrap().need;
    if need != Need::Nothing {
        let told = told(world.caller.request(method, &world.filled(&case.path), None)).await;
        assert_eq!((told.status, told.code()), (401, "unauthorized"), "{method} {route}");
    }
    let refused = match &case.wrong {
        Wrong::Never => None,
        Wrong::Path(path, status) => Some((world.call(method, path, &case.body).await, *status)),
        Wrong::Body(body, status) => Some((world.call(method, &case.path, body).await, *status)),
    };
    if let Some((told, status)) = refused {
        assert_eq!(told.status, status, "{method} {route}, called wrongly: {told:?}");
        assert_eq!(told.header("content-type"), "application/problem+json", "{method} {route}");
        assert_eq!(told.body["status"], status, "{method} {route}");
    }
    let told = world.call(method, &case.path, &case.body).await;
    assert_eq!(told.status, case.status, "{method} {route}: {told:?}");
}
