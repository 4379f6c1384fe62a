//! A sandbox's token dies with its lease, for every call; what it had done is still answered.

use serde_json::{Value, json};
use specline::sandbox::SpawnRequest;
use specline_aggregates::{Policy, SpecId};

use super::Caller;
use crate::support::{Agent, Lab, Start};

/// The one sandbox of a spec, and the engine that let go of it.
struct Gone {
    lab: Lab,
    spec: SpecId,
    sandbox: SpawnRequest,
    /// Its first assignment.
    work: Value,
}

impl Gone {
    /// With a sandbox that works, and an engine that has not let go of it.
    async fn not_yet() -> Self {
        let lab = Lab::new(Start::Nothing).await;
        let spec = lab.execute(Policy { lease_ms: 60_000, ..Policy::default() }).await;
        let sandbox = lab.spawned(1).await;
        let attached = lab.attach(&sandbox, uuid::Uuid::now_v7()).await;
        assert_eq!(attached.status, 200, "{attached:?}");
        Self { lab, spec, sandbox, work: attached.body }
    }

    /// A person ends the sandbox; the spec goes on with another.
    async fn let_go(&self) {
        let caller = Caller::of(&self.lab);
        let path = format!("/api/v1/sandboxes/{}/terminate", self.sandbox.sandbox);
        assert_eq!(caller.operate("POST", &path, &json!({})).await.status, 202);
        self.ended().await;
        self.lab.spawned(2).await;
    }

    async fn ended(&self) {
        let id = self.sandbox.sandbox;
        self.lab
            .eventually("the lease to end", async || {
                let living = self.lab.engine.side().live_leases().await.unwrap();
                (!living.iter().any(|lease| lease.sandbox == id)).then_some(())
            })
            .await;
    }

    fn output(&self) -> Value {
        json!({
            "phase": "explore",
            "attempt": self.work["attempt"],
            "context_digest": self.work["context_digest"],
            "output": Agent::answer("explore"),
            "usage": {},
        })
    }

    fn step(&self) -> Value {
        json!({
            "phase": "explore", "attempt": self.work["attempt"], "number": 1, "name": "look",
            "result": { "files": 3 }, "usage": {},
        })
    }

    /// Notes that are kept of it.
    async fn n_notes(&self) -> usize {
        let notes = self.lab.engine.side().telemetry(self.sandbox.sandbox, 0, 1_000).await;
        notes.unwrap().len()
    }
}

fn notes() -> Value {
    json!({ "events": [{ "kind": "progress", "body": { "text": "on it" } }] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_new_is_taken_once_the_lease_is_over() {
    let gone = Gone::not_yet().await;
    let (lab, sandbox) = (&gone.lab, &gone.sandbox);
    let living = lab.call(sandbox, "/events", &notes()).await;
    assert_eq!(living.status, 202, "{living:?}");
    gone.let_go().await;
    let (version, n_notes) = (lab.events(gone.spec).await.len(), gone.n_notes().await);
    let attach = json!({
        "epoch": sandbox.epoch, "instance": uuid::Uuid::now_v7(), "worker_version": "late",
    });
    let failure = json!({
        "phase": "explore", "attempt": gone.work["attempt"], "kind": "agent_error",
        "message": "late", "usage": {},
    });
    for (path, body) in [
        ("/events", notes()),
        ("/attach", attach),
        ("/steps", gone.step()),
        ("/output", gone.output()),
        ("/failure", failure),
    ] {
        let late = lab.call(sandbox, path, &body).await;
        assert_eq!((late.status, late.code()), (409, "stale_epoch"), "{path}: {late:?}");
        let late = lab.keyed(sandbox, path, &body, Some("late")).await;
        assert_eq!((late.status, late.code()), (409, "stale_epoch"), "{path}: {late:?}");
    }
    let caller = Caller::of(lab);
    let token = &sandbox.env["SPECLINE_TOKEN"];
    for path in ["assignment".to_owned(), format!("context/{}", "0".repeat(64))] {
        let path = format!("/api/v1/sandboxes/{}/{path}", sandbox.sandbox);
        let late = caller.get(&path, token).await;
        assert_eq!((late.status, late.code()), (409, "stale_epoch"), "{path}: {late:?}");
    }
    assert_eq!(gone.n_notes().await, n_notes, "no note was kept");
    assert_eq!(lab.events(gone.spec).await.len(), version, "no event was written");
    // How a worker that was away learns that it is over, and how it says goodbye.
    let beat = lab.call(sandbox, "/heartbeat", &json!({ "usage": {}, "progressed": true })).await;
    assert_eq!((beat.status, &beat.body["orders"]), (200, &json!("stop")), "{beat:?}");
    let bye = lab.call(sandbox, "/detach", &json!({ "reason": "told to stop" })).await;
    assert_eq!(bye.status, 200, "{bye:?}");
    assert_eq!(lab.events(gone.spec).await.len(), version, "that changed nothing either");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_before_is_answered_again() {
    let gone = Gone::not_yet().await;
    let (lab, sandbox) = (&gone.lab, &gone.sandbox);
    let step = lab.keyed(sandbox, "/steps", &gone.step(), Some("step")).await;
    let output = lab.keyed(sandbox, "/output", &gone.output(), Some("output")).await;
    assert_eq!((step.status, output.status), (200, 200), "{step:?} {output:?}");
    gone.let_go().await;
    let version = lab.events(gone.spec).await.len();
    let again = lab.keyed(sandbox, "/steps", &gone.step(), Some("step")).await;
    assert_eq!((again.status, &again.body["position"]), (200, &step.body["position"]));
    let again = lab.keyed(sandbox, "/output", &gone.output(), Some("output")).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.body["verdict"], output.body["verdict"]);
    assert_eq!(again.body["next"]["kind"], "detach", "and it is told to go: {again:?}");
    assert_eq!(lab.events(gone.spec).await.len(), version);
}

/// Between the end of a spec and that of its lease a worker may still say how it went.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_that_was_released_may_finish_what_it_says() {
    let gone = Gone::not_yet().await;
    let (lab, sandbox) = (&gone.lab, &gone.sandbox);
    let path = format!("/api/v1/specs/{}/cancel", gone.spec);
    let cancelled = Caller::of(lab).operate("POST", &path, &json!({})).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    let n_notes = gone.n_notes().await;
    let last = lab.call(sandbox, "/events", &notes()).await;
    assert_eq!(last.status, 202, "its lease is not over: {last:?}");
    assert_eq!(gone.n_notes().await, n_notes + 1);
    let late = lab.call(sandbox, "/output", &gone.output()).await;
    assert_eq!((late.status, late.code()), (409, "spec_ended"), "{late:?}");
    gone.ended().await;
    let late = lab.call(sandbox, "/output", &gone.output()).await;
    assert_eq!((late.status, late.code()), (409, "spec_ended"), "{late:?}");
    let late = lab.call(sandbox, "/events", &notes()).await;
    assert_eq!((late.status, late.code()), (409, "stale_epoch"), "{late:?}");
    assert_eq!(gone.n_notes().await, n_notes + 1);
}
