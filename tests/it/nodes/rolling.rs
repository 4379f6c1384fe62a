//! Nodes of two versions: the old ones are replaced one after the other while specs run, and a node
//! that is older than what stands in the log refuses, and says so.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use specline::store::StreamId;
use specline::store::chain::{Content, chain_hash};
use specline_aggregates::Digest;

use super::{NOTE_RUN, each_completed_once, read_models_are_right};
use crate::support::{Cluster, Node, Served, times, wait_until};

/// What the next version says of itself: as long as what this one says.
const NEXT: &str = "0.1.9";

/// The exit code of a node that is older than its log.
const NEWER_PEER: i32 = 75;

/// The program that was built, with another version in its text.
fn next_version(cluster: &Cluster) -> PathBuf {
    let this = env!("CARGO_PKG_VERSION").as_bytes();
    assert_eq!(this.len(), NEXT.len());
    let mut bytes = std::fs::read(env!("CARGO_BIN_EXE_specline")).unwrap();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(this.len()).position(|window| window == this) {
        at += found;
        let near = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_digit() || *b == b'.');
        // Part of a longer number, such as another crate's 10.1.0.
        if !near(bytes.get(at.wrapping_sub(1))) && !near(bytes.get(at + this.len())) {
            bytes[at..at + this.len()].copy_from_slice(NEXT.as_bytes());
        }
        at += this.len();
    }
    // Of the same name: it starts itself again as worker and supervisor.
    let folder = cluster.project.path("next");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("specline");
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn versions_alive(cluster: &Cluster) -> Vec<String> {
    let sql = "SELECT version FROM nodes WHERE expires_at > specline_clock() ORDER BY 1";
    cluster.sql(sql).lines().map(str::to_owned).collect()
}

#[test]
fn a_rolling_restart_with_another_version_drops_nothing() {
    let cluster = Cluster::new();
    let program = next_version(&cluster);
    cluster.project.agent.on("all", &format!("{NOTE_RUN}sleep 0.3\n"));
    let mut nodes: Vec<Node> = (0..3).map(|_| cluster.node()).collect();
    assert_eq!(versions_alive(&cluster), [env!("CARGO_PKG_VERSION"); 3]);
    let n_each = times(2, 10);
    let mut n_specs = 0;
    for n in 0..nodes.len() {
        for node in &nodes {
            for _ in 0..n_each {
                cluster.launch(node, &format!("Spec {n_specs}"), &json!({}));
                n_specs += 1;
            }
        }
        let old = nodes.remove(0);
        let port = old.port;
        let said = old.end();
        assert_eq!(said.code(), 0, "{said:?}");
        let served =
            Served { port: Some(port), program: Some(program.clone()), ..Served::default() };
        nodes.push(cluster.serve(&served));
        assert!(versions_alive(&cluster).contains(&NEXT.to_owned()), "after node {n}");
    }
    assert_eq!(versions_alive(&cluster), [NEXT; 3]);
    cluster.until_completed(n_specs, Duration::from_mins(4));
    wait_until("the follow-ups", || cluster.n_events("TaskReleased") == 4 * n_specs);
    for node in nodes {
        let said = node.end();
        assert_eq!(said.code(), 0, "{said:?}");
    }
    let log = each_completed_once(&cluster);
    assert_eq!(log.count("SandboxLost"), 0, "every sandbox outlived its node");
    read_models_are_right(&cluster);
    cluster.project.nothing_is_left();
}

#[test]
fn a_node_that_is_older_than_the_schema_does_not_start() {
    let cluster = Cluster::new();
    assert_eq!(cluster.node().end().code(), 0);
    cluster.sql("INSERT INTO specline_migrations (version, name) VALUES (999, 'later')");
    let said = cluster.begin(&Served::default()).running.wait();
    assert_eq!(said.code(), NEWER_PEER, "{said:?}");
    assert!(said.stderr.contains("999"), "{said:?}");
    assert!(said.stdout.is_empty(), "{said:?}");
}

