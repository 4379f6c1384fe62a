//! Access keys that name a program themselves: refused wherever a policy comes in, and nothing of
//! it is recorded or run.

use serde_json::{Value, json};
use specline::http::{Access, Auth};

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
