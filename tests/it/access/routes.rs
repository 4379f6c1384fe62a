//! Every route of the router, against everyone who is not meant to get in, and one who is.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use specline::http::{Access, Api, Need, Of, ROUTES, Route, router};
use specline_aggregates::access_key::Scope;
use specline_aggregates::{Policy, ProjectId, SpecId};

use super::{Caller, Told, told};
use crate::support::{Lab, Start};

/// The methods and paths of a router, as axum shows them to those who debug.
fn registered(shown: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let (routes, paths) = shown.split_once("node: Node").expect("axum shows its routes");
    let paths: Vec<(&str, &str)> = paths
        .split("RouteId(")
        .skip(1)
        .filter_map(|text| {
            let (id, rest) = text.split_once(')')?;
            Some((id, rest.split('"').nth(1)?))
        })
        .collect();
    for route in routes.split("RouteId(").skip(1) {
        let (id, rest) = route.split_once(')').unwrap();
        let allowed = rest.split("allow_header: Bytes(b\"").nth(1);
        let allowed = allowed.and_then(|rest| rest.split('"').next());
        let allowed = allowed.unwrap_or_else(|| panic!("no methods in {route}"));
        let path = paths.iter().find(|(known, _)| *known == id);
        let path = path.unwrap_or_else(|| panic!("no path of route {id}")).1;
        for method in allowed.split(',').filter(|method| *method != "HEAD") {
            let path = if path == "/" { path } else { path.trim_end_matches('/') };
            found.insert((method.to_owned(), path.to_owned()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_of_the_router_says_what_it_needs() {
    let lab = Lab::new(Start::Nothing).await;
    let router = router(Api::new(lab.engine.clone(), "token"));
    let registered = registered(&format!("{router:?}"));
    assert!(registered.len() > 30, "only {} routes were found", registered.len());
    let said = ROUTES.iter().map(|route| (route.method.to_owned(), route.path.to_owned()));
    let said: BTreeSet<_> = said.collect();
    assert_eq!(said.len(), ROUTES.len(), "a route is said twice");
    let silent: Vec<_> = registered.difference(&said).collect();
    assert!(silent.is_empty(), "not in src/http/needs.rs: {silent:#?}");
    let gone: Vec<_> = said.difference(&registered).collect();
    assert!(gone.is_empty(), "in src/http/needs.rs, but not in the router: {gone:#?}");
}

/// A finished spec with everything that paths can name, and all kinds of callers.
struct World {
    lab: Lab,
    caller: Caller,
    spec: SpecId,
    task: String,
    ticket: String,
    sandbox: String,
    sandbox_token: String,
    /// Of the spec's own project.
    project: ProjectId,
}

impl World {
    async fn new() -> Self {
        // One address fails to get in by every route.
        let access = Access { failed_logins: None, ..Access::default() };
        let lab = Lab::with(Start::Worker, access).await;
        let spec = lab.execute(Policy::default()).await;
        lab.until_n(spec, "SpecCompleted", 1).await;
        let request = lab.spawned(1).await;
        let caller = Caller::of(&lab);
        let first = async |list: &str| {
            let head = lab.engine.head();
            let path = format!("/api/v1/{list}?at_least={head}");
            let told = caller.get(&path, &caller.operator).await;
            told.body[list][0]["id"].as_str().unwrap().to_owned()
        };
        let (task, ticket) = (first("tasks").await, first("tickets").await);
        let project = lab.engine.spec(spec).await.unwrap().brief().unwrap().project;
        let sandbox = request.sandbox.to_string();
        let sandbox_token = request.env["SPECLINE_TOKEN"].clone();
        Self { lab, caller, spec, task, ticket, sandbox, sandbox_token, project }
    }

    /// The route's path, with what it names being there.
    fn path(&self, route: &Route) -> String {
        let id = match route.need {
            Need::SandboxToken | Need::Scope(_, Of::Sandbox) => self.sandbox.clone(),
            Need::Scope(_, Of::Task) => self.task.clone(),
            Need::Scope(_, Of::Ticket) => self.ticket.clone(),
            Need::Scope(_, Of::Project) => self.project.to_string(),
            Need::Scope(_, Of::Everything | Of::Handler | Of::Spec | Of::SpecAndTicket)
            | Need::Nothing => self.spec.to_string(),
        };
        let path = route.path.replace("{id}", &id).replace("{phase}", "explore");
        let path = path.replace("{ticket_id}", &self.ticket).replace("{digest}", &"0".repeat(64));
        let path = path.replace("{name}", "spec_board").replace("{position}", "1");
        let path = path.replace("{code}", "not_found");
        assert!(!path.replace("{n}", "1").contains('{'), "what is to be put into {path}?");
        path.replace("{n}", "1")
    }

    /// The query that waits for everything so far.
    fn at_least(&self) -> String {
        format!("?at_least={}", self.lab.engine.head())
    }

    async fn call(&self, route: &Route, token: Option<&str>) -> Told {
        let request = self.caller.request(route.method, &self.path(route), token);
        told(request.header("content-type", "application/json").body("{}")).await
    }

    async fn expect(&self, route: &Route, (who, token): (&str, Option<&str>), status: u16) {
        let told = self.call(route, token).await;
        let place = format!("{} {} by {who}: {told:?}", route.method, route.path);
        assert_eq!(told.status, status, "{place}");
        assert_eq!(told.header("content-type"), "application/problem+json", "{place}");
        assert_eq!(told.body["request_id"], told.header("x-request-id"), "{place}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_by_a_route_that_is_not_for_them() {
    let world = World::new().await;
    let caller = &world.caller;
    let good = caller.key_with("admin").await;
    let revoked = caller.key_with("admin").await;
    caller.revoke(&revoked).await;
    let soon = world.lab.engine.now().await.unwrap().plus_ms(300);
    let expired = json!({ "name": "short", "scopes": ["admin"], "expires_at": soon });
    let expired = caller.key(&expired).await;
    world
        .lab
        .eventually("a key to expire", async || {
            (caller.get("/api/v1/specs", &expired.key).await.status == 401).then_some(())
        })
        .await;
    let wrong_secret = format!("{}0", &good.key[..good.key.len() - 1]);
    let wrong_secret = if wrong_secret == good.key {
        format!("{}1", &good.key[..good.key.len() - 1])
    } else {
        wrong_secret
    };
    let unknown = format!("sl_{}_{}", uuid::Uuid::now_v7().simple(), "0".repeat(64));
    let strangers: Vec<(&str, Option<&str>)> = vec![
        ("nobody", None),
        ("a wrong token", Some("0123456789abcdef")),
        ("half a key", Some("sl_")),
        ("a key with a wrong secret", Some(&wrong_secret)),
        ("an unknown key", Some(&unknown)),
        ("a revoked key", Some(&revoked.key)),
        ("an expired key", Some(&expired.key)),
    ];
    for route in ROUTES {
        if route.need == Need::Nothing {
            let told = world.call(route, None).await;
            assert!(told.status < 400, "{} is open: {told:?}", route.path);
            continue;
        }
        for stranger in &strangers {
            world.expect(route, *stranger, 401).await;
        }
        if route.need == Need::SandboxToken {
            world.expect(route, ("an admin's key", Some(&good.key)), 403).await;
            world.expect(route, ("the operator", Some(&caller.operator)), 403).await;
        } else {
            world.expect(route, ("a sandbox", Some(&world.sandbox_token)), 401).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_opens_what_it_says_and_nothing_else() {
    let world = World::new().await;
    let mut keys = Vec::new();
    for scope in Scope::ALL {
        keys.push((scope, world.caller.key_with(scope.as_str()).await));
    }
    for route in ROUTES {
        let Need::Scope(needed, _) = route.need else { continue };
        for (scope, made) in &keys {
            if scope.allows(needed) {
                let told = world.call(route, Some(&made.key)).await;
                let place = format!("{} {} by {scope:?}: {told:?}", route.method, route.path);
                assert!(![401, 403, 429].contains(&told.status), "{place}");
                assert!(told.status < 500, "{place}");
                assert_ne!(told.code(), "no_such_route", "{place}");
            } else {
                world.expect(route, (scope.as_str(), Some(&made.key)), 403).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_project_finds_nothing_here() {
    let world = World::new().await;
    let key = async |project: ProjectId| {
        let grant = json!({ "name": "bound", "scopes": ["admin"], "project": project });
        world.caller.key(&grant).await
    };
    let own = key(world.project).await;
    let other = key(ProjectId::of_repository("/elsewhere")).await;
    let draft = json!({
        "title": "Limit links",
        "description": "Limit how many links an API key may create.",
        "repository": world.lab.project.repo(),
    });
    let ids = [world.spec.to_string(), world.task.clone(), world.ticket.clone()];
    let secret = |body: &Value| ids.iter().any(|id| body.to_string().contains(id.as_str()));
    for route in ROUTES {
        let Need::Scope(_, of) = route.need else { continue };
        match of {
            Of::Everything => {
                world.expect(route, ("another project's key", Some(&other.key)), 403).await;
                world.expect(route, ("its own key", Some(&own.key)), 403).await;
            }
            Of::Handler if route.method == "GET" => {
                // What comes from the log itself has nothing to wait for.
                let of_log = route.path.contains("audit") || route.path.contains("stream");
                let head = if of_log { String::new() } else { world.at_least() };
                let path = format!("{}{head}", route.path);
                let theirs = world.caller.get(&path, &other.key).await;
                assert!([200, 403].contains(&theirs.status), "{}: {theirs:?}", route.path);
                assert!(!secret(&theirs.body), "{}: {theirs:?}", route.path);
                let path = format!("{}?project={}", route.path, world.project);
                let theirs = world.caller.get(&path, &other.key).await;
                assert!(!secret(&theirs.body), "{}: {theirs:?}", route.path);
            }
            Of::Handler => {
                let told = world.caller.send(route.method, route.path, (&other.key, &draft)).await;
                assert_eq!((told.status, told.code()), (404, "not_found"), "{told:?}");
            }
            Of::Spec | Of::SpecAndTicket | Of::Task | Of::Ticket | Of::Sandbox | Of::Project => {
                world.expect(route, ("another project's key", Some(&other.key)), 404).await;
                let told = world.call(route, Some(&own.key)).await;
                let place = format!("{} {}: {told:?}", route.method, route.path);
                assert!(![401, 403].contains(&told.status), "{place}");
            }
        }
    }
    let drafted = world.caller.send("POST", "/api/v1/specs", (&own.key, &draft)).await;
    assert_eq!(drafted.status, 201, "{drafted:?}");
    for list in ["specs", "tasks", "tickets"] {
        let path = format!("/api/v1/{list}{}", world.at_least());
        let ours = world.caller.get(&path, &own.key).await;
        assert!(secret(&ours.body), "{list}: {ours:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_token_is_good_for_its_own_sandbox_while_its_lease_lasts() {
    let lab = Lab::new(Start::Nothing).await;
    let policy = Policy { lease_ms: 60_000, ..Policy::default() };
    let first = lab.execute(policy.clone()).await;
    let one = lab.spawned(1).await;
    let other = lab.execute(policy).await;
    let two = lab
        .eventually("the other spec's sandbox", async || {
            lab.all_spawned().into_iter().find(|request| request.sandbox != one.sandbox)
        })
        .await;
    let caller = Caller::of(&lab);
    let (own, theirs) = (&one.env["SPECLINE_TOKEN"], &two.env["SPECLINE_TOKEN"]);
    assert_ne!(first, other);
    for route in ROUTES.iter().filter(|route| route.need == Need::SandboxToken) {
        let path = route.path.replace("{id}", &one.sandbox.to_string());
        let path = path.replace("{digest}", &"0".repeat(64));
        let call = async |token: &str| caller.send(route.method, &path, (token, &json!({}))).await;
        assert_eq!(call(theirs).await.status, 401, "{path} by another spec's sandbox");
        assert_ne!(call(own).await.status, 401, "{path}");
    }
    let cancel = format!("/api/v1/specs/{first}/cancel");
    assert_eq!(caller.operate("POST", &cancel, &json!({})).await.status, 200);
    lab.eventually("the lease to end", async || {
        let leases = lab.engine.side().live_leases().await.unwrap();
        (!leases.iter().any(|lease| lease.sandbox == one.sandbox)).then_some(())
    })
    .await;
    let body =
        json!({ "epoch": one.epoch, "instance": uuid::Uuid::now_v7(), "worker_version": "" });
    let late = lab.call(&one, "/attach", &body).await;
    assert_eq!((late.status, late.code()), (409, "stale_epoch"), "{late:?}");
    let path = format!("/api/v1/sandboxes/{}/context/{}", one.sandbox, "0".repeat(64));
    let late = caller.get(&path, own).await;
    assert_eq!((late.status, late.code()), (409, "stale_epoch"), "{late:?}");
}
