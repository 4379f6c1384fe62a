//! One of two nodes is killed at a named point of a duty; the other finishes it, once.

use rustix::process::Signal;

use super::{NOTE_RUN, QUIET, each_completed_once, until_settled};
use crate::support::{Cluster, Node, Served, process};

/// Whichever node comes to `point` first dies there.
fn killed_at(point: &str) {
    let cluster = Cluster::new();
    cluster.project.agent.on("all", NOTE_RUN);
    let once = cluster.project.agent.path("crashed");
    let crash = ("SPECLINE_CRASH_AT", format!("{point}={}", once.display()));
    let served = Served { env: vec![crash], ..Served::default() };
    let mut nodes: Vec<Node> = (0..2).map(|_| cluster.serve(&served)).collect();
    cluster.launch(&nodes[0], point, &serde_json::json!({}));
    cluster.until_completed(1, QUIET);
    assert!(once.exists(), "{point} was reached");
    until_settled(&cluster, 1);
    let before = nodes.len();
    nodes.retain_mut(|node| !node.running.has_ended());
    assert_eq!(before - nodes.len(), 1, "one has died");
    for node in nodes {
        let said = node.end();
        assert_eq!(said.code(), 0, "{said:?}");
    }
    let log = each_completed_once(&cluster);
    assert_eq!((log.count("SandboxAttached"), log.count("SandboxLost")), (1, 0), "{point}");
    cluster.project.nothing_is_left();
}

#[test]
fn killed_when_a_sandbox_is_claimed_and_not_started() {
    killed_at("spawn_claimed");
}

#[test]
fn killed_when_a_sandbox_is_started_and_not_recorded() {
    killed_at("spawn_started");
}

#[test]
fn killed_with_an_output_recorded_and_not_answered() {
    killed_at("engine_output_recorded:design");
}

#[test]
fn killed_with_sync_planned() {
    killed_at("sync_planned");
}

#[test]
fn killed_with_the_files_written() {
    killed_at("sync_files_written");
}

/// The node dies before it has written down the sandbox that it started; the sandbox attaches at
/// the other, and dies too. The other notices, although nobody told it what it watches.
#[test]
fn killed_before_a_sandbox_is_recorded_that_then_dies() {
    let cluster = Cluster::new();
    cluster.project.agent.on("all", NOTE_RUN);
    cluster.project.agent.on("requirements", "once hold hold never\n");
    let once = cluster.project.agent.path("crashed");
    let crash = ("SPECLINE_CRASH_AT", format!("spawn_started={}", once.display()));
    let served = Served { env: vec![crash], ..Served::default() };
    let mut nodes: Vec<Node> = (0..2).map(|_| cluster.serve(&served)).collect();
    cluster.launch(&nodes[0], "Unrecorded", &serde_json::json!({ "lease_ms": 5_000 }));
    cluster.project.wait_for_call("requirements");
    nodes.retain_mut(|node| !node.running.has_ended());
    assert_eq!(nodes.len(), 1, "one has died");
    for pid in process::workers(cluster.project.root()) {
        process::signal(pid, Signal::KILL);
    }
    cluster.until_completed(1, QUIET);
    until_settled(&cluster, 1);
    for node in nodes {
        assert_eq!(node.end().code(), 0);
    }
    let log = each_completed_once(&cluster);
    assert_eq!((log.count("SandboxAttached"), log.count("SandboxLost")), (2, 1));
    cluster.project.nothing_is_left();
}
