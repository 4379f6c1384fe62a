//! `specline bench`, in small: its exit code and figures are the check, never its speed.

use std::process::Command;

use serde_json::Value;

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
