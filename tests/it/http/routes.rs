//! Every route of the table: called by someone without a key, called wrongly, and called well. A
//! route without a case here fails the test.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use specline::http::{Need, ROUTES};
use specline::store::Blob;
use specline_aggregates::{Digest, Phase, Policy, SpecId};
use uuid::Uuid;

use super::cases;
use super::completed;
use super::document::Document;
use crate::access::{Caller, Told, told};
use crate::support::{Agent, Lab, Start};

/// A route, and how it is called: well, and wrongly.
pub struct Case {
    pub route: (&'static str, &'static str),
    /// With names of the world in braces.
    pub path: String,
    pub body: Value,
    pub status: u16,
    pub wrong: Wrong,
    pub by: By,
}

/// Who calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    Operator,
    Sandbox,
}

/// A call that is refused.
pub enum Wrong {
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
        let repository = world.lab.project.repo().display().to_string();
        let named = json!({ "name": "Links", "repository": repository });
        let project = world.caller.operate("POST", "/api/v1/projects", &named).await;
        world.names.insert("project", project.body["id"].as_str().unwrap().to_owned());
        let elsewhere = world.lab.project.path("elsewhere");
        std::fs::create_dir_all(&elsewhere).unwrap();
        world.names.insert("elsewhere", elsewhere.display().to_string());
        let sealed = world.lab.engine.seal().await.unwrap();
        let sealed = sealed.map_or_else(|| world.lab.engine.head(), |seal| seal.n);
        world.names.insert("sealed", sealed.to_string());
        world
    }

    /// One with a sandbox that lives and whose worker does nothing by itself.
    async fn working() -> Self {
        let lab = Lab::new(Start::Nothing).await;
        let spec = lab.execute(Policy { lease_ms: 60_000, ..Policy::default() }).await;
        let sandbox = lab.spawned(1).await;
        let context = lab.engine.context_of(spec, Phase::Explore).await.unwrap().context;
        let bytes = serde_json::to_vec(&context).unwrap();
        let digest = Digest::of(&bytes);
        lab.engine.log().put_blob(Blob { digest, bytes }).await.unwrap();
        let caller = Caller::of(&lab);
        let mut world = Self { lab, caller, names: BTreeMap::new() };
        world.names.insert("kept", digest.to_string());
        world.names.insert("sandbox", sandbox.sandbox.to_string());
        world.names.insert("token", sandbox.env["SPECLINE_TOKEN"].clone());
        world.names.insert("instance", Uuid::now_v7().to_string());
        let spec = world.lab.engine.spec(spec).await.unwrap();
        world.names.insert("context", spec.context_digest(Phase::Explore).to_string());
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

    async fn call(&self, (method, by): (&str, By), path: &str, body: &Value) -> Told {
        let body: Value = serde_json::from_str(&self.filled(&body.to_string())).unwrap();
        let path = self.filled(path);
        match by {
            By::Operator => self.caller.operate(method, &path, &body).await,
            By::Sandbox => self.caller.send(method, &path, (&self.names["token"], &body)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_is_called_well_wrongly_and_without_a_key() {
    let world = World::new().await;
    let mut cases = cases::rest();
    cases.extend(cases::reads());
    cases.extend(cases::specs(&world.draft()));
    cases.extend(cases::others());
    let decisions = cases::decisions();
    let (well, badly) = (cases::work_well(), cases::work_badly());
    let all = cases.iter().chain(&decisions).chain(&well).chain(&badly);
    let walked: BTreeSet<_> = all.map(|case| case.route).collect();
    for route in ROUTES {
        let known = walked.contains(&(route.method, route.path));
        assert!(known, "{} {} has no case in tests/it/http/cases.rs", route.method, route.path);
    }
    let document = Document::new();
    for case in &cases {
        walk((&world, &document), case).await;
    }
    for case in &decisions {
        walk((&World::waiting().await, &document), case).await;
    }
    for work in [well, badly] {
        let world = World::working().await;
        let begin = cases::work_well().remove(0);
        world.call(("POST", By::Sandbox), &begin.path, &begin.body).await;
        for case in &work {
            walk((&world, &document), case).await;
        }
    }
}

async fn walk((world, document): (&World, &Document), case: &Case) {
    let (method, route) = case.route;
    let need = ROUTES.iter().find(|one| (one.method, one.path) == case.route).unwrap().need;
    if need != Need::Nothing {
        let told = told(world.caller.request(method, &world.filled(&case.path), None)).await;
        assert_eq!((told.status, told.code()), (401, "unauthorized"), "{method} {route}");
    }
    let caller = (method, case.by);
    let refused = match &case.wrong {
        Wrong::Never => None,
        Wrong::Path(path, status) => Some((world.call(caller, path, &case.body).await, *status)),
        Wrong::Body(body, status) => Some((world.call(caller, &case.path, body).await, *status)),
    };
    if let Some((told, status)) = refused {
        assert_eq!(told.status, status, "{method} {route}, called wrongly: {told:?}");
        assert_eq!(told.header("content-type"), "application/problem+json", "{method} {route}");
        assert_eq!(told.body["status"], status, "{method} {route}");
        document.judge(case.route, &told);
    }
    if document.takes(case.route, "If-Match") {
        let body = world.filled(&case.body.to_string());
        let token = world.lab.engine.operator_token();
        let request = world.caller.request(method, &world.filled(&case.path), Some(&token));
        let request = request.header("content-type", "application/json").body(body);
        let late = crate::access::told(request.header("if-match", "\"999999\"")).await;
        assert_eq!((late.status, late.code()), (412, "version_conflict"), "{method} {route}");
    }
    let told = world.call(caller, &case.path, &case.body).await;
    assert_eq!(told.status, case.status, "{method} {route}: {told:?}");
    document.judge(case.route, &told);
}
