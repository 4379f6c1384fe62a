//! A worker whose node dies goes on through another: by the addresses it was given, or through a
//! load balancer. And nodes of different machines, which cannot reach each other's sandboxes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::{NOTE_RUN, QUIET, each_completed_once};
use crate::support::{Cluster, Node, Served, wait_for, wait_until};

const FIRST: &str = "first";
const SECOND: &str = "second";

fn on_machine(machine: &'static str) -> Served {
    Served { machine, ..Served::default() }
}

/// The node that keeps the only lease.
fn keeper(cluster: &Cluster, mut nodes: Vec<Node>) -> (Node, Node) {
    let engine = wait_for("a lease", || {
        let engine = cluster.sql("SELECT engine FROM leases WHERE state = 'running'");
        (!engine.is_empty()).then_some(engine)
    });
    let kept = nodes.iter().position(|node| node.id(cluster) == engine).unwrap();
    let keeper = nodes.remove(kept);
    (keeper, nodes.remove(0))
}

/// The worker's node dies for good in the middle of an attempt.
fn goes_on_without_its_node(cluster: &Cluster, nodes: Vec<Node>) {
    cluster.project.agent.on("all", NOTE_RUN);
    cluster.project.agent.on("requirements", "hold go\n");
    cluster.launch(&nodes[0], "Carried on", &json!({}));
    cluster.project.wait_for_call("requirements");
    let (keeper, other) = keeper(cluster, nodes);
    keeper.running.kill();
    cluster.project.agent.let_go("go");
    cluster.until_completed(1, QUIET);
    wait_until("the follow-ups", || cluster.n_events("TaskReleased") == 4);
    let said = other.end();
    assert_eq!(said.code(), 0, "{said:?}");
    let log = each_completed_once(cluster);
    assert_eq!((log.count("SandboxAttached"), log.count("SandboxLost")), (1, 0), "same epoch");
    cluster.project.nothing_is_left();
}

#[test]
fn goes_on_by_its_list_of_addresses() {
    let cluster = Cluster::new();
    let nodes = vec![cluster.node(), cluster.node()];
    let both = |node: &Node| {
        let known = "SELECT count(*) FROM nodes WHERE expires_at > specline_clock()";
        cluster.number(known) == 2 && cluster.get(node, "/projections").is_some()
    };
    wait_until("both nodes to be known", || nodes.iter().all(both));
    goes_on_without_its_node(&cluster, nodes);
}

/// Where the survivor is of another machine, nothing but the list can tell the worker.
#[test]
fn goes_on_through_a_node_of_another_machine() {
    let cluster = Cluster::new();
    // The one that is started last has heard of the other.
    let second = cluster.serve(&on_machine(SECOND));
    let first = cluster.serve(&on_machine(FIRST));
    goes_on_without_its_node(&cluster, vec![first, second]);
}

/// Takes connections in turn to whichever nodes take them.
struct Balancer {
    url: String,
    backs: Arc<Mutex<Vec<u16>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Balancer {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let backs: Arc<Mutex<Vec<u16>>> = Arc::default();
        runtime.spawn(balance(listener, Arc::clone(&backs)));
        Self { url, backs, _runtime: runtime }
    }

    fn add(&self, node: &Node) {
        self.backs.lock().unwrap_or_else(PoisonError::into_inner).push(node.port);
    }
}

async fn balance(listener: TcpListener, backs: Arc<Mutex<Vec<u16>>>) {
    let mut turn = 0;
    while let Ok((mut front, _)) = listener.accept().await {
        let ports = backs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        turn += 1;
        tokio::spawn(async move {
            for n in 0..ports.len() {
                let port = ports[(turn + n) % ports.len()];
                if let Ok(mut back) = TcpStream::connect(("127.0.0.1", port)).await {
                    return drop(copy_bidirectional(&mut front, &mut back).await);
                }
            }
        });
    }
}

