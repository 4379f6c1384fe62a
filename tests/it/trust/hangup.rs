//! The terminal goes away: an orderly stop, as by SIGTERM.

use rustix::process::Signal;

use super::borders::Served;
use crate::support::Project;

#[test]
fn a_hangup_stops_a_run_in_order() {
    let project = Project::new();
    project.agent.on("explore", "hold go");
    let running = project.start_run(&[]);
    project.wait_for_call("explore");
    running.signal(Signal::HUP);
    let said = running.wait();
    assert_eq!(said.code(), 130, "{said:?}");
    assert!(said.stderr.contains("specline resume"), "{said:?}");
    project.nothing_is_left();
    project.agent.let_go("go");
    let running = project.start(project.command(&["resume", "--json"]));
    let said = running.wait();
    assert_eq!(said.code(), 0, "{said:?}");
    project.is_sound();
}

#[test]
fn a_hangup_stops_a_node_in_order() {
    let project = Project::new();
    let served = Served::start(&project, project.command(&["serve"]));
    served.running.signal(Signal::HUP);
    let said = served.running.wait();
    assert_eq!(said.code(), 0, "{said:?}");
}
