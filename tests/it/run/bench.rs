//! `specline bench`, in small: its exit code and figures are the check, never its speed.

use std::process::Command;

use serde_json::Value;

use crate::support::postgres;

fn bench(args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_specline"))
        .arg("bench")
        .args(args)
        .arg("--json")
        .env_remove("SPECLINE_STORE")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn recovery_runs_no_acknowledged_step_again_and_loses_none() {
    let found = bench(&["recover", "--specs", "8", "--step-ms", "20"]);
    assert!(found.is_object(), "{found}");
}

#[test]
fn steps_are_measured_beside_a_reference() {
    let found = bench(&["steps", "--concurrency", "4", "--specs", "20", "--rounds", "1"]);
    for name in ["specs_per_s", "steps_per_s", "p50_ms", "p99_ms", "p50_workflow_ms", "rss_mb"] {
        assert!(found[name].as_f64().is_some_and(|figure| figure > 0.0), "{name}: {found}");
    }
    for name in ["store", "durability"] {
        assert!(found[name].is_string(), "{name}: {found}");
    }
}

/// Every call once at one client and once at two, and a fleet for a second.
fn http(store: &[&str]) {
    let sizes = ["--sandboxes", "6", "--drafts", "4", "--clients", "1,2", "--seconds", "0.2"];
    let fleet = ["--every", "0.5", "--fleet-seconds", "1"];
    let found = bench(&[&["http"], &sizes[..], &fleet, store].concat());
    let rows = found["rows"].as_array().unwrap();
    let calls = ["live", "heartbeat", "step", "output", "execute", "list", "audit"];
    for (call, clients) in calls.iter().flat_map(|call| [(call, 1), (call, 2)]) {
        let of = |row: &&Value| row["call"] == *call && row["clients"] == clients;
        let row = rows.iter().find(of).unwrap_or_else(|| panic!("no {call}: {found}"));
        for name in ["requests", "per_s", "p50_ms", "p99_ms", "server_rss_mb"] {
            assert!(row[name].as_f64().is_some_and(|figure| figure > 0.0), "{name}: {row}");
        }
        assert_eq!(row["to_reference"].is_null(), *call == "live", "{row}");
        assert!(row["p50_ms"].as_f64() <= row["p99_ms"].as_f64(), "{row}");
    }
    assert_eq!(rows.len(), 14, "{found}");
    // Two rounds of six; the one that opens the connections does not count.
    assert_eq!(found["fleet"]["heard"], 12, "{found}");
    assert!(found["fleet"]["server_cores"].is_f64(), "{found}");
    // Six specs with four events each, four drafts, and what the calls wrote.
    assert!(found["events"].as_u64().is_some_and(|events| events > 28), "{found}");
}

#[test]
fn every_call_of_the_api_is_measured_from_a_second_process() {
    http(&[]);
}

#[test]
fn every_call_is_measured_on_postgres() {
    let database = postgres::server().database();
    http(&["--store", database.url()]);
}

#[test]
fn a_log_that_is_not_new_is_not_measured() {
    let database = postgres::server().database();
    let sizes = ["http", "--sandboxes", "2", "--drafts", "1", "--clients", "1"];
    let short = ["--seconds", "0.1", "--fleet-seconds", "0", "--calls", "heartbeat"];
    let all = [&sizes[..], &short, &["--store", database.url()]].concat();
    let found = bench(&all);
    let calls: Vec<_> = found["rows"].as_array().unwrap().iter().map(|row| &row["call"]).collect();
    assert_eq!(calls, ["live", "heartbeat"], "the reference is always there: {found}");
    let mut again = Command::new(env!("CARGO_BIN_EXE_specline"));
    let again = again.arg("bench").args(all).env_remove("SPECLINE_STORE").output().unwrap();
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(!again.status.success() && said.contains("holds events already"), "{said}");
}
