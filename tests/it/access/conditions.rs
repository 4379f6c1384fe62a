//! Writes to projects and keys that go by a version.

use serde_json::{Value, json};

use super::{Caller, Told, told};
use crate::support::{Lab, Start};

async fn write(caller: &Caller, (method, path): (&str, &str), version: &str, body: &Value) -> Told {
    let request = caller.request(method, path, Some(&caller.operator));
    let request = request.header("content-type", "application/json").header("if-match", version);
    told(request.body(body.to_string())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_is_revised_at_the_version_that_was_read() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let new = json!({ "name": "Links", "repository": lab.project.repo() });
    let made = caller.operate("POST", "/api/v1/projects", &new).await;
    assert_eq!(made.status, 201, "{made:?}");
    let path = format!("/api/v1/projects/{}", made.body["id"].as_str().unwrap());
    let path = ("PATCH", path.as_str());
    let first = write(&caller, path, "\"1\"", &json!({ "name": "One" })).await;
    assert_eq!((first.status, &first.body["version"]), (200, &json!(2)), "{first:?}");
    let late = write(&caller, path, "1", &json!({ "name": "Two" })).await;
    assert_eq!((late.status, late.code()), (412, "version_conflict"), "{late:?}");
    let shown = caller.get(path.1, &caller.operator).await;
    assert_eq!((&shown.body["name"], &shown.body["version"]), (&json!("One"), &json!(2)));
    let version = shown.body["version"].to_string();
    let again = write(&caller, path, &version, &json!({ "name": "Two" })).await;
    assert_eq!((again.status, &again.body["version"]), (200, &json!(3)), "{again:?}");
    let odd = write(&caller, path, "W/\"x\"", &json!({ "name": "Three" })).await;
    assert_eq!((odd.status, odd.code()), (400, "invalid_header"), "{odd:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_revoked_at_the_version_that_was_read() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let made = caller.key_with("reader").await;
    let listed = caller.get("/api/v1/keys", &caller.operator).await;
    assert_eq!(listed.body["keys"][0]["version"], 1, "{listed:?}");
    let path = format!("/api/v1/keys/{}/revoke", made.id);
    let path = ("POST", path.as_str());
    let wrong = write(&caller, path, "2", &json!({})).await;
    assert_eq!((wrong.status, wrong.code()), (412, "version_conflict"), "{wrong:?}");
    assert_eq!(caller.get("/api/v1/specs", &made.key).await.status, 200, "it was not revoked");
    let done = write(&caller, path, "1", &json!({})).await;
    assert_eq!((done.status, &done.body["version"]), (200, &json!(2)), "{done:?}");
    let late = write(&caller, path, "1", &json!({})).await;
    assert_eq!((late.status, late.code()), (412, "version_conflict"), "{late:?}");
    assert_eq!(caller.operate("POST", path.1, &json!({})).await.status, 200, "twice is fine");
}
