//! Every call of a worker, made twice in every status of its spec: whoever has not heard an answer
//! asks again, and gets it, whatever has become of the spec meanwhile.

use serde_json::{Value, json};
use specline::engine::Asked;
use specline::sandbox::SpawnRequest;
use specline_aggregates::spec::Status;
use specline_aggregates::{Limits, Phase, Policy, SpecId};
use uuid::Uuid;

use crate::support::{Agent, Lab, Start};

pub(super) struct World {
    pub(super) lab: Lab,
    pub(super) spec: SpecId,
    sandbox: SpawnRequest,
    instance: Uuid,
    work: Value,
}

/// A call that was made while the spec was executed, under a key, and its answer.
pub(super) struct Made {
    path: &'static str,
    key: String,
    body: Value,
    answer: (u16, Value),
}

impl World {
    pub(super) async fn new(policy: Policy) -> Self {
        let lab = Lab::new(Start::Nothing).await;
        let spec = lab.execute(policy).await;
        let sandbox = lab.spawned(1).await;
        let instance = Uuid::now_v7();
        let work = lab.attach(&sandbox, instance).await.body;
        Self { lab, spec, sandbox, instance, work }
    }

    async fn send(&self, path: &str, body: &Value, key: Option<&str>) -> (u16, Value) {
        let answer = self.lab.keyed(&self.sandbox, path, body, key).await;
        (answer.status, lasting(answer.body))
    }

    async fn make(&self, path: &'static str, key: String, body: Value) -> Made {
        let answer = self.send(path, &body, Some(&key)).await;
        assert_eq!(answer.0, 200, "{path}: {answer:?}");
        Made { path, key, body, answer }
    }

    async fn step(&self) -> Made {
        let body = json!({
            "phase": self.work["phase"], "attempt": self.work["attempt"], "number": 1,
            "name": "look", "result": { "seen": 3 },
        });
        self.make("/steps", "step".to_owned(), body).await
    }

    async fn output(&self, phase: Phase, work: &Value) -> Made {
        let body = json!({
            "phase": phase, "attempt": work["attempt"], "context_digest": work["context_digest"],
            "output": Agent::answer(phase.as_str()),
        });
        self.make("/output", format!("output/{phase}"), body).await
    }

    async fn failure(&self) -> Made {
        let body = json!({
            "phase": self.work["phase"], "attempt": self.work["attempt"],
            "kind": "agent_error", "message": "It ended.",
        });
        self.make("/failure", "failure".to_owned(), body).await
    }

    /// All outputs, up to the end.
    pub(super) async fn complete(&self) -> Vec<Made> {
        let (mut made, mut work) = (Vec::new(), self.work.clone());
        for phase in [Phase::Explore, Phase::Requirements, Phase::Design, Phase::Tasks] {
            let answer = self.lab.attach(&self.sandbox, self.instance).await.body;
            if answer["kind"] == "work" {
                work = answer;
            }
            made.push(self.output(phase, &work).await);
        }
        self.lab.until_n(self.spec, "SpecCompleted", 1).await;
        made
    }

    /// What was asked before gets the answer of then; all else the same answer twice.
    async fn asks_again(&self, status: Status, made: &[Made]) {
        assert_eq!(self.lab.engine.spec(self.spec).await.unwrap().status(), status);
        let before = self.lab.events(self.spec).await.len();
        for Made { path, key, body, answer } in made {
            for turn in 0..2 {
                let again = self.send(path, body, Some(key)).await;
                assert_eq!(&again, answer, "{status:?}: {path} again, {turn}");
            }
        }
        let attach = json!({
            "epoch": self.sandbox.epoch, "instance": self.instance, "worker_version": "test",
        });
        let notes = json!({ "events": [{ "kind": "tool", "body": {} }] });
        for (path, body) in [
            ("/attach", &attach),
            ("/heartbeat", &json!({ "progressed": true })),
            ("/events", &notes),
            (
                "/steps",
                &json!({
                    "phase": "explore", "attempt": 1, "number": 2, "name": "new", "result": {},
                }),
            ),
            ("/detach", &json!({ "reason": "done" })),
            ("/detach", &json!({ "reason": "done" })),
        ] {
            let first = self.send(path, body, Some(&format!("late{path}"))).await;
            let second = self.send(path, body, Some(&format!("late{path}"))).await;
            assert_eq!(first, second, "{status:?}: {path}");
            assert!(first.0 < 500, "{status:?}: {path}: {first:?}");
        }
        let after = self.lab.events(self.spec).await.len();
        assert!(after <= before + 2, "{status:?}: a step and the sandbox's end at most");
    }
}

/// An answer without what is of the moment: the next assignment, and the time that is left.
fn lasting(mut answer: Value) -> Value {
    if let Some(fields) = answer.as_object_mut() {
        for of_the_moment in ["next", "time_limit_ms", "request_id"] {
            fields.remove(of_the_moment);
        }
    }
    answer
}

fn asked() -> Asked {
    Asked::by("tester".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_executed() {
    let world = World::new(Policy::default()).await;
    let made = [world.step().await, world.output(Phase::Explore, &world.work).await];
    world.asks_again(Status::Executing, &made).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_paused_in_mid_attempt() {
    let world = World::new(Policy::default()).await;
    let made = [world.step().await];
    world.lab.engine.pause(world.spec, "later", &asked()).await.unwrap();
    world.asks_again(Status::Paused, &made).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_waits_for_a_person() {
    let approvals = [Phase::Explore].into();
    let world = World::new(Policy { approvals, ..Policy::default() }).await;
    let made = [world.step().await, world.output(Phase::Explore, &world.work).await];
    world.asks_again(Status::AwaitingApproval, &made).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_it_has_failed() {
    let mut policy = Policy::default();
    let once = Limits { attempts: 1, ..policy.limits(Phase::Explore) };
    policy.limits.insert(Phase::Explore, once);
    let world = World::new(policy).await;
    let made = [world.step().await, world.failure().await];
    world.asks_again(Status::Failed, &made).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_it_was_cancelled() {
    let world = World::new(Policy::default()).await;
    let made = [world.step().await];
    world.lab.engine.cancel(world.spec, "enough", &asked()).await.unwrap();
    world.asks_again(Status::Cancelled, &made).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_it_has_completed() {
    let world = World::new(Policy::default()).await;
    let step = world.step().await;
    let mut made = world.complete().await;
    made.push(step);
    world.asks_again(Status::Completed, &made).await;
}
