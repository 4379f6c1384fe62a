//! Time travel: the state at a version and at a time, differences, attempts, and forks anywhere.

use serde_json::{Value, json};

use super::completed;
use crate::access::{Caller, Told};
use crate::support::Agent;

async fn read(caller: &Caller, path: &str) -> Told {
    caller.operate("GET", path, &Value::Null).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_shows_what_its_version_shows() {
    let (lab, spec) = completed().await;
    let caller = Caller::of(&lab);
    let events = lab.events(spec).await;
    for (n, event) in events.iter().enumerate() {
        // Of events at one time, the last counts.
        if events.get(n + 1).is_some_and(|next| next.recorded_at == event.recorded_at) {
            continue;
        }
        let version = event.sequence;
        let at = read(&caller, &format!("/api/v1/specs/{spec}?as_of_version={version}")).await;
        assert_eq!((at.status, &at.body["version"]), (200, &json!(version)), "{at:?}");
        let time = event.recorded_at;
        let then = read(&caller, &format!("/api/v1/specs/{spec}?as_of={time}")).await;
        assert_eq!(then.body, at.body, "at {time}");
        assert_eq!(then.header("etag"), format!("\"{version}\""));
    }
    let before = read(&caller, &format!("/api/v1/specs/{spec}?as_of=2001-01-01T00:00:00Z")).await;
    assert_eq!((before.status, before.code()), (404, "not_found"));
    let both = format!("/api/v1/specs/{spec}?as_of_version=1&as_of=2001-01-01T00:00:00Z");
    assert_eq!(read(&caller, &both).await.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_difference_names_what_became_of_each_place() {
    let (lab, spec) = completed().await;
    let caller = Caller::of(&lab);
    let diff = read(&caller, &format!("/api/v1/specs/{spec}/diff?from=1")).await;
    assert_eq!(diff.status, 200, "{diff:?}");
    assert_eq!(diff.body["from"]["status"], "draft");
    assert_eq!(diff.body["to"]["status"], "completed");
    let all = json!(["explore", "requirements", "design", "tasks", "sync"]);
    assert_eq!(diff.body["outputs"], all);
    let changes = diff.body["changes"].as_array().unwrap();
    let change = |pointer: &str| changes.iter().find(|change| change["pointer"] == pointer);
    let status = change("/status").unwrap();
    assert_eq!((&status["from"], &status["to"]), (&json!("draft"), &json!("completed")));
    assert_eq!(change("/outputs/design").unwrap()["to"], Agent::answer("design"));
    let none = read(&caller, &format!("/api/v1/specs/{spec}/diff?from=2&to=2")).await;
    assert_eq!(none.body["changes"], json!([]));
    for bad in ["from=0", "from=1&to=999999"] {
        let told = read(&caller, &format!("/api/v1/specs/{spec}/diff?{bad}")).await;
        assert_eq!((told.status, told.code()), (422, "invalid_input"), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_has_its_digests_output_and_verdict() {
    let (lab, spec) = completed().await;
    let caller = Caller::of(&lab);
    let path = format!("/api/v1/specs/{spec}/phases/requirements/attempts/1");
    let attempt = read(&caller, &path).await;
    assert_eq!(attempt.status, 200, "{attempt:?}");
    assert_eq!(attempt.body["output"], Agent::answer("requirements"));
    assert_eq!(attempt.body["verdicts"][0]["passed"], true);
    for digest in ["context_digest", "prompt_digest", "output_digest"] {
        assert_eq!(attempt.body[digest].as_str().map(str::len), Some(64), "{digest}");
    }
    let none = read(&caller, &format!("/api/v1/specs/{spec}/phases/requirements/attempts/9")).await;
    assert_eq!((none.status, none.code()), (404, "not_found"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spec_can_be_forked_at_any_of_its_events() {
    let (lab, spec) = completed().await;
    let caller = Caller::of(&lab);
    let last = lab.events(spec).await.len() as u64;
    for version in 1..=last {
        let body = json!({ "at_version": version });
        let told = caller.operate("POST", &format!("/api/v1/specs/{spec}/fork"), &body).await;
        assert_eq!(told.status, 201, "at {version}: {told:?}");
        let fork = told.header("location").to_owned();
        let then = read(&caller, &format!("/api/v1/specs/{spec}?as_of_version={version}")).await;
        let fork = read(&caller, &fork).await;
        assert_eq!(fork.body["forked_from"], json!([spec, version]));
        let digests = |of: &Value| {
            let all = of["checkpoints"].as_array().unwrap().iter();
            let agents = all.filter(|one| one["phase"] != "sync");
            agents.map(|one| one["digest"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(digests(&fork.body), digests(&then.body), "at {version}");
    }
    let body = json!({ "at_version": last + 1 });
    let told = caller.operate("POST", &format!("/api/v1/specs/{spec}/fork"), &body).await;
    assert_eq!((told.status, told.code()), (422, "invalid_input"));
}