#[test]
fn goes_on_through_a_load_balancer() {
    let cluster = Cluster::new();
    let balancer = Balancer::start();
    let served = Served { advertise: Some(balancer.url.clone()), ..Served::default() };
    let nodes = vec![cluster.serve(&served), cluster.serve(&served)];
    for node in &nodes {
        balancer.add(node);
    }
    let told = cluster.sql("SELECT DISTINCT api_url FROM nodes");
    assert_eq!(told, balancer.url, "workers are told the balancer's address only");
    cluster.project.agent.on("all", NOTE_RUN);
    cluster.project.agent.on("requirements", "hold go\n");
    cluster.launch(&nodes[0], "Balanced", &json!({}));
    cluster.project.wait_for_call("requirements");
    let mut nodes = nodes;
    nodes.remove(0).running.kill();
    cluster.project.agent.let_go("go");
    cluster.until_completed(1, QUIET);
    wait_until("the follow-ups", || cluster.n_events("TaskReleased") == 4);
    assert_eq!(nodes.remove(0).end().code(), 0);
    let log = each_completed_once(&cluster);
    assert_eq!((log.count("SandboxAttached"), log.count("SandboxLost")), (1, 0), "same epoch");
    cluster.project.nothing_is_left();
}

/// Only the machine that took the snapshot can start the sandbox; the other leaves it alone, and
/// does all that needs no sandbox.
#[test]
fn a_node_without_the_snapshot_starts_no_sandbox() {
    let cluster = Cluster::new();
    cluster.project.agent.on("all", NOTE_RUN);
    let nodes = [cluster.serve(&on_machine(FIRST)), cluster.serve(&on_machine(SECOND))];
    for n in 0..4 {
        cluster.launch(&nodes[0], &format!("Spec {n}"), &json!({}));
    }
    cluster.until_completed(4, QUIET);
    wait_until("the follow-ups", || cluster.n_events("TaskReleased") == 16);
    let kept = cluster.sql("SELECT DISTINCT engine FROM leases");
    assert_eq!(kept, nodes[0].id(&cluster), "the first alone has the snapshots");
    for node in nodes {
        assert_eq!(node.end().code(), 0);
    }
    let log = each_completed_once(&cluster);
    assert_eq!(log.count("SandboxLost"), 0);
    cluster.project.nothing_is_left();
}

/// A machine is gone, with its sandbox: the node elsewhere says so when the lease has run out, and
/// the sandbox is replaced when a node is back where the snapshot is.
#[test]
fn a_dead_machines_sandbox_is_lost_with_its_lease_and_replaced_at_home() {
    let cluster = Cluster::new();
    cluster.project.agent.on("all", NOTE_RUN);
    cluster.project.agent.on("design", "once hold hold never\n");
    let (home, away) = (cluster.serve(&on_machine(FIRST)), cluster.serve(&on_machine(SECOND)));
    cluster.launch(&home, "At home", &json!({ "lease_ms": 2_000 }));
    cluster.project.wait_for_call("design");
    home.running.kill();
    for pid in crate::support::process::sandboxed(cluster.project.root()) {
        crate::support::process::signal(pid, rustix::process::Signal::KILL);
    }
    for pid in crate::support::process::all(cluster.project.root()) {
        if pid != away.running.pid() {
            crate::support::process::signal(pid, rustix::process::Signal::KILL);
        }
    }
    cluster.until("the loss to be told", Duration::from_mins(1), || {
        cluster.n_events("SandboxLost") == 1
    });
    let lost = cluster.project.log();
    assert_eq!(lost.named("SandboxLost")[0].data()["cause"], "lease_expired");
    assert_eq!(lost.count("SandboxAttached"), 1, "the other machine cannot start it");
    let home = cluster.serve(&on_machine(FIRST));
    cluster.until_completed(1, QUIET);
    wait_until("the follow-ups", || cluster.n_events("TaskReleased") == 4);
    for node in [home, away] {
        assert_eq!(node.end().code(), 0);
    }
    let log = each_completed_once(&cluster);
    assert_eq!((log.count("SandboxAttached"), log.count("SandboxLost")), (2, 1));
    cluster.project.nothing_is_left();
}
