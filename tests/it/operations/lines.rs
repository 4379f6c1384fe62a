//! Log lines: one a request, as JSON where that is asked for, and never a secret.

use serde_json::{Value, json};

use super::{Serving, TRACE};
use crate::support::{Project, wait_for};

#[test]
fn each_request_leaves_one_json_line_with_its_id() {
    let project = Project::new();
    let serving = Serving::start(&project, &[("SPECLINE_LOG_FORMAT", "json")]);
    let body = json!({
        "title": "Limit links",
        "description": "Limit how many links an API key may create.",
        "repository": project.repo(),
    });
    let (status, text) = serving.post("/api/v1/specs", &body);
    assert_eq!(status, 201, "{text}");
    let line = wait_for("the request's line", || {
        let text = serving.running.stderr();
        let lines = text.lines().filter(|line| line.starts_with('{'));
        let all: Vec<Value> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
        let drafts = all
            .into_iter()
            .filter(|line| line["message"] == "answered" && line["route"] == "/api/v1/specs");
        let drafts: Vec<Value> = drafts.collect();
        assert!(drafts.len() <= 1, "{drafts:?}");
        drafts.into_iter().next()
    });
    assert_eq!((&line["method"], &line["status"]), (&json!("POST"), &json!(201)), "{line}");
    assert!(line["duration_ms"].is_u64() && line["level"] == "INFO", "{line}");
    let id = line["span"]["request.id"].as_str().unwrap();
    assert!(!serving.running.stderr().contains(&serving.token), "no secret in a line");
    // The same request, as its event names it.
    let drafted = project.ok(&["events", "--json"]).stdout;
    let drafted = drafted.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let drafted = drafted.into_iter().find(|event| event["event_type"] == "SpecDrafted").unwrap();
    assert_eq!(drafted["metadata"]["request_id"], id, "{drafted}");
    assert_eq!(drafted["metadata"]["traceparent"], TRACE, "{drafted}");
}

#[test]
fn the_level_is_set_by_the_environment_and_text_is_the_default() {
    let project = Project::new();
    let serving = Serving::start(&project, &[("SPECLINE_LOG", "specline::http=debug")]);
    assert_eq!(serving.get("/health/live").0, 200);
    let text = wait_for("a line of level debug", || {
        let text = serving.running.stderr();
        (text.contains("DEBUG") && text.contains("/health/live")).then_some(text)
    });
    assert!(!text.contains('\u{1b}'), "no colours in a file: {text}");
    assert!(!text.lines().any(|line| line.starts_with('{')), "{text}");
}

/// What those who look after keys want to know of a login that failed; and nothing that opens one.
#[test]
fn a_failed_login_is_told_with_its_address_and_without_its_secret() {
    let project = Project::new();
    let env = [("SPECLINE_LOG_FORMAT", "json"), ("SPECLINE_FAILED_LOGINS_PER_MINUTE", "2")];
    let serving = Serving::start(&project, &env);
    let id = uuid::Uuid::now_v7();
    let (secret, other) = ("5ec2e7".repeat(11), "0p3n-5e5ame");
    let key = format!("sl_{}_{secret}", id.simple());
    let call = |token: &str| serving.try_get("/api/v1/specs", Some(token)).unwrap().0;
    assert_eq!((call(&key), call(other), call(&key), call(other)), (401, 401, 429, 429));
    let told = |message: &str| {
        let text = serving.running.stderr();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let said = |line: &Value| line["message"].as_str().is_some_and(|m| m.contains(message));
        lines.filter(said).collect::<Vec<_>>()
    };
    let lines = wait_for("the address to be held off", || {
        (!told("held off").is_empty()).then(|| told("a login failed"))
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!((&lines[0]["kind"], &lines[0]["key.id"]), (&json!("key"), &json!(id.to_string())));
    assert_eq!((&lines[1]["kind"], &lines[1]["key.id"]), (&json!("token"), &json!("")));
    for line in &lines {
        assert_eq!((&line["address"], &line["level"]), (&json!("127.0.0.1"), &json!("WARN")));
        assert_eq!(line["span"]["request.id"].as_str().map(str::len), Some(36), "{line}");
    }
    let text = serving.running.stderr();
    assert!(!text.contains(&secret) && !text.contains(other), "{text}");
}
