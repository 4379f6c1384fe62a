//! A panic in each duty and in the log's writer. One in the work on a row is that row's trouble,
//! and the row is taken up again; one in a duty's own loop, or in the writer, ends the process with
//! a code, and the next one goes on. Nothing goes on half dead.

use rustix::process::Signal;
use serde_json::json;

use super::{each_completed_once, until_settled};
use crate::support::{Cluster, Project, Served, wait_until};

/// Duties of a row.
const ROWS: [&str; 2] = ["spawn", "sync"];

/// Duties of an engine on a file, each with a loop of its own, that surely come round in one run.
const LOOPS: [&str; 4] = ["projector", "reactor", "watchdog", "clockwork"];

fn at(project: &Project, point: &str) -> String {
    format!("panic:{point}={}", project.agent.path("panicked").display())
}

#[test]
fn a_panic_in_the_work_on_a_row_costs_the_row_a_moment() {
    for row in ROWS {
        let project = Project::new();
        let args = project.run_args(&[]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = project.command(&args);
        command.env("SPECLINE_CRASH_AT", at(&project, &format!("duty:{row}")));
        let said = project.start(command).wait();
        assert!(project.agent.path("panicked").exists(), "{row}: the point was reached");
        assert_eq!(said.code(), 0, "{row}: {said:?}");
        assert_eq!(said.json()["status"], "completed", "{row}");
        assert_eq!(project.log().count("SandboxLost"), 0, "{row}");
        project.nothing_is_left();
    }
}

#[test]
fn a_panic_in_a_duty_or_the_writer_ends_the_process_and_the_next_goes_on() {
    let points = LOOPS.iter().map(|duty| format!("duty:{duty}")).chain(["log_writer".to_owned()]);
    for point in points {
        let project = Project::new();
        let point = point.as_str();
        let args = project.run_args(&[]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = project.command(&args);
        command.env("SPECLINE_CRASH_AT", at(&project, point));
        let said = project.start(command).wait();
        assert_eq!(said.code(), 1, "{point}: {said:?}");
        // Whoever waits for the writer is told first.
        if let Some(duty) = point.strip_prefix("duty:") {
            let told = format!("{duty} has ended by a fault");
            assert!(said.stderr.contains(&told), "{point}: {said:?}");
        }
        let said = project.specline(&["resume", "--json"]);
        assert_eq!(said.code(), 0, "{point}: {said:?}");
        if project.log().count("SpecDrafted") > 0 {
            assert_eq!(project.log().count("SpecCompleted"), 1, "{point}");
        }
        project.is_sound();
        project.nothing_is_left();
    }
}

#[test]
fn a_node_on_postgresql_ends_by_a_panic_of_its_own_duties_and_another_takes_over() {
    for point in ["duty:membership", "log_writer"] {
        let cluster = Cluster::new();
        let panics = at(&cluster.project, point);
        let first = cluster
            .begin(&Served { env: vec![("SPECLINE_CRASH_AT", panics)], ..Served::default() });
        let second = cluster.node();
        cluster.launch(&second, "Limit links", &json!({}));
        let mut first = first;
        wait_until("the first node to end", || first.running.has_ended());
        cluster.until_completed(1, super::QUIET);
        until_settled(&cluster, 1);
        second.running.signal(Signal::TERM);
        assert_eq!(second.running.wait().code(), 0);
        each_completed_once(&cluster);
    }
}
