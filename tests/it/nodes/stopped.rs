//! A node that is stopped for longer than its leases last, and wakes when the others have taken
//! over: it does no harm. What it was in the middle of, it finds done.

use std::time::Duration;

use serde_json::json;

use super::{NOTE_RUN, each_completed_once, until_settled};
use crate::support::{Cluster, Event, Node, process, wait_for, wait_until};

/// Longest until the others have taken over: a node's life, and some.
const TAKEN_OVER: Duration = Duration::from_secs(40);

/// Which of the two nodes has the only lease, and the other.
fn keeper_and_other(cluster: &Cluster, nodes: [Node; 2]) -> (Node, Node) {
    let engine = wait_for("a lease", || {
        let engine = cluster.sql("SELECT engine FROM leases WHERE state = 'running'");
        (!engine.is_empty()).then_some(engine)
    });
    let [one, two] = nodes;
    if one.id(cluster) == engine { (one, two) } else { (two, one) }
}

fn engine_of_lease(cluster: &Cluster) -> String {
    cluster.sql("SELECT engine FROM leases WHERE state <> 'ended'")
}

/// Nothing was lost, and nothing is there twice.
fn no_harm_was_done(cluster: &Cluster, nodes: [Node; 2]) {
    until_settled(cluster, cluster.n_events("SpecDrafted"));
    for node in nodes {
        let said = node.end();
        assert_eq!(said.code(), 0, "{said:?}");
    }
    each_completed_once(cluster);
    cluster.project.nothing_is_left();
}

/// The node that keeps a sandbox is stopped while the agent works; the other takes the sandbox
/// over as it is, and the agent is not run again.
#[test]
fn a_stopped_keeper_of_a_sandbox() {
    let cluster = Cluster::new();
    cluster.project.agent.on("all", NOTE_RUN);
    cluster.project.agent.on("design", "hold go\n");
    let nodes = [cluster.node(), cluster.node()];
    cluster.launch(&nodes[0], "Kept", &json!({}));
    cluster.project.wait_for_call("design");
    let (keeper, other) = keeper_and_other(&cluster, nodes);
    let (kept_by, others_id) = (keeper.id(&cluster), other.id(&cluster));
    keeper.stop();
    cluster.until("the other to take over", TAKEN_OVER, || {
        engine_of_lease(&cluster) == others_id && kept_by != others_id
    });
    keeper.wake();
    cluster.project.agent.let_go("go");
    cluster.until_completed(1, TAKEN_OVER);
    let log = cluster.project.log();
    assert_eq!((log.count("SandboxAttached"), log.count("SandboxLost")), (1, 0), "it went on");
    no_harm_was_done(&cluster, [keeper, other]);
}

/// The same, and the spec completes while the node is stopped.
#[test]
fn a_stopped_keeper_wakes_when_everything_is_done() {
    let cluster = Cluster::new();
    cluster.project.agent.on("all", NOTE_RUN);
    cluster.project.agent.on("design", "hold go\n");
    let nodes = [cluster.node(), cluster.node()];
    cluster.launch(&nodes[0], "Kept", &json!({ "lease_ms": 3_000 }));
    cluster.project.wait_for_call("design");
    let (keeper, other) = keeper_and_other(&cluster, nodes);
    keeper.stop();
    cluster.project.agent.let_go("go");
    // The worker's call to its own node hangs until it looks elsewhere.
    cluster.until_completed(1, Duration::from_secs(90));
    wait_until("the follow-ups", || cluster.n_events("TaskReleased") == 4);
    keeper.wake();
    let position = cluster.number("SELECT position FROM log_head");
    let seen = cluster.get(&keeper, &format!("/specs?at_least={position}")).unwrap();
    assert_eq!(seen.status, 200, "{seen:?}");
    no_harm_was_done(&cluster, [keeper, other]);
}

/// Stopped when it has claimed an epoch, and before the sandbox's process is recorded: the other
/// takes the claim, and there is one sandbox.
#[test]
fn a_node_that_is_stopped_while_sandboxes_start() {
    let cluster = Cluster::new();
    cluster.project.agent.on("all", NOTE_RUN);
    let nodes = [cluster.node(), cluster.node()];
    for n in 0..6 {
        cluster.launch(&nodes[0], &format!("Starting {n}"), &json!({}));
    }
    wait_until("a claim", || {
        cluster.number("SELECT count(*) FROM leases WHERE state = 'spawning'") > 0
            || cluster.n_events("SandboxAttached") > 0
    });
    nodes[0].stop();
    let others_id = nodes[1].id(&cluster);
    let of_stopped = "SELECT count(*) FROM leases WHERE state <> 'ended' AND engine <>";
    cluster.until("the other to have all", TAKEN_OVER, || {
        cluster.number(&format!("{of_stopped} '{others_id}'")) == 0
    });
    nodes[0].wake();
    cluster.until_completed(6, Duration::from_secs(90));
    no_harm_was_done(&cluster, nodes);
}

