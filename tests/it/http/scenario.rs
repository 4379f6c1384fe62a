//! A life in which every POST of the API has its place.

use serde_json::{Value, json};

use super::idempotency::Stage;
use crate::support::{Agent, wait_for};

/// A draft whose explore output a person must approve.
fn draft(stage: &Stage<'_>, approvals: &[&str]) -> Value {
    json!({
        "title": "Limit links",
        "description": "Limit how many links an API key may create.",
        "repository": stage.project.repo(),
        "policy": { "agent": stage.project.agent.line(), "approvals": approvals },
    })
}

fn id(answer: &Value) -> String {
    answer["id"].as_str().unwrap().to_owned()
}

/// Plays it, up to where nothing more is needed.
pub fn play(stage: &mut Stage<'_>) {
    let done = finished(stage);
    beside(stage, &done);
    // From here on the real agent waits, and the test is the worker.
    stage.project.agent.on("explore", "hold go");
    approved(stage);
    edited(stage);
    given_up(stage);
    steered(stage);
}

/// A spec that is completed by its real worker.
fn finished(stage: &mut Stage<'_>) -> String {
    let spec = id(&stage.post("/api/v1/specs/launch", &[], &draft(stage, &[])));
    let path = format!("/api/v1/specs/{spec}");
    wait_for("the spec to complete", || {
        let status = stage.get(&path)["status"].clone();
        assert_ne!(status, "failed", "the spec has failed");
        (status == "completed").then_some(())
    });
    spec
}

/// What has nothing to do with a worker.
fn beside(stage: &mut Stage<'_>, done: &str) {
    let repository = stage.project.repo();
    stage.post("/api/v1/projects", &[], &json!({ "name": "Links", "repository": repository }));
    let key = json!({ "name": "ci", "scopes": ["reader"] });
    let key = id(&stage.post("/api/v1/keys", &[], &key));
    stage.post("/api/v1/keys/{id}/revoke", &[&key], &json!({ "reason": "lost" }));
    let comment = json!({ "text": "Well." });
    stage.post("/api/v1/specs/{id}/comments", &[done], &comment);
    stage.post("/api/v1/specs/{id}/fork", &[done], &json!({ "at_version": 3 }));
    let ticket = wait_for("a ticket", || {
        stage.get("/api/v1/tickets")["tickets"][0]["id"].as_str().map(str::to_owned)
    });
    stage.post("/api/v1/specs/{id}/tickets/{ticket_id}", &[done, &ticket], &json!({}));
    stage.post("/api/v1/projections/{name}/rebuild", &["tickets"], &json!({}));
    stage.post("/api/v1/gates/backtest", &[], &json!({ "threshold": 900 }));
}

/// A spec whose first attempt runs.
struct Begun {
    spec: String,
    sandbox: String,
    token: String,
    attached: Value,
    /// Digest of the attempt's context.
    context: String,
}

fn begun(stage: &mut Stage<'_>) -> Begun {
    let body = draft(stage, &["explore"]);
    let spec = id(&stage.post("/api/v1/specs", &[], &body));
    stage.post("/api/v1/specs/{id}/execute", &[&spec], &json!({}));
    let (sandbox, attached, token) = stage.sandbox(&spec, 1);
    let context = wait_for("the attempt to start", || {
        let events = stage.get(&format!("/api/v1/specs/{spec}/events"));
        let mut events = events.as_array().unwrap().iter();
        let started = events.find(|event| event["event_type"] == "AttemptStarted")?;
        started["payload"]["AttemptStarted"]["context"].as_str().map(str::to_owned)
    });
    Begun { spec, sandbox, token, attached, context }
}

/// Hands in the explore output by the sandbox's token; its digest.
fn output(stage: &mut Stage<'_>, begun: &Begun) -> String {
    let output = json!({
        "phase": "explore", "attempt": 1, "context_digest": begun.context,
        "output": Agent::answer("explore"),
    });
    let route = "/api/v1/sandboxes/{id}/output";
    let judged = stage.post_as(route, &[&begun.sandbox], &output, Some(&begun.token));
    assert_eq!(judged["verdict"]["passed"], true, "{judged}");
    judged["verdict"]["output"].as_str().unwrap().to_owned()
}

fn approved(stage: &mut Stage<'_>) {
    let begun = begun(stage);
    let Begun { spec, sandbox, token, attached, .. } = &begun;
    let attach = json!({
        "epoch": attached["epoch"], "instance": attached["instance"], "worker_version": "test",
    });
    stage.post_as("/api/v1/sandboxes/{id}/attach", &[sandbox], &attach, Some(token));
    let step = json!({
        "phase": "explore", "attempt": 1, "number": 1, "name": "look", "result": { "seen": 3 },
    });
    stage.post_as("/api/v1/sandboxes/{id}/steps", &[sandbox], &step, Some(token));
    let digest = output(stage, &begun);
    let approval = json!({ "digest": digest, "comment": "Well." });
    stage.post("/api/v1/specs/{id}/phases/{phase}/approve", &[spec, "explore"], &approval);
}

fn edited(stage: &mut Stage<'_>) {
    let begun = begun(stage);
    output(stage, &begun);
    let edit = json!({ "output": Agent::answer("explore") });
    stage.post("/api/v1/specs/{id}/phases/{phase}/edit", &[&begun.spec, "explore"], &edit);
}

fn given_up(stage: &mut Stage<'_>) {
    let Begun { sandbox, token, .. } = begun(stage);
    let failure = json!({
        "phase": "explore", "attempt": 1, "kind": "agent_error", "message": "It ended.",
    });
    stage.post_as("/api/v1/sandboxes/{id}/failure", &[&sandbox], &failure, Some(&token));
    let detach = json!({ "reason": "done" });
    stage.post_as("/api/v1/sandboxes/{id}/detach", &[&sandbox], &detach, Some(&token));
}

fn steered(stage: &mut Stage<'_>) {
    let begun = begun(stage);
    let digest = output(stage, &begun);
    let spec = begun.spec;
    let rejection = json!({ "digest": digest, "feedback": "Look again." });
    stage.post("/api/v1/specs/{id}/phases/{phase}/reject", &[&spec, "explore"], &rejection);
    let (second, _, _) = stage.sandbox(&spec, 2);
    stage.post("/api/v1/sandboxes/{id}/terminate", &[&second], &json!({}));
    stage.post("/api/v1/specs/{id}/pause", &[&spec], &json!({ "reason": "later" }));
    stage.post("/api/v1/specs/{id}/resume", &[&spec], &json!({}));
    stage.post("/api/v1/specs/{id}/cancel", &[&spec], &json!({}));
    stage.post("/api/v1/specs/{id}/retry", &[&spec], &json!({ "phase": "explore" }));
}
