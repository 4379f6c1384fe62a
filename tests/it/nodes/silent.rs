//! A gateway between a node and its database forgets the connections that are there: nothing is
//! closed, nothing answers. The node makes new ones, or says that it is of no use.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::{each_completed_once, until_settled};
use crate::postgres::proxy::Proxy;
use crate::support::{Cluster, Node, Served, postgres, wait_until};

/// Within this a node must beat again.
const RECOVERS: Duration = Duration::from_secs(15);

/// What the others think of a node, and what it says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    lives: bool,
    ready: bool,
}

fn look(cluster: &Cluster, node: &Node, id: &str) -> Seen {
    let url = format!("http://127.0.0.1:{}/health/ready", node.port);
    let dead = || {
        cluster
            .sql(&format!("SELECT expires_at <= specline_now(NULL) FROM nodes WHERE id = '{id}'"))
    };
    // It may come to life between two questions: it is dead if it was so before and after.
    let before = dead();
    let answer = cluster.http.call(Method::GET, &url, "", None);
    let ready = answer.is_some_and(|answer| answer.status == 200);
    Seen { lives: before != "t" || dead() != "t", ready }
}

#[test]
fn a_node_whose_connections_are_forgotten_beats_again_and_is_never_ready_while_it_is_dead() {
    let cluster = Cluster::new();
    let proxy = cluster.http.runtime().block_on(Proxy::start(postgres::server().port()));
    let through = proxy.url(cluster.store());
    let behind = Served { env: vec![("SPECLINE_STORE", through)], ..Served::default() };
    let node = cluster.serve(&behind);
    let id = node.id(&cluster);
    cluster.launch(&node, "Before", &json!({}));
    cluster.until_completed(1, Duration::from_mins(1));
    for round in 0..3 {
        proxy.forget();
        let forgotten = Instant::now();
        let beaten = cluster.number(&format!("SELECT expires_at FROM nodes WHERE id = '{id}'"));
        loop {
            let seen = look(&cluster, &node, &id);
            assert!(seen.lives || !seen.ready, "round {round}: dead for its peers, and ready");
            let beats = cluster.number(&format!("SELECT expires_at FROM nodes WHERE id = '{id}'"));
            if beats > beaten {
                break;
            }
            assert!(forgotten.elapsed() < RECOVERS, "round {round}: no beat: {seen:?}");
        }
        println!("round {round}: it beats after {:.1} s", forgotten.elapsed().as_secs_f64());
        wait_until("the node to be ready", || look(&cluster, &node, &id).ready);
    }
    proxy.forget();
    // Whoever meets a dead connection is told to ask again.
    let body = cluster.request("After", &json!({}));
    wait_until("the launch to be taken", || {
        let answer = cluster.post(&node, "/specs/launch", &body, Some("After"));
        let status = answer.map(|answer| answer.status);
        assert!(matches!(status, Some(202 | 503)), "{status:?}");
        status == Some(202)
    });
    cluster.until_completed(2, Duration::from_mins(1));
    until_settled(&cluster, 2);
    assert_eq!(node.end().code(), 0);
    each_completed_once(&cluster);
}
