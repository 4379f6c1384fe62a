//! The crash matrix: the real binary, killed with SIGKILL wherever it hurts. Whatever dies, the run
//! completes, nothing that was finished is done again, and nothing is there twice.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]
#![expect(clippy::print_stdout, reason = "seeds and skipped tests are told")]

mod busy;
mod engine;
mod no_space;
mod sandbox;
mod stopped;

use crate::support::{AGENT_PHASES, Log, Project};

/// What must hold of a log whose only spec has completed, whatever died on the way.
fn completed_once(project: &Project) -> Log {
    project.is_sound();
    let log = project.log();
    let spec = project.spec();
    let view = project.show(&spec);
    assert_eq!(view["status"], "completed", "{view:#}");
    for phase in AGENT_PHASES {
        assert_eq!(log.in_phase("PhaseCompleted", phase).len(), 1, "{phase}");
        assert_eq!(log.in_phase("OutputSubmitted", phase).len(), 1, "{phase}");
    }
    for once in ["ExecutionStarted", "SpecSynced", "SpecCompleted"] {
        assert_eq!(log.count(once), 1, "{once}");
    }
    made_once(project, &log);
    attempts_are_consistent(&log);
    epochs_are_consistent(&log);
    log
}

/// Tickets, tasks and files are there, each once.
fn made_once(project: &Project, log: &Log) {
    assert_eq!((log.count("TicketOpened"), log.count("TaskQueued")), (2, 4));
    assert_eq!(log.count("TaskLinked"), 4, "each task is linked to its ticket once");
    let planned = log.named("SyncPlanned");
    assert!(planned.windows(2).all(|pair| pair[0].data()["ids"] == pair[1].data()["ids"]));
    let folders: Vec<_> = std::fs::read_dir(project.repo().join("specs")).unwrap().collect();
    assert_eq!(folders.len(), 1, "one folder for one spec");
    let folder = folders.into_iter().next().unwrap().unwrap().path();
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, ["design.md", "requirements.md", "tasks.md", "trace.json"]);
}

/// Attempts rise by one, and each that brought an output was started before.
pub fn attempts_are_consistent(log: &Log) {
    for phase in AGENT_PHASES.into_iter().chain(["sync"]) {
        let number = |event: &&crate::support::Event| event.data()["attempt"].as_u64().unwrap();
        let started: Vec<_> = log.in_phase("AttemptStarted", phase).iter().map(number).collect();
        let expected: Vec<u64> = (1..=started.len() as u64).collect();
        assert_eq!(started, expected, "attempts of {phase}");
        for submitted in log.in_phase("OutputSubmitted", phase) {
            assert!(started.contains(&number(&submitted)), "{phase}");
        }
    }
}

/// Epochs rise by one, each was attached at most once, and only the last lived to the end.
pub fn epochs_are_consistent(log: &Log) {
    let epoch = |event: &&crate::support::Event| event.data()["epoch"].as_u64().unwrap();
    let requested: Vec<_> = log.named("SandboxRequested").iter().map(epoch).collect();
    let expected: Vec<u64> = (1..=requested.len() as u64).collect();
    assert_eq!(requested, expected, "epochs are asked for one after the other");
    let mut attached: Vec<_> = log.named("SandboxAttached").iter().map(epoch).collect();
    // SYNC is the engine's: a sandbox that is lost then is not replaced.
    let mut lost = log.named("SandboxLost");
    lost.retain(|event| event.data()["phase"] != "sync");
    let n = attached.len();
    attached.dedup();
    assert_eq!(attached.len(), n, "one sandbox attaches in one epoch");
    assert_eq!(lost.len() + 1, requested.len(), "each loss leads to one new epoch");
}
