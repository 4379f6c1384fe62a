//! A sandbox that is stopped past its lease, and wakes when another has taken over: it writes
//! nothing. And a spawn that happens twice for one epoch leaves one sandbox.

use rustix::process::Signal;
use serde_json::{Value, json};
use specline_aggregates::Policy;
use uuid::Uuid;

use super::completed_once;
use crate::support::{AGENT_PHASES, Agent, Lab, Project, Start, process};

fn short_lease() -> Policy {
    Policy { lease_ms: 1_000, ..Policy::default() }
}

/// A submission for the work of an assignment.
fn submission(assignment: &Value, output: &Value) -> Value {
    json!({
        "phase": assignment["phase"],
        "attempt": assignment["attempt"],
        "context_digest": assignment["context_digest"],
        "output": output,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_a_sandbox_that_was_given_up_is_stale() {
    let lab = Lab::new(Start::Nothing).await;
    let spec = lab.execute(short_lease()).await;
    let first = lab.spawned(1).await;
    let assigned = lab.attach(&first, Uuid::now_v7()).await;
    assert_eq!((assigned.status, &assigned.body["kind"]), (200, &json!("work")));
    // It is silent for longer than its lease, and the provider does not kill it.
    let second = lab.spawned(2).await;
    let instance = Uuid::now_v7();
    let work = lab.attach(&second, instance).await.body;
    let before = lab.events(spec).await.len();

    let explored = Agent::answer("explore");
    let usage = json!({});
    let step = json!({
        "phase": "explore", "attempt": 1, "number": 1, "name": "s", "result": {}, "usage": usage,
    });
    let failure = json!({
        "phase": "explore", "attempt": 1, "kind": "agent_error", "message": "late",
    });
    let calls = [
        ("/attach", json!({ "epoch": 1, "instance": Uuid::now_v7(), "worker_version": "t" })),
        ("/output", submission(&assigned.body, &explored)),
        ("/output", submission(&work, &explored)),
        ("/steps", step),
        ("/failure", failure),
    ];
    for (path, body) in &calls {
        let answer = lab.call(&first, path, body).await;
        assert_eq!((answer.status, answer.code()), (409, "stale_epoch"), "{path}: {answer:?}");
    }
    let beat = lab.call(&first, "/heartbeat", &json!({})).await;
    assert!(beat.status == 401 || beat.body["orders"] == "stop", "{beat:?}");
    assert_eq!(lab.events(spec).await.len(), before, "nothing was written");

    let answer = lab.call(&second, "/output", &submission(&work, &explored)).await;
    assert_eq!(answer.status, 200, "the one that took over may write: {answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_wakes_after_its_lease_stops_at_once() {
    let lab = Lab::new(Start::Worker).await;
    lab.project.agent.on("requirements", "hold go\n");
    let spec = lab.execute(short_lease()).await;
    lab.until_n(spec, "PhaseCompleted", 1).await;
    lab.eventually("the agent at work", async || {
        lab.project.agent.phases().contains(&"requirements".to_owned()).then_some(())
    })
    .await;
    let pid = i32::try_from(lab.provider.workers()[0].id()).unwrap();
    process::signal(pid, Signal::STOP);
    lab.until_n(spec, "SandboxLost", 1).await;
    lab.until_n(spec, "SandboxAttached", 2).await;
    process::signal(pid, Signal::CONT);
    // The output that its agent brings now comes too late.
    lab.project.agent.let_go("go");
    let code = lab
        .eventually("the woken worker to end", async || {
            lab.provider.workers()[0].try_wait().unwrap().and_then(|status| status.code())
        })
        .await;
    assert_eq!(code, 76, "it was told that it is stale");
    lab.until_n(spec, "SpecCompleted", 1).await;
    let events = lab.events(spec).await;
    let lost = events.iter().find(|event| event.event_type == "SandboxLost").unwrap();
    assert!(lost.payload.contains("lease_expired"), "{}", lost.payload);
    let first = lab.spawned(1).await.sandbox.to_string();
    let after = events.iter().filter(|event| event.sequence > lost.sequence);
    for event in after {
        assert!(!event.metadata.contains(&first), "epoch 1 wrote {}", event.event_type);
    }
    assert_eq!(lab.n_events(spec, "SpecSynced").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lesson_09_a_second_sandbox_of_one_epoch_is_sent_away() {
    let lab = Lab::new(Start::Nothing).await;
    let spec = lab.execute(Policy::default()).await;
    let sandbox = lab.spawned(1).await;
    let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
    let first = lab.attach(&sandbox, one).await;
    let second = lab.attach(&sandbox, other).await;
    assert_eq!((second.status, second.code()), (409, "stale_epoch"), "{second:?}");
    let again = lab.attach(&sandbox, one).await;
    assert_eq!(again.status, 200, "the first may ask again");
    assert_eq!(first.body["context_digest"], again.body["context_digest"]);
    assert_eq!(lab.n_events(spec, "SandboxAttached").await, 1);
    assert_eq!(lab.n_events(spec, "AttemptStarted").await, 1);
    assert_eq!(lab.n_spawned(1), 1);
}

#[test]
fn a_stopped_process_tree_is_replaced_and_ended() {
    let project = Project::new();
    project.agent.on("design", "once hold hold go\n");
    let policy = project.policy(&json!({ "lease_ms": 1_500 }));
    let run = project.start_run(&["--policy", &policy]);
    project.wait_for_call("design");
    for pid in process::all(project.root()) {
        if pid != run.pid() {
            process::signal(pid, Signal::STOP);
        }
    }
    let said = run.wait();
    assert_eq!(said.code(), 0, "{said:?}");
    let log = completed_once(&project);
    let lost = log.named("SandboxLost");
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].data()["cause"], "lease_expired");
    assert_eq!(project.agent.phases(), ["explore", "requirements", "design", "design", "tasks"]);
    project.nothing_is_left();
}

/// A long phase is not a dead sandbox: heartbeats keep the lease.
#[test]
fn a_long_phase_outlives_many_leases() {
    let project = Project::new();
    project.agent.on("explore", "sleep 4\n");
    let said = project.run(&["--policy", &project.policy(&json!({ "lease_ms": 1_000 }))]);
    assert_eq!(said.code(), 0, "{said:?}");
    let log = completed_once(&project);
    assert_eq!(log.count("SandboxLost"), 0);
    assert_eq!(project.agent.phases(), AGENT_PHASES);
}
