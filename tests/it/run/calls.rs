//! The worker's calls over HTTP, as a worker that may be slow, late, doubled or wrong makes them.

use serde_json::{Value, json};
use specline::engine::{Asked, Executed};
use specline::sandbox::Exited;
use specline::sandbox::provider::{Cause, Exit};
use specline_aggregates::Policy;
use uuid::Uuid;

use crate::support::{AGENT_PHASES, Agent, Lab, Start};

fn submission(work: &Value, output: &Value) -> Value {
    json!({
        "phase": work["phase"],
        "attempt": work["attempt"],
        "context_digest": work["context_digest"],
        "output": output,
        "usage": { "input_tokens": 7 },
    })
}

/// An answer without what is left of the next attempt's time, which is as of now.
fn timeless(answer: &Value) -> Value {
    let mut answer = answer.clone();
    answer["next"]["time_limit_ms"] = Value::Null;
    answer
}

fn asked() -> Asked {
    Asked::by("tester".to_owned())
}

/// An engine with one spec, its sandbox attached.
async fn attached(policy: Policy) -> (Lab, specline_aggregates::SpecId, Value) {
    let lab = Lab::new(Start::Nothing).await;
    let spec = lab.execute(policy).await;
    let sandbox = lab.spawned(1).await;
    let work = lab.attach(&sandbox, Uuid::now_v7()).await;
    assert_eq!(work.status, 200, "{work:?}");
    (lab, spec, work.body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lesson_17_a_repeat_answers_the_same_and_writes_nothing() {
    let (lab, spec, work) = attached(Policy::default()).await;
    let sandbox = lab.spawned(1).await;
    let body = submission(&work, &Agent::answer("explore"));
    let first = lab.keyed(&sandbox, "/output", &body, Some("one")).await;
    assert_eq!(first.status, 200, "{first:?}");
    let events = lab.events(spec).await.len();
    for _ in 0..3 {
        let again = lab.keyed(&sandbox, "/output", &body, Some("one")).await;
        assert_eq!((again.status, timeless(&again.body)), (200, timeless(&first.body)));
    }
    let keyless = lab.call(&sandbox, "/output", &body).await;
    assert_eq!(keyless.status, 200, "an output is known by its attempt and digest too");
    let mut other = body.clone();
    other["output"]["summary"] = json!("something else");
    let reused = lab.keyed(&sandbox, "/output", &other, Some("one")).await;
    assert_eq!((reused.status, reused.code()), (422, "idempotency_key_reused"), "{reused:?}");
    assert_eq!(lab.events(spec).await.len(), events, "nothing was written");
    assert_eq!(lab.n_events(spec, "OutputSubmitted").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_output_sent_many_times_at_once_is_recorded_once() {
    let (lab, spec, work) = attached(Policy::default()).await;
    let sandbox = lab.spawned(1).await;
    let body = submission(&work, &Agent::answer("explore"));
    let call = || lab.keyed(&sandbox, "/output", &body, Some("k"));
    let (a, b, c, d) = tokio::join!(call(), call(), call(), call());
    for answer in [&a, &b, &c, &d] {
        assert_eq!((answer.status, timeless(&answer.body)), (200, timeless(&a.body)));
    }
    assert_eq!(lab.n_events(spec, "OutputSubmitted").await, 1);
    assert_eq!(lab.n_events(spec, "PhaseCompleted").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lesson_19_executing_many_times_starts_one_sandbox() {
    let lab = Lab::new(Start::Nothing).await;
    let spec = lab.execute(Policy::default()).await;
    let asked = asked();
    let execute = || lab.engine.execute(spec, &asked);
    let (a, b, c) = tokio::join!(execute(), execute(), execute());
    for answer in [a, b, c] {
        assert_eq!(answer.unwrap().0, Executed::AlreadyRunning);
    }
    lab.spawned(1).await;
    assert_eq!(lab.n_events(spec, "ExecutionStarted").await, 1);
    assert_eq!(lab.n_events(spec, "SandboxRequested").await, 1);
    assert_eq!(lab.n_spawned(1), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lesson_11_an_unknown_kind_of_event_counts_as_life() {
    let (lab, spec, _) = attached(Policy { lease_ms: 1_500, ..Policy::default() }).await;
    let sandbox = lab.spawned(1).await;
    let notes = json!({ "events": [{ "kind": "never.heard.of", "body": { "x": 1 } }] });
    let start = tokio::time::Instant::now();
    lab.eventually("four leases to pass", async || {
        let answer = lab.call(&sandbox, "/events", &notes).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        (start.elapsed() > std::time::Duration::from_secs(6)).then_some(())
    })
    .await;
    assert_eq!(lab.n_events(spec, "SandboxLost").await, 0, "it lives");
    // And without any, it does not.
    lab.until_n(spec, "SandboxLost", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lesson_07_a_lease_counts_from_the_sandboxes_own_start() {
    let lab = Lab::new(Start::Nothing).await;
    let first = lab.execute(Policy { lease_ms: 1_000, ..Policy::default() }).await;
    // It waits for a person for longer than its lease is.
    lab.engine.pause(first, "later", &asked()).await.unwrap();
    let start = tokio::time::Instant::now();
    lab.eventually("two leases to pass", async || {
        (start.elapsed() > std::time::Duration::from_millis(2_500)).then_some(())
    })
    .await;
    lab.engine.resume(first, &asked()).await.unwrap();
    let epoch = lab.engine.spec(first).await.unwrap().epoch();
    let sandbox = lab.spawned(epoch.0).await;
    let attached = lab.attach(&sandbox, Uuid::now_v7()).await;
    assert_eq!((attached.status, &attached.body["kind"]), (200, &json!("work")), "{attached:?}");
    let beat = lab.call(&sandbox, "/heartbeat", &json!({})).await;
    assert_eq!(beat.body["orders"], "go_on");
    assert_eq!(lab.n_events(first, "SandboxLost").await, 0);
}

/// Its worker is dead, says the provider.
async fn dies(lab: &Lab, sandbox: &specline::sandbox::SpawnRequest) {
    let exited = Exited {
        sandbox: sandbox.sandbox,
        exit: Exit::Signal(9),
        cause: Cause::WorkerEnded,
        last_lines: String::new(),
    };
    lab.provider.report(exited).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_of_a_lost_sandbox_is_given_to_the_next_and_recorded_once() {
    let (lab, spec, work) = attached(Policy::default()).await;
    let first = lab.spawned(1).await;
    let step = |work: &Value| {
        json!({
            "phase": "explore", "attempt": work["attempt"], "number": 1, "name": "read",
            "result": { "files": 8 },
        })
    };
    for recorded in [true, false] {
        let answer = lab.call(&first, "/steps", &step(&work)).await;
        assert_eq!((answer.status, &answer.body["recorded"]), (200, &json!(recorded)));
    }
    dies(&lab, &first).await;
    let second = lab.spawned(2).await;
    let work = lab.attach(&second, Uuid::now_v7()).await.body;
    let steps = work["context"]["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 1, "{steps:?}");
    assert_eq!((&steps[0]["name"], &steps[0]["result"]), (&json!("read"), &json!({ "files": 8 })));
    assert!(work["prompt"].as_str().unwrap().contains("files"), "the prompt tells of it");
    lab.call(&second, "/steps", &step(&work)).await;
    assert_eq!(lab.n_events(spec, "StepRecorded").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_usage_of_a_lost_sandbox_is_not_lost() {
    let (lab, spec, _) = attached(Policy::default()).await;
    let sandbox = lab.spawned(1).await;
    let usage = json!({
        "input_tokens": 500, "output_tokens": 20, "cost_micro_usd": 900, "duration_ms": 40,
    });
    lab.call(&sandbox, "/heartbeat", &json!({ "usage": usage, "progressed": true })).await;
    lab.eventually("the heartbeat to be written", async || {
        let lease = lab.engine.side().lease(sandbox.sandbox).await.unwrap().unwrap();
        (lease.usage.input_tokens == 500).then_some(())
    })
    .await;
    dies(&lab, &sandbox).await;
    lab.until_n(spec, "SandboxLost", 1).await;
    let used = lab.engine.spec(spec).await.unwrap().usage();
    assert_eq!((used.input_tokens, used.cost_micro_usd), (500, 900));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_that_beats_and_does_nothing_is_timed_out() {
    let limits = specline_aggregates::Limits { time_ms: 500, turns: 1, attempts: 3 };
    let mut policy = Policy::default();
    policy.limits.insert(specline_aggregates::Phase::Explore, limits);
    let (lab, spec, work) = attached(policy).await;
    let sandbox = lab.spawned(1).await;
    lab.eventually("the time-out", async || {
        lab.call(&sandbox, "/heartbeat", &json!({})).await;
        (lab.n_events(spec, "AttemptFailed").await == 1).then_some(())
    })
    .await;
    let events = lab.events(spec).await;
    let failed = events.iter().find(|event| event.event_type == "AttemptFailed").unwrap();
    assert!(failed.payload.contains("timeout"), "{}", failed.payload);
    let body = submission(&work, &Agent::answer("explore"));
    let late = lab.call(&sandbox, "/output", &body).await;
    assert_eq!(late.status, 409, "a deadline that acted first wins: {late:?}");
    lab.spawned(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lesson_12_the_end_of_a_sandbox_does_not_touch_a_completed_spec() {
    let (lab, spec, mut work) = attached(Policy::default()).await;
    let sandbox = lab.spawned(1).await;
    for phase in AGENT_PHASES {
        assert_eq!(work["phase"], phase);
        let body = submission(&work, &Agent::answer(phase));
        let answer = lab.call(&sandbox, "/output", &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        work = answer.body["next"].clone();
    }
    lab.until_n(spec, "SpecCompleted", 1).await;
    let events = lab.events(spec).await.len();
    let beat = lab.call(&sandbox, "/heartbeat", &json!({})).await;
    assert_eq!(beat.body["orders"], "stop");
    dies(&lab, &sandbox).await;
    lab.eventually("its lease to end", async || {
        lab.engine.side().live_leases().await.unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(lab.events(spec).await.len(), events, "nothing was added");
    assert_eq!(lab.engine.spec(spec).await.unwrap().status().as_str(), "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lesson_23_a_late_output_does_not_revive_a_cancelled_spec() {
    let (lab, spec, work) = attached(Policy::default()).await;
    let sandbox = lab.spawned(1).await;
    lab.engine.cancel(spec, "not needed", &asked()).await.unwrap();
    let events = lab.events(spec).await.len();
    let body = submission(&work, &Agent::answer("explore"));
    let answer = lab.call(&sandbox, "/output", &body).await;
    assert_eq!((answer.status, answer.code()), (409, "spec_ended"), "{answer:?}");
    let attach = lab.attach(&sandbox, Uuid::now_v7()).await;
    assert_eq!(attach.status, 409, "{attach:?}");
    assert_eq!(lab.events(spec).await.len(), events);
    assert_eq!(lab.engine.spec(spec).await.unwrap().status().as_str(), "cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_output_for_another_context_is_refused() {
    let (lab, spec, work) = attached(Policy::default()).await;
    let sandbox = lab.spawned(1).await;
    let mut body = submission(&work, &Agent::answer("explore"));
    body["context_digest"] = json!("0".repeat(64));
    let answer = lab.call(&sandbox, "/output", &body).await;
    assert_eq!((answer.status, answer.code()), (409, "stale_context"), "{answer:?}");
    let mut body = submission(&work, &Agent::answer("explore"));
    body["attempt"] = json!(9);
    let answer = lab.call(&sandbox, "/output", &body).await;
    assert_eq!((answer.status, answer.code()), (409, "stale_attempt"), "{answer:?}");
    assert_eq!(lab.n_events(spec, "OutputSubmitted").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lesson_43_every_call_needs_its_own_token() {
    let (lab, spec, _) = attached(Policy::default()).await;
    let sandbox = lab.spawned(1).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let base = lab.engine.api_url();
    let operator = lab.engine.operator_token();
    let own = sandbox.env["SPECLINE_TOKEN"].clone();
    let inside = ["attach", "heartbeat", "steps", "output", "failure", "events", "detach"];
    let inside = inside.map(|call| format!("{base}/api/v1/sandboxes/{}/{call}", sandbox.sandbox));
    let outside = ["execute", "resume", "pause", "cancel", "retry", "fork"];
    let outside = outside.map(|call| format!("{base}/api/v1/specs/{spec}/{call}"));
    let refused = async |url: &str, token: Option<&str>, wanted: u16| {
        let mut request = http.post(url).header("content-type", "application/json").body("{}");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let status = request.send().await.unwrap().status().as_u16();
        assert_eq!(status, wanted, "{url} with {token:?}");
    };
    for url in &inside {
        refused(url, None, 401).await;
        refused(url, Some(&operator), 403).await;
        refused(url, Some("nonsense"), 401).await;
    }
    for url in &outside {
        refused(url, None, 401).await;
        refused(url, Some(&own), 401).await;
    }
    let other = Uuid::now_v7();
    refused(&format!("{base}/api/v1/sandboxes/{other}/heartbeat"), Some(&own), 401).await;
}
