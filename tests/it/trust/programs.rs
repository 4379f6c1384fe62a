//! Access keys that name a program themselves: refused wherever a policy comes in, and nothing of
//! it is recorded or run.

use serde_json::{Value, json};
use specline::commands::{Actor, Order, Origin};
use specline::engine::Asked;
use specline::http::{Access, Auth};
use specline_aggregates::project::{self, Settings};
use specline_aggregates::spec::command::DraftSpec;
use specline_aggregates::spec::{Brief, Command, Repository};
use specline_aggregates::{Policy, ProjectId, SpecId};

use super::policies::recorded;
use crate::access::{Caller, Made, told};
use crate::support::{Lab, Start};

/// Policies that name a program, or what one may see.
fn raw_policies(marker: &std::path::Path) -> Vec<Value> {
    let line = format!("/usr/bin/touch {}", marker.display());
    vec![
        json!({ "agent": format!("command:{line}") }),
        json!({ "evaluators": [{ "name": "house", "command": line }] }),
        json!({ "evaluators": [{ "name": "house", "command": line, "phases": ["sync"] }] }),
        json!({ "agent_env": ["HOME"] }),
    ]
}

fn draft(lab: &Lab, policy: &Value) -> Value {
    json!({
        "title": "Limit links",
        "description": "Limit how many links an API key may create.",
        "repository": lab.project.repo(),
        "policy": policy,
    })
}

