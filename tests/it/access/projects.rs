//! Projects: named, revised, and what their specs take from them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use specline::commands::{Actor, Order, Origin};
use specline::store::Position;
use specline_aggregates::{Policy, ProjectId, SpecId, TaskId, task};

use super::Caller;
use crate::support::{Lab, Start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spec_takes_its_projects_policy_and_repository() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let repository = lab.project.repo().canonicalize().unwrap();
    let project = ProjectId::of_repository(repository.to_str().unwrap());
    let draft = async |body: &Value| {
        let told = caller.operate("POST", "/api/v1/specs", body).await;
        assert_eq!(told.status, 201, "{told:?}");
        let spec: SpecId = told.body["id"].as_str().unwrap().parse().unwrap();
        lab.engine.spec(spec).await.unwrap()
    };
    let text =
        |title: &str| json!({ "title": title, "description": "Limit links an API key has." });
    let mut before = text("Before");
    before["repository"] = json!(repository);
    let before = draft(&before).await;
    assert_eq!(before.brief().unwrap().project, project, "a repository nobody named has an id");

    let policy = json!({ "approvals": ["design"], "budget": { "tokens": 1000 } });
    let new = json!({ "name": "Links", "repository": repository, "policy": policy });
    let made = caller.operate("POST", "/api/v1/projects", &new).await;
    assert_eq!((made.status, &made.body["id"]), (201, &json!(project)), "{made:?}");
    assert_eq!(made.body["version"], 1);
    let again = caller.operate("POST", "/api/v1/projects", &new).await;
    assert_eq!((again.status, again.code()), (409, "already_exists"), "{again:?}");

    let mut named = text("Named");
    named["project"] = json!(project);
    let named = draft(&named).await;
    let brief = named.brief().unwrap();
    assert_eq!(brief.project, project);
    assert_eq!(brief.repository.location, repository.to_str().unwrap());
    assert_eq!(named.policy().budget.tokens, Some(1000));
    let mut own = text("Own");
    own["repository"] = json!(repository);
    own["policy"] = json!({ "budget": { "tokens": 7 } });
    assert_eq!(draft(&own).await.policy().budget.tokens, Some(7), "its own policy comes first");

    let path = format!("/api/v1/projects/{project}");
    let revised = caller.operate("PATCH", &path, &json!({ "name": "Short links" })).await;
    assert_eq!((revised.status, &revised.body["version"]), (200, &json!(2)), "{revised:?}");
    let shown = caller.get(&path, &caller.operator).await;
    assert_eq!(shown.body["name"], "Short links", "{shown:?}");
    assert_eq!(shown.body["policy"]["budget"]["tokens"], 1000, "what is not named stays");
    let position = &revised.body["position"];
    let path = format!("/api/v1/projects?at_least={position}");
    let listed = caller.get(&path, &caller.operator).await;
    assert_eq!(listed.body["projects"][0]["name"], "Short links", "{listed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_project_is_refused() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let repository = lab.project.repo();
    let elsewhere = lab.project.root().to_owned();
    for body in [
        json!({ "name": "", "repository": repository }),
        json!({ "name": "Links", "repository": "/no/such/folder" }),
        json!({ "name": "Links", "repository": repository, "policy": { "agent": "nobody" } }),
        json!({ "name": "Links" }),
    ] {
        let told = caller.operate("POST", "/api/v1/projects", &body).await;
        assert_eq!((told.status, told.code()), (422, "invalid_input"), "{body}: {told:?}");
    }
    let unknown = ProjectId::of_repository("/elsewhere");
    for method in ["GET", "PATCH"] {
        let path = format!("/api/v1/projects/{unknown}");
        let told = caller.operate(method, &path, &json!({ "name": "Links" })).await;
        assert_eq!((told.status, told.code()), (404, "not_found"), "{told:?}");
    }
    let made = json!({ "name": "Links", "repository": repository });
    let made = caller.operate("POST", "/api/v1/projects", &made).await;
    let mut draft = json!({ "title": "Limit", "description": "Limit links an API key has." });
    draft["project"] = made.body["id"].clone();
    draft["repository"] = json!(elsewhere);
    let told = caller.operate("POST", "/api/v1/specs", &draft).await;
    assert_eq!((told.status, told.code()), (422, "invalid_input"), "{told:?}");
    draft["project"] = json!(unknown);
    draft["repository"] = json!(repository);
    let told = caller.operate("POST", "/api/v1/specs", &draft).await;
    assert_eq!((told.status, told.code()), (404, "not_found"), "{told:?}");
}

/// Positions of the project's events, as an auditor finds them.
async fn audited(caller: &Caller, project: ProjectId) -> BTreeSet<u64> {
    let (mut found, mut after) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("/api/v1/audit/events?project={project}&limit=20{after}");
        let told = caller.get(&path, &caller.operator).await;
        assert_eq!(told.status, 200, "{told:?}");
        let events = told.body["events"].as_array().unwrap();
        found.extend(events.iter().map(|event| event["position"].as_u64().unwrap()));
        let next = &told.body["next_cursor"];
        match next.as_str().map(str::to_owned).or(next.as_u64().map(|at| at.to_string())) {
            Some(next) => after = format!("&after={next}"),
            None => return found,
        }
    }
}

