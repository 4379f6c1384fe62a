//! Projects: named, revised, and what their specs take from them.

use serde_json::{Value, json};
use specline_aggregates::{ProjectId, SpecId};

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