async fn refused(caller: &Caller, key: &Made, (method, path, body): (&str, &str, &Value)) {
    let told = caller.send(method, path, (&key.key, body)).await;
    let got = (told.status, told.code());
    assert_eq!(got, (403, "programs_are_named"), "{method} {path} {body}: {told:?}");
    assert!(told.body["detail"].as_str().unwrap().contains("config.toml"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_names_a_program_whatever_its_scope() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let marker = lab.project.path("marker");
    let new = json!({ "name": "Links", "repository": lab.project.repo() });
    let project = caller.operate("POST", "/api/v1/projects", &new).await.body["id"].clone();
    let id = project.as_str().unwrap();
    let operator = caller.key_with("operator").await;
    let admin = caller.key_with("admin").await;
    let bound = json!({ "name": "bound", "scopes": ["admin"], "project": project });
    let bound = caller.key(&bound).await;
    let (before, patch) = (recorded(&lab).await, format!("/api/v1/projects/{id}"));
    for policy in raw_policies(&marker) {
        let body = draft(&lab, &policy);
        for key in [&operator, &admin, &bound] {
            for path in ["/api/v1/specs", "/api/v1/specs/launch"] {
                refused(&caller, key, ("POST", path, &body)).await;
            }
        }
        let body = json!({ "policy": policy });
        for key in [&admin, &bound] {
            refused(&caller, key, ("PATCH", &patch, &body)).await;
        }
        let body = json!({
            "name": "Other", "repository": lab.project.root(), "policy": policy,
        });
        refused(&caller, &admin, ("POST", "/api/v1/projects", &body)).await;
    }
    assert_eq!(recorded(&lab).await, before, "nothing was recorded");
    assert!(!marker.exists());
    let plain = draft(&lab, &json!({ "approvals": ["design"] }));
    let made = caller.send("POST", "/api/v1/specs", (&operator.key, &plain)).await;
    assert_eq!(made.status, 201, "what names no program is fine: {made:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_of_the_operators_hands_its_programs_to_no_key() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let agent = "command:/bin/cat /dev/null";
    let new = json!({
        "name": "Links", "repository": lab.project.repo(), "policy": { "agent": agent },
    });
    let made = caller.operate("POST", "/api/v1/projects", &new).await;
    assert_eq!(made.status, 201, "{made:?}");
    let key = caller.key_with("operator").await;
    let mut body = draft(&lab, &Value::Null);
    refused(&caller, &key, ("POST", "/api/v1/specs", &body)).await;
    let own = caller.operate("POST", "/api/v1/specs", &body).await;
    assert_eq!(own.status, 201, "the operator's own drafts take it: {own:?}");
    body["policy"] = json!({ "agent": "builtin" });
    let named = caller.send("POST", "/api/v1/specs", (&key.key, &body)).await;
    assert_eq!(named.status, 201, "{named:?}");
}

/// Whoever is let in without a word is not the operator.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_logins_only_the_operators_token_names_programs() {
    let access = Access { auth: Auth::Off, ..Access::default() };
    let lab = Lab::with(Start::Nothing, access).await;
    let caller = Caller::of(&lab);
    let marker = lab.project.path("marker");
    for policy in raw_policies(&marker) {
        let body = draft(&lab, &policy).to_string();
        for token in [None, Some("guess")] {
            let request = caller.request("POST", "/api/v1/specs/launch", token);
            let request = request.header("content-type", "application/json").body(body.clone());
            let told = told(request).await;
            assert_eq!((told.status, told.code()), (403, "programs_are_named"), "{told:?}");
        }
    }
    let body = draft(&lab, &json!({ "agent": "command:/bin/cat" }));
    let own = caller.operate("POST", "/api/v1/specs", &body).await;
    assert_eq!(own.status, 201, "{own:?}");
}

/// Drafts as programs before this one did, when keys could name programs.
async fn drafted_before(lab: &Lab, actor: Actor, agent: &str) -> SpecId {
    let id = SpecId::new(uuid::Uuid::now_v7());
    let location = lab.project.repo().canonicalize().unwrap().display().to_string();
    let brief = Brief {
        project: ProjectId::of_repository(&location),
        title: "Limit links".to_owned(),
        description: "Limit how many links an API key may create.".to_owned(),
        repository: Repository { location, reference: None },
        source_ticket: None,
    };
    let policy = Policy { agent: agent.to_owned(), ..Policy::default() };
    let draft = Command::Draft(Box::new(DraftSpec { spec: id, brief, policy }));
    let origin = Origin::new(actor);
    lab.engine.commands().spec(id, &draft, Order::from(&origin)).await.unwrap();
    id
}

/// What the first sandbox of `id` is told to run.
async fn assigned(lab: &Lab, id: SpecId) -> String {
    let asked = Asked::by("ann".to_owned());
    lab.engine.execute(id, &asked).await.unwrap();
    let sandbox = lab
        .eventually("its sandbox", async || {
            lab.all_spawned().into_iter().find(|request| request.owner == id.uuid())
        })
        .await;
    let attached = lab.attach(&sandbox, uuid::Uuid::now_v7()).await;
    assert_eq!(attached.status, 200, "{attached:?}");
    attached.body["agent"].as_str().unwrap().to_owned()
}

/// What stands in a log from before is obeyed where the operator wrote it, and only there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_logs_programs_run_if_they_are_the_operators() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let line = "command:/bin/cat /dev/null";
    let persons = drafted_before(&lab, Actor::Person("ann".to_owned()), line).await;
    let keys = drafted_before(&lab, Actor::Key("ci".to_owned()), line).await;
    let mut forks = Vec::new();
    let key = caller.key_with("operator").await;
    for source in [persons, keys] {
        let path = format!("/api/v1/specs/{source}/fork");
        let body = json!({ "at_version": 1 });
        let forked = caller.send("POST", &path, (&key.key, &body)).await;
        assert_eq!(forked.status, 201, "{forked:?}");
        forks.push(forked.body["id"].as_str().unwrap().parse().unwrap());
    }
    assert_eq!(assigned(&lab, persons).await, line);
    assert_eq!(assigned(&lab, forks[0]).await, line, "who forks it names nothing");
    for id in [keys, forks[1]] {
        let told = assigned(&lab, id).await;
        assert!(told.starts_with("missing:") && told.contains("[agents.NAME]"), "{told}");
    }
}

/// Nor does the operator run what a key once left in a project.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_left_no_program_in_a_project_for_the_operator() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let location = lab.project.repo().canonicalize().unwrap().display().to_string();
    let id = ProjectId::of_repository(&location);
    let policy = Policy { agent: "command:/bin/evil".to_owned(), ..Policy::default() };
    let settings = Box::new(Settings { name: "Links".into(), repository: location, policy });
    let create = project::Command::Create { project: id, settings, by: "key:ci".to_owned() };
    let origin = Origin::new(Actor::Key("ci".to_owned()));
    lab.engine.commands().project(id, &create, Order::from(&origin)).await.unwrap();
    let path = format!("/api/v1/projects/{id}");
    let renamed = caller.operate("PATCH", &path, &json!({ "name": "Short" })).await;
    assert_eq!(renamed.status, 200, "a new name is no new policy: {renamed:?}");
    let body = draft(&lab, &Value::Null);
    let told = caller.operate("POST", "/api/v1/specs", &body).await;
    assert_eq!((told.status, told.code()), (403, "programs_are_named"), "{told:?}");
    let policy = json!({ "policy": { "agent": "command:/bin/cat" } });
    assert_eq!(caller.operate("PATCH", &path, &policy).await.status, 200);
    let told = caller.operate("POST", "/api/v1/specs", &body).await;
    assert_eq!(told.status, 201, "now it is the operator's own: {told:?}");
}
