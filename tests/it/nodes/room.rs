//! A node runs so many sandboxes at a time; the others wait for room, and hold up nothing else.

use serde_json::json;

use super::{QUIET, until_settled};
use crate::support::{Cluster, Served, wait_until};

#[test]
fn more_specs_than_there_is_room_for_take_turns() {
    let cluster = Cluster::new();
    // Each agent notes how many are at work beside it.
    let count = "mkdir -p \"$here/at\"; : > \"$here/at/$SPEC_ID\"; ls \"$here/at\" | wc -l >> \
                 \"$here/seen\"; sleep 0.1; rm \"$here/at/$SPEC_ID\"\n";
    cluster.project.agent.on("all", count);
    cluster.project.agent.on("tasks", "hold go\n");
    let env = vec![("SPECLINE_SANDBOX_MAX_RUNNING", "2".to_owned())];
    let node = cluster.serve(&Served { env, ..Served::default() });
    let ids: Vec<String> =
        (0..6).map(|n| cluster.launch(&node, &format!("Spec {n}"), &json!({}))).collect();
    wait_until("two to be held", || {
        let calls = cluster.project.agent.calls();
        calls.iter().filter(|call| call.starts_with("tasks")).count() == 2
    });
    assert_eq!(cluster.n_events("SandboxAttached"), 2);
    // What needs no sandbox is done beside those that wait.
    let path = format!("/specs/{}/cancel", ids[5]);
    let answer = cluster.post(&node, &path, &json!({}), None).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    cluster.project.agent.let_go("go");
    cluster.until_completed(5, QUIET);
    let seen = std::fs::read_to_string(cluster.project.agent.path("seen")).unwrap();
    let most = seen.split_whitespace().filter_map(|n| n.parse::<u32>().ok()).max();
    assert_eq!(most, Some(2), "{seen}");
    until_settled(&cluster, 5);
    assert_eq!(node.end().code(), 0);
    assert_eq!(cluster.n_events("SandboxAttached"), 5);
}
