//! A sandbox that lies: whatever stands in its outputs, steps, failures and notes, it is refused or
//! judged, and the log can still be read.

use serde_json::{Value, json};
use specline::sandbox::SpawnRequest;
use specline_aggregates::{Policy, SpecId};
use uuid::Uuid;

use crate::support::{Agent, Lab, Start};

struct World {
    lab: Lab,
    spec: SpecId,
    sandbox: SpawnRequest,
    work: Value,
    http: reqwest::Client,
}

impl World {
    async fn new() -> Self {
        let lab = Lab::new(Start::Nothing).await;
        let spec = lab.execute(Policy::default()).await;
        let sandbox = lab.spawned(1).await;
        let work = lab.attach(&sandbox, Uuid::now_v7()).await.body;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { lab, spec, sandbox, work, http }
    }

    /// Sends a body as it stands; status and code.
    async fn send(&self, path: &str, body: String) -> (u16, String) {
        let url = format!(
            "{}/api/v1/sandboxes/{}{path}",
            self.lab.engine.api_url(),
            self.sandbox.sandbox
        );
        let request = self.http.post(url).bearer_auth(&self.sandbox.env["SPECLINE_TOKEN"]);
        let request = request.header("content-type", "application/json").body(body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let answer: Value =
            serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default();
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    }

    fn with(&self, name: &str, value: &str) -> String {
        let (phase, attempt) = (&self.work["phase"], &self.work["attempt"]);
        let context = &self.work["context_digest"];
        format!(
            "{{\"phase\":{phase},\"attempt\":{attempt},\"context_digest\":{context},\
             \"{name}\":{value}}}"
        )
    }

    async fn version(&self) -> usize {
        self.lab.events(self.spec).await.len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_reader_could_take_is_refused() {
    let world = World::new().await;
    let before = world.version().await;
    let usage = |n: &str| world.with("output", &format!("{{}},\"usage\":{{\"input_tokens\":{n}}}"));
    for (body, status, code) in [
        (world.with("output", r#"{"summary":"a\u0000b"}"#), 422, "invalid_input"),
        (world.with("output", r#"{"\u0000":1}"#), 422, "invalid_input"),
        (world.with("output", r#"{"summary":"\ud800"}"#), 400, "invalid_json"),
        (world.with("output", r#"{"summary":1}}"#), 400, "invalid_json"),
        (world.with("output", "nothing"), 400, "invalid_json"),
        (usage("-1"), 422, "invalid_input"),
        (usage("1e30"), 422, "invalid_input"),
        (usage("18446744073709551616"), 422, "invalid_input"),
    ] {
        let told = world.send("/output", body.clone()).await;
        assert_eq!(told, (status, code.to_owned()), "{body}");
    }
    let detach = world.send("/detach", r#"{"reason":"a\u0000"}"#.to_owned()).await;
    assert_eq!(detach, (422, "invalid_input".to_owned()));
    let notes = world.send("/events", r#"{"events":[{"kind":"a\u0000"}]}"#.to_owned()).await;
    assert_eq!(notes, (422, "invalid_input".to_owned()));
    assert_eq!(world.version().await, before, "nothing was written");
    let good = world.with("output", &Agent::answer("explore").to_string());
    assert_eq!(world.send("/output", good).await.0, 200);
}

/// Odd, but JSON: it is judged like any output, and whoever reads the log can read it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_odd_is_judged_and_can_be_read_again() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let beyond = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let twice = r#"{"summary":"a","summary":"b"}"#.to_owned();
    let numbers = r#"{"summary":1e400,"n":-0.0,"m":123456789012345678901234567890}"#.to_owned();
    for output in [deep, beyond, twice, numbers] {
        let world = World::new().await;
        let shown: String = output.chars().take(40).collect();
        let (status, code) = world.send("/output", world.with("output", &output)).await;
        assert!(status == 200 || (400..500).contains(&status), "{shown}: {status} {code}");
        let engine = &world.lab.engine;
        let base = format!("{}/api/v1/specs/{}", engine.api_url(), world.spec);
        for path in ["", "/events", "/phases", "/detail", "/timeline", "/phases/explore"] {
            let request = world.http.get(format!("{base}{path}"));
            let response = request.bearer_auth(engine.operator_token()).send().await.unwrap();
            assert!(!response.status().is_server_error(), "{shown}: {path} {}", response.status());
            let text = response.text().await.unwrap();
            let read = serde_json::from_str::<Value>(&text);
            assert!(read.is_ok(), "{shown}: {path} cannot be read: {:?}", read.err());
        }
    }
}

/// The largest numbers that a worker can report are kept, on the way to the last table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_usage_is_no_fault() {
    let world = World::new().await;
    let most = json!({
        "input_tokens": u64::MAX, "output_tokens": u64::MAX,
        "cost_micro_usd": u64::MAX, "duration_ms": u64::MAX,
    });
    let beat = json!({ "usage": most, "progressed": true }).to_string();
    for _ in 0..2 {
        let (status, code) = world.send("/heartbeat", beat.clone()).await;
        assert!(status < 500, "{status} {code}");
    }
    let output = Agent::answer("explore").to_string();
    let body = world.with("output", &format!("{output},\"usage\":{most}"));
    let (status, code) = world.send("/output", body).await;
    assert!(status < 500, "{status} {code}");
    let url = format!("{}/api/v1/specs?at_least={}", world.lab.engine.api_url(), {
        world.lab.engine.head()
    });
    let request = world.http.get(url).bearer_auth(world.lab.engine.operator_token());
    assert_eq!(request.send().await.unwrap().status().as_u16(), 200, "the read models go on");
}
