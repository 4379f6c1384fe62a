//! The database goes away under nodes with running specs, and comes back.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{NOTE_RUN, each_completed_once, read_models_are_right};
use crate::support::postgres::Server;
use crate::support::{Cluster, wait_until};

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