/// Stopped in the middle of many appends, each asked again at the other node under its key: those
/// that it had taken, and those that it had not, are there once.
#[test]
fn a_node_that_is_stopped_under_a_load_of_appends() {
    let cluster = Cluster::new();
    let nodes = [cluster.node(), cluster.node()];
    let body = |n: u32| cluster.request(&format!("Draft {n}"), &json!({}));
    let n_drafts = 60_u32;
    std::thread::scope(|scope| {
        let drafting = |from: u32| {
            let (cluster, nodes, body) = (&cluster, &nodes, &body);
            scope.spawn(move || {
                let mut turn = usize::from(from.is_multiple_of(2));
                for n in (from..n_drafts).step_by(6) {
                    let key = format!("draft-{n}");
                    let ask = |at: usize| cluster.post(&nodes[at], "/specs", &body(n), Some(&key));
                    let first = ask(turn).filter(|answer| answer.status == 201);
                    let answer = first.or_else(|| {
                        turn = 1;
                        ask(turn)
                    });
                    assert_eq!(answer.map(|answer| answer.status), Some(201), "draft {n}");
                }
            })
        };
        let threads: Vec<_> = (0..6).map(drafting).collect();
        wait_until("some drafts", || cluster.n_events("SpecDrafted") >= 8);
        nodes[0].stop();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    nodes[0].wake();
    let n_seen = || cluster.get(&nodes[0], "/specs?limit=500").map(|answer| answer.body);
    wait_until("the woken node to see all", || {
        let seen = n_seen().unwrap();
        seen["specs"].as_array().is_some_and(|specs| specs.len() == 60)
    });
    assert_eq!(cluster.n_events("SpecDrafted"), u64::from(n_drafts));
    for node in nodes {
        assert_eq!(node.end().code(), 0);
    }
    cluster.project.is_sound();
}

/// The node that reacts is stopped when tasks are to be released; the other does it, once.
#[test]
fn a_stopped_reactor() {
    let cluster = Cluster::new();
    cluster.project.agent.on("all", NOTE_RUN);
    cluster.project.agent.on("tasks", "hold go\n");
    let nodes = [cluster.node(), cluster.node()];
    let holder = "SELECT owner FROM work_claims WHERE key = 'duty/reactor' AND expires_at > \
                  specline_clock()";
    wait_until("a reactor", || !cluster.sql(holder).is_empty());
    let [one, two] = nodes;
    let reacts = one.id(&cluster) == cluster.sql(holder);
    let (reactor, other) = if reacts { (one, two) } else { (two, one) };
    // Its worker speaks to the other, which does not stop.
    cluster.launch(&other, "Reacted to", &json!({ "lease_ms": 3_000 }));
    cluster.project.wait_for_call("tasks");
    reactor.stop();
    cluster.project.agent.let_go("go");
    cluster.until("the other to react", Duration::from_secs(90), || {
        cluster.n_events("TaskReleased") == 4
    });
    reactor.wake();
    assert_ne!(cluster.sql(holder), reactor.id(&cluster));
    cluster.until_completed(1, TAKEN_OVER);
    no_harm_was_done(&cluster, [reactor, other]);
}

/// The node that runs an evaluator is stopped until the other has run it too: one verdict counts.
#[test]
fn a_node_that_is_stopped_while_it_runs_an_evaluator() {
    let cluster = Cluster::new();
    cluster.project.agent.on("all", NOTE_RUN);
    let (asked, judge) =
        (cluster.project.agent.path("asked"), cluster.project.agent.path("judge.sh"));
    let script = "cat > /dev/null\necho x >> \"$1/asked\"\n\
                  while [ ! -e \"$1/judge\" ]; do sleep 0.05; done\n\
                  echo '{\"passed\": true, \"score\": 900}'\n";
    std::fs::write(&judge, script).unwrap();
    let folder = judge.parent().unwrap().display();
    let command = format!("/bin/sh {} {folder}", judge.display());
    let policy = json!({
        "evaluators": [{ "name": "careful", "command": command, "phases": ["design"] }],
    });
    let nodes = [cluster.node(), cluster.node()];
    cluster.launch(&nodes[0], "Judged", &policy);
    let n_asked = || std::fs::read_to_string(&asked).unwrap_or_default().lines().count();
    let asks = |node: &Node| process::runs_below(node.running.pid(), "judge.sh");
    wait_until("a judge", || n_asked() == 1);
    let [one, two] = nodes;
    let (asking, other) = if asks(&one) { (one, two) } else { (two, one) };
    assert!(asks(&asking) && !asks(&other));
    asking.stop();
    cluster.until("the other to ask too", TAKEN_OVER, || n_asked() == 2);
    assert!(asks(&other));
    asking.wake();
    std::fs::write(cluster.project.agent.path("judge"), "").unwrap();
    cluster.until_completed(1, Duration::from_secs(90));
    let log = cluster.project.log();
    let by = |verdict: &&Event| verdict.data()["evaluator"] == "careful";
    assert_eq!(log.named("VerdictRecorded").into_iter().filter(by).count(), 1, "one verdict");
    no_harm_was_done(&cluster, [asking, other]);
}
