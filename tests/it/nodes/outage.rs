//! The database goes away under nodes with running specs, and comes back.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{NOTE_RUN, each_completed_once, read_models_are_right};
use rustix::process::Signal;

use crate::support::postgres::Server;
use crate::support::{Cluster, Served, process, wait_for, wait_until};

/// Longer than a node lasts without a beat.
const AWAY: Duration = Duration::from_secs(10);

/// A server of this test's own, as it is stopped.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

#[test]
fn the_database_is_away_for_ten_seconds_and_comes_back() {
    let server = server();
    let cluster = Cluster::on(server);
    cluster.project.agent.on("all", &format!("{NOTE_RUN}sleep 0.5\n"));
    // A sandbox of theirs, and another machine's: neither is anybody's fault.
    let nodes = [cluster.node(), cluster.node()];
    let n_specs = 6;
    for n in 0..n_specs {
        cluster.launch(&nodes[n % 2], &format!("Spec {n}"), &json!({ "lease_ms": 4_000 }));
    }
    cluster.project.wait_for_call("requirements");
    server.stop_immediate();
    let gone = Instant::now();
    let asked = cluster.request("Too early", &json!({}));
    while gone.elapsed() < AWAY {
        let answer = cluster.post(&nodes[0], "/specs", &asked, Some("too early"));
        let status = answer.map(|answer| answer.status);
        assert!(status.is_none_or(|status| status == 503), "{status:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    server.restart();
    let back = Instant::now();
    cluster.until_completed(n_specs as u64, Duration::from_secs(90));
    println!("all had completed {:.1} s after it was back", back.elapsed().as_secs_f64());
    wait_until("the follow-ups", || cluster.n_events("TaskReleased") == 4 * n_specs as u64);
    for node in nodes {
        let said = node.end();
        assert_eq!(said.code(), 0, "{said:?}");
    }
    let log = each_completed_once(&cluster);
    let lost: Vec<_> = log.named("SandboxLost").iter().map(|event| event.data()).collect();
    assert!(lost.is_empty(), "no sandbox was at fault: {lost:?}");
    read_models_are_right(&cluster);
    cluster.project.nothing_is_left();
}

/// A server of its own for each test that stops one.
fn own_server() -> &'static Server {
    Box::leak(Box::new(Server::start()))
}

/// Their exits cannot be recorded then, and are not forgotten all the same: nobody waits for a
/// lease to run out.
#[test]
fn sandboxes_that_die_while_the_database_is_away_are_replaced_when_it_is_back() {
    let server = own_server();
    let cluster = Cluster::on(server);
    cluster.project.agent.on("requirements", "hold go");
    let node = cluster.node();
    let n_specs = 4;
    for n in 0..n_specs {
        cluster.launch(&node, &format!("Spec {n}"), &json!({}));
    }
    let held = || cluster.project.agent.calls().iter().filter(|c| c.starts_with("req")).count();
    wait_until("all agents to be at work", || held() == n_specs);
    server.stop_immediate();
    for pid in process::workers(cluster.project.root()) {
        process::signal(pid, Signal::KILL);
    }
    wait_until("the sandboxes to end", || process::workers(cluster.project.root()).is_empty());
    // Long enough for every exit to be met, and for whoever tries but once to have given up.
    let gone = Instant::now();
    wait_until("some time to pass", || gone.elapsed() > Duration::from_secs(6));
    server.restart();
    let back = Instant::now();
    wait_until("agents to be at work again", || held() == 2 * n_specs);
    let took = back.elapsed();
    println!("agents were at work again {:.1} s after it was back", took.as_secs_f64());
    assert!(took < Duration::from_secs(20), "a lease is 30 s");
    cluster.project.agent.let_go("go");
    cluster.until_completed(n_specs as u64, super::QUIET);
    super::until_settled(&cluster, n_specs as u64);
    assert_eq!(node.end().code(), 0);
    let log = each_completed_once(&cluster);
    assert_eq!(log.count("SandboxLost"), n_specs);
    cluster.project.nothing_is_left();
}

/// Both are started together after a power failure, and the database takes longer.
#[test]
fn a_node_that_is_started_before_its_database_waits_for_it() {
    let server = own_server();
    let cluster = Cluster::on(server);
    server.stop_immediate();
    let mut node = cluster.begin(&Served::default());
    wait_for("the node to say so", || {
        assert!(!node.running.has_ended(), "{}", node.running.stderr());
        node.running.stderr().contains("waiting for the database").then_some(())
    });
    server.restart();
    let node = node.ready(&cluster);
    assert_eq!(node.running.stderr().matches("waiting for the database").count(), 1);
    cluster.launch(&node, "Limit links", &json!({}));
    cluster.until_completed(1, super::QUIET);
    assert_eq!(node.end().code(), 0);
    // Whom it does not let in need not wait.
    let nobody = cluster.store().replace("/test_", "/no_such_");
    let said = cluster.project.specline(&["serve", "--store", &nobody]);
    assert_eq!(said.code(), 78, "{said:?}");
    assert!(said.stderr.contains("does not take this connection"), "{said:?}");
}
