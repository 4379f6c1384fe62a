//! Several nodes on one database, each a real process: killed, stopped, replaced, cut off from the
//! database. Whatever happens to them, each spec completes once, and nothing is there twice.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]
#![expect(clippy::print_stdout, reason = "seeds and figures are told")]

mod chaos;
mod hangups;
mod idle;
mod killed;
mod outage;
mod panics;
mod rolling;
mod room;
mod same;
mod silent;
mod stopped;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::crash::{attempts_are_consistent, epochs_are_consistent};
use crate::support::{AGENT_PHASES, Cluster, Log};

/// Longest that a few specs may take on a busy machine where nothing is harmed.
const QUIET: Duration = Duration::from_secs(90);

/// Has the agent note whom it works for.
const NOTE_RUN: &str = "echo \"$SPEC_ID $phase $SPECLINE_EPOCH $attempt\" >> \"$here/runs\"\n";

/// What must hold of a log all of whose specs have completed, whatever happened to the nodes.
fn each_completed_once(cluster: &Cluster) -> Log {
    cluster.project.is_sound();
    let log = cluster.project.log();
    let specs = log.specs();
    let mut streams: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for event in &log.0 {
        streams.entry(&event.aggregate_id).or_default().push(event.clone());
    }
    for spec in &specs {
        completed_once(spec, &Log(streams[spec.as_str()].clone()));
    }
    let n = specs.len();
    assert_eq!((log.count("TicketOpened"), log.count("TaskQueued")), (2 * n, 4 * n));
    assert_eq!((log.count("TaskLinked"), log.count("TaskReleased")), (4 * n, 4 * n));
    let made = log.0.iter().filter(|e| e.event_type == "TaskQueued").map(|e| &e.aggregate_id);
    assert_eq!(made.collect::<BTreeSet<_>>().len(), 4 * n, "each task once");
    folders_are_whole(cluster, n);
    runs_are_single(cluster);
    log
}

/// Waits until `n` specs leave nothing to do: a sandbox whose nodes all end before it is told would
/// wait for the next one.
fn until_settled(cluster: &Cluster, n: u64) {
    cluster.until("the last sandbox and follow-up", QUIET, || {
        let live = cluster.number("SELECT count(*) FROM leases WHERE state <> 'ended'");
        live == 0 && cluster.n_events("TaskReleased") == 4 * n
    });
}

fn completed_once(spec: &str, log: &Log) {
    for once in ["ExecutionStarted", "SpecSynced", "SpecCompleted"] {
        assert_eq!(log.count(once), 1, "{once} of {spec}");
    }
    for phase in AGENT_PHASES {
        assert_eq!(log.in_phase("PhaseCompleted", phase).len(), 1, "{phase} of {spec}");
        assert_eq!(log.in_phase("OutputSubmitted", phase).len(), 1, "{phase} of {spec}");
    }
    let planned = log.named("SyncPlanned");
    assert!(planned.windows(2).all(|pair| pair[0].data()["ids"] == pair[1].data()["ids"]));
    attempts_are_consistent(log);
    epochs_are_consistent(log);
}

/// Each spec has a folder with its four files.
fn folders_are_whole(cluster: &Cluster, n: usize) {
    let folders = std::fs::read_dir(cluster.project.repo().join("specs")).unwrap();
    let folders: Vec<_> = folders.map(|folder| folder.unwrap().path()).collect();
    assert_eq!(folders.len(), n, "one folder for each spec");
    for folder in folders {
        let entries = std::fs::read_dir(&folder).unwrap();
        let mut files: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        assert_eq!(
            files,
            ["design.md", "requirements.md", "tasks.md", "trace.json"],
            "{}",
            folder.display()
        );
    }
}

/// No agent ran twice for one attempt of one epoch.
fn runs_are_single(cluster: &Cluster) {
    let runs = std::fs::read_to_string(cluster.project.agent.path("runs")).unwrap_or_default();
    let mut seen = BTreeSet::new();
    for run in runs.lines() {
        assert!(seen.insert(run), "the agent ran twice: {run}");
    }
}

/// The read models are what a rebuild makes of the log.
fn read_models_are_right(cluster: &Cluster) {
    let head = cluster.number("SELECT position FROM log_head");
    let node = cluster.node();
    let caught_up = cluster.get(&node, &format!("/specs?at_least={head}")).unwrap();
    assert_eq!(caught_up.status, 200, "{caught_up:?}");
    let before = cluster.read_models();
    assert!(!before.is_empty());
    let models = cluster.get(&node, "/projections").unwrap();
    for model in models.body["projections"].as_array().unwrap() {
        let name = model["name"].as_str().unwrap();
        cluster.project.ok(&["projections", "rebuild", name]);
    }
    let after = cluster.read_models();
    assert_eq!(before.len(), after.len(), "rows of a rebuild");
    let (before, after): (BTreeSet<_>, BTreeSet<_>) =
        (before.iter().collect(), after.iter().collect());
    let differ: Vec<_> = before.symmetric_difference(&after).take(6).collect();
    assert!(differ.is_empty(), "a rebuild differs: {differ:#?}");
    assert_eq!(node.end().code(), 0);
}
