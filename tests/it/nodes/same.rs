//! One API on every node: a repeat finds its first answer, a write is seen wherever it is asked
//! for, and what a node remembers never makes it say no wrongly.

use std::sync::Barrier;

use serde_json::{Value, json};

use super::NOTE_RUN;
use crate::support::{Cluster, Node, times, wait_until};

/// A spec that is launched and stands still in design.
fn held(cluster: &Cluster, node: &Node) -> String {
    cluster.project.agent.on("all", NOTE_RUN);
    cluster.project.agent.on("explore", "hold go\n");
    let spec = cluster.launch(node, "Held", &json!({}));
    cluster.project.wait_for_call("explore");
    spec
}

/// The answers of all nodes, asked at the same moment.
fn at_once(cluster: &Cluster, nodes: &[Node], path: &str, body: &Value, key: &str) -> Vec<Value> {
    let barrier = Barrier::new(nodes.len());
    std::thread::scope(|scope| {
        let asked: Vec<_> = nodes
            .iter()
            .map(|node| {
                scope.spawn(|| {
                    barrier.wait();
                    let answer = cluster.post(node, path, body, Some(key)).unwrap();
                    assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
                    answer.body
                })
            })
            .collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn one_request_on_two_nodes_at_once_has_one_effect_and_one_answer() {
    let cluster = Cluster::new();
    let nodes = [cluster.node(), cluster.node()];
    let n = times(15, 100);
    for round in 0..n {
        let body = cluster.request(&format!("Draft {round}"), &json!({}));
        let answers = at_once(&cluster, &nodes, "/specs", &body, &format!("draft-{round}"));
        assert_eq!(answers[0], answers[1], "round {round}");
        let spec = answers[0]["id"].as_str().unwrap().to_owned();
        let reason = json!({ "reason": format!("round {round}") });
        let path = format!("/specs/{spec}/cancel");
        let answers = at_once(&cluster, &nodes, &path, &reason, &format!("cancel-{round}"));
        assert_eq!(answers[0], answers[1], "round {round}");
    }
    assert_eq!(cluster.n_events("SpecDrafted"), u64::from(n));
    assert_eq!(cluster.n_events("SpecCancelled"), u64::from(n));
    let spec = cluster.request("Another", &json!({}));
    let reused = cluster.post(&nodes[1], "/specs", &spec, Some("draft-0")).unwrap();
    assert_eq!((reused.status, reused.code()), (422, "idempotency_key_reused"), "{reused:?}");
    cluster.project.is_sound();
}

#[test]
fn one_launch_on_two_nodes_at_once_makes_one_run() {
    let cluster = Cluster::new();
    cluster.project.agent.on("all", NOTE_RUN);
    let nodes = [cluster.node(), cluster.node()];
    for round in 0..3 {
        let body = cluster.request(&format!("Launched {round}"), &json!({}));
        let answers = at_once(&cluster, &nodes, "/specs/launch", &body, &format!("l-{round}"));
        assert_eq!(answers[0]["id"], answers[1]["id"]);
    }
    cluster.until_completed(3, super::QUIET);
    wait_until("the follow-ups", || cluster.n_events("TaskReleased") == 12);
    super::each_completed_once(&cluster);
}

#[test]
fn what_one_node_wrote_is_read_on_the_other() {
    let cluster = Cluster::new();
    let nodes = [cluster.node(), cluster.node()];
    for round in 0..times(40, 400) {
        let (writer, reader) =
            if round % 2 == 0 { (&nodes[0], &nodes[1]) } else { (&nodes[1], &nodes[0]) };
        let title = format!("Draft number {round}.");
        let body = cluster.request(&title, &json!({}));
        let written = cluster.post(writer, "/specs", &body, None).unwrap();
        assert_eq!(written.status, 201, "{written:?}");
        let path = format!("/specs?limit=500&at_least={}", written.body["position"]);
        let listed = cluster.get(reader, &path).unwrap();
        assert_eq!(listed.status, 200, "round {round}: {listed:?}");
        let there = listed.body["specs"].as_array().unwrap().iter().any(|s| s["title"] == title);
        assert!(there, "round {round}: {title} is not listed");
        let shown = format!("/specs/{}", written.body["id"].as_str().unwrap());
        let shown = cluster.get(reader, &shown).unwrap();
        assert_eq!((shown.status, &shown.body["title"]), (200, &json!(title)));
    }
}

/// Each command is right only on the state that the other node has just made.
#[test]
fn a_node_that_remembers_an_older_state_never_refuses_wrongly() {
    let cluster = Cluster::new();
    let nodes = [cluster.node(), cluster.node()];
    let spec = held(&cluster, &nodes[0]);
    for round in 0..times(25, 300) {
        let n = usize::from(round % 2 == 0);
        let (pauses, resumes) = (&nodes[n], &nodes[1 - n]);
        let path = |what: &str| format!("/specs/{spec}/{what}");
        let halted = cluster.post(pauses, &path("pause"), &json!({}), None).unwrap();
        assert_eq!(halted.status, 200, "round {round}: {halted:?}");
        let shown = cluster.get(resumes, &path("")[..path("").len() - 1]).unwrap();
        assert_eq!(shown.body["status"], "paused", "round {round}: what is written is shown");
        let goes_on = cluster.post(resumes, &path("resume"), &json!({}), None).unwrap();
        assert_eq!(goes_on.status, 202, "round {round}: {goes_on:?}");
        assert_eq!(goes_on.body["status"], "executing", "round {round}");
    }
    cluster.project.agent.let_go("go");
    cluster.until_completed(1, super::QUIET);
    for node in nodes {
        assert_eq!(node.end().code(), 0);
    }
    cluster.project.is_sound();
}
