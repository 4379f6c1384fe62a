//! The sandbox is killed with SIGKILL: in each phase, before its output, after the output is sent
//! and before the worker acts on the answer, and between phases.

use serde_json::json;

use super::completed_once;
use crate::support::{AGENT_PHASES, Log, Project};

/// Longest from a loss to the next sandbox at work; about a second where the machine is idle.
const RECOVERY_MS: u64 = 5_000;

/// What a run with one dead sandbox must come to.
fn recovered(project: &Project, phases: &[&str]) -> Log {
    let log = completed_once(project);
    assert_eq!(log.count("SandboxLost"), 1, "one loss");
    assert_eq!(log.count("SandboxAttached"), 2, "one new epoch");
    assert_eq!(log.named("SandboxLost")[0].data()["cause"], json!({ "signal": { "signal": 9 } }));
    assert_eq!(project.agent.phases(), phases, "finished work is not done again");
    let recoveries = log.recoveries_ms();
    assert!(recoveries.iter().all(|ms| *ms < RECOVERY_MS), "{recoveries:?}");
    project.nothing_is_left();
    log
}

/// Kills the worker itself while its agent is at work in `phase`.
fn killed_at_work(phase: &str) {
    let project = Project::new();
    project.agent.on(phase, "once kill kill -9 $PPID; test -d \"$here/once.kill\" || sleep 9\n");
    let said = project.run(&[]);
    assert_eq!(said.code(), 0, "{said:?}");
    let mut phases = AGENT_PHASES.to_vec();
    let at = phases.iter().position(|known| *known == phase).unwrap();
    phases.insert(at, phase);
    recovered(&project, &phases);
}

/// Kills the worker at one of its own points.
fn killed_at(point: &str) {
    let project = Project::new();
    let args = project.run_args(&["--agent-env", "SPECLINE_CRASH_AT"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = project.command(&args);
    let once = project.agent.path("crashed");
    command.env("SPECLINE_CRASH_AT", format!("{point}={}", once.display()));
    let said = project.start(command).wait();
    assert_eq!(said.code(), 0, "{point}: {said:?}");
    assert!(once.exists(), "{point} was reached");
    recovered(&project, &AGENT_PHASES);
}

#[test]
fn killed_at_work_in_explore() {
    killed_at_work("explore");
}

#[test]
fn killed_at_work_in_requirements() {
    killed_at_work("requirements");
}

#[test]
fn killed_at_work_in_design() {
    killed_at_work("design");
}

#[test]
fn killed_at_work_in_tasks() {
    killed_at_work("tasks");
}

#[test]
fn killed_before_its_output_in_explore() {
    killed_at("worker_before_output:explore");
}

#[test]
fn killed_before_its_output_in_requirements() {
    killed_at("worker_before_output:requirements");
}

#[test]
fn killed_before_its_output_in_design() {
    killed_at("worker_before_output:design");
}

#[test]
fn killed_before_its_output_in_tasks() {
    killed_at("worker_before_output:tasks");
}

#[test]
fn killed_after_its_output_is_sent_in_explore() {
    killed_at("worker_output_sent:explore");
}

#[test]
fn killed_after_its_output_is_sent_in_requirements() {
    killed_at("worker_output_sent:requirements");
}

#[test]
fn killed_after_its_output_is_sent_in_design() {
    killed_at("worker_output_sent:design");
}

#[test]
fn killed_between_explore_and_requirements() {
    killed_at("worker_assigned:requirements");
}

#[test]
fn killed_between_requirements_and_design() {
    killed_at("worker_assigned:design");
}

#[test]
fn killed_between_design_and_tasks() {
    killed_at("worker_assigned:tasks");
}

/// From here on the engine works alone: a dead sandbox costs nothing.
#[test]
fn killed_after_its_last_output_is_sent() {
    let project = Project::new();
    let args = project.run_args(&["--agent-env", "SPECLINE_CRASH_AT"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = project.command(&args);
    let once = project.agent.path("crashed");
    command.env("SPECLINE_CRASH_AT", format!("worker_output_sent:tasks={}", once.display()));
    let said = project.start(command).wait();
    assert_eq!(said.code(), 0, "{said:?}");
    project.is_sound();
    let log = project.log();
    assert_eq!((log.count("SpecSynced"), log.count("SpecCompleted")), (1, 1));
    assert_eq!(log.count("SandboxAttached"), 1, "no sandbox is started for SYNC");
    assert_eq!(project.agent.phases(), AGENT_PHASES);
    super::made_once(&project, &log);
    project.nothing_is_left();
}

/// The supervisor dies with everything in it: nothing of the old sandbox goes on.
#[test]
fn lesson_06_a_crashed_sandbox_is_noticed_although_it_never_heartbeat_again() {
    let project = Project::new();
    project.agent.on("design", "once hold hold go\n");
    // A lease of ten minutes: only the exit itself can tell.
    let policy = project.policy(&json!({ "lease_ms": 600_000 }));
    let run = project.start_run(&["--policy", &policy]);
    project.wait_for_call("design");
    for pid in crate::support::process::all(project.root()) {
        if pid != run.pid() {
            crate::support::process::signal(pid, rustix::process::Signal::KILL);
        }
    }
    let said = run.wait();
    assert_eq!(said.code(), 0, "{said:?}");
    let log = completed_once(&project);
    assert_eq!(log.count("SandboxLost"), 1);
    assert!(log.recoveries_ms().iter().all(|ms| *ms < RECOVERY_MS), "{:?}", log.recoveries_ms());
    project.nothing_is_left();
}

#[test]
fn lesson_15_a_sandbox_that_keeps_dying_fails_the_spec_and_says_so() {
    let project = Project::new();
    project.agent.on("requirements", "kill -9 $PPID; sleep 9\n");
    let policy = json!({ "max_sandbox_losses": 2, "backoff": { "first_ms": 10, "cap_ms": 20 } });
    let said = project.run(&["--policy", &project.policy(&policy)]);
    assert_eq!(said.code(), 1, "{said:?}");
    let view = said.json();
    assert_eq!(view["error"]["kind"], "sandbox_lost");
    let reason = view["error"]["reason"].as_str().unwrap();
    assert!(reason.contains("3 sandboxes were lost in requirements"), "{reason}");
    assert_eq!(project.log().count("SandboxLost"), 3);
    assert_eq!(project.agent.phases().iter().filter(|phase| *phase == "explore").count(), 1);
    project.nothing_is_left();
}

/// Too little memory says nothing of the agent's work: the attempt is made again, and is the same.
#[test]
fn an_agent_that_the_kernel_kills_costs_no_attempt() {
    for how in ["kill -9 $$", "exit 137"] {
        let project = Project::new();
        let once = format!("[ -e \"$here/killed\" ] || {{ : > \"$here/killed\"; {how}; }}\n");
        project.agent.on("design", &once);
        let policy = project.policy(&serde_json::json!({
            "limits": { "design": { "attempts": 1 } }, "backoff": { "first_ms": 10, "cap_ms": 10 },
        }));
        let said = project.run(&["--policy", &policy]);
        assert_eq!(said.code(), 0, "{how}: {said:?}");
        let log = project.log();
        assert_eq!((log.count("SandboxLost"), log.count("AttemptFailed")), (1, 0), "{how}");
        let cause = log.named("SandboxLost")[0].data()["cause"].clone();
        assert_eq!(cause, json!({ "signal": { "signal": 9 } }), "{how}");
        project.nothing_is_left();
    }
}
