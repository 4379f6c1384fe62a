//! Every POST under an idempotency key: the same answer when it is sent again at once, after a
//! restart, and to another node; another body under the key is refused.

use std::collections::BTreeSet;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use specline::http::ROUTES;

use super::scenario;
use crate::support::{Cluster, Http, Project, Running, process, wait_for};

/// Posts that are to be done each time: a sign of life, and what is worth keeping.
const UNKEYED: [&str; 2] = ["/api/v1/sandboxes/{id}/heartbeat", "/api/v1/sandboxes/{id}/events"];

/// A POST that was answered.
struct Call {
    route: &'static str,
    path: String,
    body: String,
    /// None: the operator's.
    token: Option<String>,
    key: String,
    first: (u16, Value),
}

/// Where the calls go.
pub struct Stage<'a> {
    pub project: &'a Project,
    http: Http,
    base: String,
    operator: String,
    calls: Vec<Call>,
}

impl<'a> Stage<'a> {
    fn new(project: &'a Project, base: String, operator: String) -> Self {
        Self { project, http: Http::new(), base, operator, calls: Vec::new() }
    }

    fn send(&self, call: &Call, body: String) -> (u16, Value) {
        let token = call.token.as_deref().unwrap_or(&self.operator);
        let url = format!("{}{}", self.base, call.path);
        let body = Some((body, Some(call.key.as_str())));
        let answer = self.http.send(Method::POST, &url, token, body);
        let answer = answer.unwrap_or_else(|| panic!("{} has no answer", call.path));
        (answer.status, answer.body)
    }

    /// Sends it twice, then another body under its key; the first answer.
    pub fn post(&mut self, route: &'static str, ids: &[&str], body: &Value) -> Value {
        self.post_as(route, ids, body, None)
    }

    /// The same by a sandbox.
    pub fn post_as(
        &mut self,
        route: &'static str,
        ids: &[&str],
        body: &Value,
        token: Option<&str>,
    ) -> Value {
        let (mut path, mut ids) = (String::new(), ids.iter());
        for part in route.split('/').skip(1) {
            path.push('/');
            path.push_str(if part.starts_with('{') { ids.next().unwrap() } else { part });
        }
        let key = format!("{}-{}", uuid::Uuid::now_v7(), self.calls.len());
        let token = token.map(str::to_owned);
        let first = (0, Value::Null);
        let mut call = Call { route, path, body: body.to_string(), token, key, first };
        call.first = self.send(&call, call.body.clone());
        assert!(call.first.0 < 300, "{route}: {:?}", call.first);
        same(&call, &self.send(&call, call.body.clone()), "at once");
        let other = self.send(&call, format!("{} ", call.body));
        assert_eq!((other.0, &other.1["code"]), (422, &json!("idempotency_key_reused")), "{route}");
        let first = call.first.1.clone();
        self.calls.push(call);
        first
    }

    pub fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.base);
        let answer = self.http.call(Method::GET, &url, &self.operator, None).unwrap();
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body
    }

    /// The last sandbox that has attached to a spec, once there have been `n`: its id, the event,
    /// and its token.
    pub fn sandbox(&self, spec: &str, n: usize) -> (String, Value, String) {
        let path = format!("/api/v1/specs/{spec}/events");
        let attached = wait_for("a sandbox to attach", || {
            let events = self.get(&path);
            let events = events.as_array().unwrap().clone().into_iter();
            let mut found = events.filter(|event| event["event_type"] == "SandboxAttached");
            found.nth(n - 1)
        });
        let attached = attached["payload"]["SandboxAttached"].clone();
        let id = attached["sandbox"].as_str().unwrap().to_owned();
        let token = wait_for("its token", || process::token(self.project.root(), &id));
        (id, attached, token)
    }

    /// Every call again, at another place or time.
    fn again(&self, place: &str) {
        // Whose lease is over is told so, whatever it asked before.
        let ends = |call: &&Call| !call.route.ends_with("/attach");
        for call in self.calls.iter().filter(ends) {
            same(call, &self.send(call, call.body.clone()), place);
            let other = self.send(call, format!("{} ", call.body));
            assert_eq!(other.0, 422, "{} {place}: {other:?}", call.route);
        }
    }

    fn covers_every_post(&self) {
        let called: BTreeSet<_> = self.calls.iter().map(|call| call.route).collect();
        let posts = ROUTES.iter().filter(|route| route.method == "POST");
        for route in posts.filter(|route| !UNKEYED.contains(&route.path)) {
            assert!(called.contains(route.path), "{} was not called", route.path);
        }
    }
}

/// What a worker is to do next, and a key's secret, are not told again.
fn same(call: &Call, again: &(u16, Value), when: &str) {
    let told = |(status, body): &(u16, Value)| {
        let mut body = body.clone();
        if let Some(members) = body.as_object_mut() {
            members.remove("next");
            members.remove("key");
        }
        if call.route.ends_with("/attach") { (*status, Value::Null) } else { (*status, body) }
    };
    assert_eq!(told(again), told(&call.first), "{} {when}", call.route);
    if call.route == "/api/v1/keys" {
        assert!(call.first.1["key"].is_string(), "{:?}", call.first);
        assert_eq!(again.1["key"], Value::Null, "a secret is shown once");
    }
}

fn served(project: &Project) -> (Running, String, String) {
    let file = project.repo().join(".specline/engine.json");
    drop(std::fs::remove_file(&file));
    let mut running = project.start(project.command(&["serve", "--listen", "127.0.0.1:0"]));
    wait_for("it to serve", || {
        assert!(!running.has_ended(), "{}", running.stderr());
        running.stderr().contains("serving").then_some(())
    });
    let engine: Value = wait_for("the engine's file", || {
        serde_json::from_str(&std::fs::read_to_string(&file).ok()?).ok()
    });
    let text = |name: &str| engine[name].as_str().unwrap().to_owned();
    (running, text("api_url"), text("operator_token"))
}

#[test]
fn a_repeat_gets_the_same_answer_after_a_restart() {
    let project = Project::new();
    let (running, base, token) = served(&project);
    let mut stage = Stage::new(&project, base, token);
    scenario::play(&mut stage);
    stage.covers_every_post();
    running.signal(Signal::TERM);
    running.wait();
    let (_running, base, token) = served(&project);
    (stage.base, stage.operator) = (base, token);
    stage.again("after a restart");
}

#[test]
fn a_repeat_gets_the_same_answer_of_another_node() {
    let cluster = Cluster::new();
    let (one, two) = (cluster.node(), cluster.node());
    let base = |port: u16| format!("http://127.0.0.1:{port}");
    let mut stage = Stage::new(&cluster.project, base(one.port), cluster.token().to_owned());
    scenario::play(&mut stage);
    stage.covers_every_post();
    stage.base = base(two.port);
    stage.again("of another node");
}