/// An event of a later version stops every node that cannot read it; until a node has ended, it
/// says why it does not answer.
#[test]
fn nodes_that_meet_a_newer_event_stop() {
    let cluster = Cluster::new();
    let nodes = [cluster.node(), cluster.node()];
    let body = cluster.request("Later", &json!({}));
    let drafted = cluster.post(&nodes[0], "/specs", &body, None).unwrap();
    let spec = drafted.body["id"].as_str().unwrap().to_owned();
    append_newer(&cluster, &spec);
    let mut codes = std::collections::BTreeSet::new();
    let path = format!("/specs/{spec}");
    for node in nodes {
        while let Some(answer) = cluster.get(&node, &path) {
            codes.insert((answer.status, answer.code().to_owned()));
        }
        let said = node.running.wait();
        assert_eq!(said.code(), NEWER_PEER, "{said:?}");
        assert!(said.stderr.contains("newer"), "{said:?}");
    }
    let refused = (503, "newer_peer".to_owned());
    let fine = (200, String::new());
    assert!(codes.iter().all(|code| *code == refused || *code == fine), "{codes:?}");
    let said = cluster.begin(&Served::default()).running.wait();
    assert_eq!(said.code(), NEWER_PEER, "a later start: {said:?}");
}

/// An old node beside new ones does not meet the event while it folds, as another has folded it; it
/// stops when it is asked for that spec.
#[test]
fn an_old_node_that_is_asked_for_a_newer_spec_stops() {
    let cluster = Cluster::new();
    let node = cluster.node();
    let body = cluster.request("Later", &json!({}));
    let drafted = cluster.post(&node, "/specs", &body, None).unwrap();
    let spec = drafted.body["id"].as_str().unwrap().to_owned();
    let path = format!("/specs?at_least={}", drafted.body["position"]);
    assert_eq!(cluster.get(&node, &path).unwrap().status, 200);
    assert_eq!(node.end().code(), 0);
    // As a newer node leaves it: read models and reactor are past its event.
    append_newer(&cluster, &spec);
    cluster.sql(
        "UPDATE specline_read.read_model_cursors SET position = position + 1; \
         INSERT INTO cursors SELECT 'reactor', position FROM log_head \
         ON CONFLICT (duty) DO UPDATE SET position = excluded.position",
    );
    let node = cluster.node();
    let other = cluster.post(&node, "/specs", &body, None).unwrap();
    assert_eq!(other.status, 201, "it works on what it knows: {other:?}");
    let answer = cluster.get(&node, &format!("/specs/{spec}"));
    assert!(answer.is_none_or(|answer| (answer.status, answer.code()) == (503, "newer_peer")));
    let said = node.running.wait();
    assert_eq!(said.code(), NEWER_PEER, "{said:?}");
}

/// Appends an event of a later version to a draft, as a newer node does.
fn append_newer(cluster: &Cluster, spec: &str) {
    let hash = hash_of_newer(cluster, spec);
    cluster.sql(&format!(
        "WITH head AS (UPDATE log_head SET position = position + 1 RETURNING position) \
         INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, \
         payload, metadata, position, recorded_at, hash) \
         SELECT aggregate_type, aggregate_id, sequence + 1, 'SpecRevised', '9.0', \
         '{{\"SpecRevised\": {{}}}}', metadata, head.position, recorded_at, '\\x{hash}'::bytea \
         FROM events, head WHERE aggregate_id = '{spec}'"
    ));
}

/// The hash of that event.
fn hash_of_newer(cluster: &Cluster, spec: &str) -> Digest {
    let of = |column: &str| {
        cluster.sql(&format!("SELECT {column} FROM events WHERE aggregate_id = '{spec}'"))
    };
    let previous: Digest = of("encode(hash, 'hex')").parse().unwrap();
    let metadata = of("metadata::text");
    let stream =
        StreamId { aggregate_type: "Spec".to_owned(), aggregate_id: spec.parse().unwrap() };
    let content = Content {
        event_type: "SpecRevised",
        event_version: "9.0",
        payload: r#"{"SpecRevised": {}}"#,
        metadata: &metadata,
    };
    chain_hash(&previous, &stream, 2, content)
}