/// A spec from its draft to what follows from the ends of its tasks; a sandbox is lost on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_of_a_spec_its_tasks_and_tickets_names_the_project() {
    let lab = Lab::new(Start::Worker).await;
    let caller = Caller::of(&lab);
    let new = json!({ "name": "Links", "repository": lab.project.repo() });
    let made = caller.operate("POST", "/api/v1/projects", &new).await;
    let project: ProjectId = made.body["id"].as_str().unwrap().parse().unwrap();
    let spec = lab.execute(Policy::default()).await;
    lab.until_n(spec, "SandboxAttached", 1).await;
    let first = lab.spawned(1).await;
    let path = format!("/api/v1/sandboxes/{}/terminate", first.sandbox);
    assert_eq!(caller.operate("POST", &path, &json!({})).await.status, 202);
    lab.until_n(spec, "SpecCompleted", 1).await;
    let of_type = async |name: &str| {
        let all = lab.engine.log().read_all(Position(0), 10_000).await.unwrap();
        all.into_iter().filter(|event| event.event_type == name).collect::<Vec<_>>()
    };
    let plan = lab.engine.spec(spec).await.unwrap();
    let tasks: Vec<TaskId> = plan.synced().unwrap().tasks.values().copied().collect();
    lab.eventually("the tasks to be released", async || {
        (of_type("TaskReleased").await.len() == tasks.len()).then_some(())
    })
    .await;
    for id in &tasks {
        let cancel = task::Command::Cancel { by: "ann".to_owned(), reason: "no".to_owned() };
        let origin = Origin::new(Actor::Person("ann".to_owned())).within(project);
        let order = Order::from(&origin);
        lab.engine.commands().task(*id, &cancel, order).await.unwrap();
    }
    let path = format!("/api/v1/specs/{spec}/fork");
    let forked = caller.operate("POST", &path, &json!({ "at_version": 3 })).await;
    assert_eq!(forked.status, 201, "{forked:?}");
    lab.eventually("the tickets to hear of it", async || {
        (of_type("TaskOutcomeNoted").await.len() >= tasks.len()).then_some(())
    })
    .await;
    lab.eventually("everything to be followed up", async || {
        lab.engine.is_settled(spec).await.then_some(())
    })
    .await;
    let all = lab.engine.log().read_all(Position(0), 10_000).await.unwrap();
    let mut actors = BTreeSet::new();
    for event in &all {
        let metadata: Value = serde_json::from_str(&event.metadata).unwrap();
        assert_eq!(metadata["project_id"], json!(project), "{event:?}");
        let actor = metadata["actor"].as_str().unwrap();
        actors.insert(actor.split(':').take(2).collect::<Vec<_>>().join(":"));
    }
    let kinds: BTreeSet<_> = all.iter().map(|event| &*event.stream.aggregate_type).collect();
    assert_eq!(kinds, ["Project", "Spec", "Task", "Ticket"].into());
    for duty in ["reactor", "syncer"] {
        assert!(actors.iter().any(|actor| actor.ends_with(duty)), "{duty}: {actors:?}");
    }
    let positions: BTreeSet<u64> = all.iter().map(|event| event.position.0).collect();
    assert_eq!(audited(&caller, project).await, positions);
}
