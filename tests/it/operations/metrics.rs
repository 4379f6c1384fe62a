//! `/metrics`: as Prometheus's own linter asks for, and with numbers that move.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use specline_aggregates::Policy;
use uuid::Uuid;

use super::Serving;
use crate::support::{Agent, Lab, Project, Start, wait_for};

/// A sample's name and labels, and its value.
type Samples = BTreeMap<String, f64>;

/// Reads the text, and fails on whatever `promtool check metrics` would object to.
fn read(text: &str) -> Samples {
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut samples = Samples::new();
    let mut last = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(helped.insert(name) && help.ends_with('.'), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(helped.contains(name) && types.insert(name, kind).is_none(), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(name.starts_with("specline_"), "{line}");
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            assert!(name.bytes().all(plain), "{line}");
            for unit in ["_ms", "_milliseconds", "_minutes"] {
                assert!(!name.contains(unit), "base units only: {line}");
            }
            last = name;
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let parts = ["_bucket", "_sum", "_count"];
            let family = match types.get(last) {
                Some(&"histogram") => {
                    parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name)
                }
                _ => name,
            };
            assert_eq!(family, last, "samples stand under their own type: {line}");
            let value: f64 = value.parse().unwrap();
            assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    assert!(types.len() > 15, "{types:?}");
    buckets_rise(&samples);
    samples
}

/// Each histogram's last bucket holds all, and none holds less than the one before.
fn buckets_rise(samples: &Samples) {
    let mut n_histograms = 0;
    for (series, all) in samples.iter().filter(|(series, _)| series.contains("le=\"+Inf\"")) {
        let count = series.replace("_bucket", "_count").replace("le=\"+Inf\"", "");
        let count = count.replace(",}", "}").replace("{}", "");
        assert_eq!(samples.get(&count), Some(all), "{count}");
        let (before, _) = series.split_once("le=").unwrap();
        let mut own: Vec<(f64, f64)> = samples
            .iter()
            .filter_map(|(name, value)| {
                let bound = name.strip_prefix(before)?.strip_prefix("le=\"")?;
                let bound = bound.trim_end_matches("\"}").replace("+Inf", "inf");
                Some((bound.parse().ok()?, *value))
            })
            .collect();
        own.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(own.len() > 5 && own.is_sorted_by(|a, b| a.1 <= b.1), "{series}: {own:?}");
        n_histograms += 1;
    }
    assert!(n_histograms > 0);
}

fn value(samples: &Samples, series: &str) -> f64 {
    *samples.get(series).unwrap_or_else(|| panic!("{series} is not among {samples:#?}"))
}

#[test]
fn a_whole_run_moves_the_numbers_and_no_label_has_an_id() {
    let project = Project::new();
    let serving = Serving::start(&project, &[]);
    let before = read(&serving.get("/metrics").1);
    assert!(!before.keys().any(|series| series.starts_with("specline_attempts_total")));
    assert_eq!(project.run(&[]).code(), 0);
    let lag = "specline_projection_lag_events{model=\"spec_board\"}";
    let text = wait_for("the read models to be at the log's end", || {
        let (status, text) = serving.get("/metrics");
        assert_eq!(status, 200);
        (value(&read(&text), lag) < 0.5).then_some(text)
    });
    let after = read(&text);
    let is = |series: &str, wanted: f64| {
        let found = value(&after, series);
        assert!((found - wanted).abs() < 1e-9, "{series}: {found}, not {wanted}");
    };
    is("specline_specs_ended_total{outcome=\"completed\"}", 1.0);
    for phase in ["explore", "requirements", "design", "tasks", "sync"] {
        is(&format!("specline_attempts_total{{phase=\"{phase}\"}}"), 1.0);
        is(&format!("specline_phase_duration_seconds_count{{phase=\"{phase}\"}}"), 1.0);
        is(&format!("specline_attempt_duration_seconds_count{{phase=\"{phase}\"}}"), 1.0);
        let verdicts = "specline_gate_verdicts_total";
        is(&format!("{verdicts}{{phase=\"{phase}\",evaluator=\"gate\",result=\"passed\"}}"), 1.0);
    }
    is("specline_gate_rule_results_total{rule=\"explore.paths_exist\",result=\"passed\"}", 1.0);
    is("specline_sandboxes_requested_total", 1.0);
    is("specline_projection_up{model=\"spec_board\"}", 1.0);
    assert!(value(&after, "specline_log_batch_writes_count") > 5.0);
    assert!(value(&after, "specline_log_events_appended_total{aggregate=\"Spec\"}") > 20.0);
    let commands =
        "specline_command_duration_seconds_count{aggregate=\"Spec\",outcome=\"written\"}";
    assert!(value(&after, commands) > 10.0);
    assert!(
        value(&after, "specline_duty_duration_seconds_count{kind=\"spawn\",outcome=\"done\"}")
            > 0.5
    );
    let scraped = "specline_http_requests_total{method=\"GET\",route=\"/metrics\",status=\"200\"}";
    assert!(value(&after, scraped) > 0.5);
    let spec = project.spec();
    assert!(!text.contains(&spec), "an id in a label has no bound");
    let has_uuid = text.split(['"', '/']).any(|part| Uuid::parse_str(part).is_ok());
    assert!(!has_uuid, "{text}");
    assert!(text.lines().count() < 3_000);
}

#[test]
fn nobody_unknown_sees_them() {
    let project = Project::new();
    let serving = Serving::start(&project, &[]);
    assert_eq!(serving.try_get("/metrics", None).unwrap().0, 401);
    assert_eq!(serving.try_get("/metrics", Some("wrong")).unwrap().0, 401);
    assert_eq!(serving.try_get("/no/such/route", Some(&serving.token)).unwrap().0, 404);
    let text = serving.get("/metrics").1;
    assert!(!text.contains("no/such"), "a path is no label");
    let samples = read(&text);
    let refused = "specline_http_requests_total{method=\"GET\",route=\"/metrics\",status=\"401\"}";
    assert!((value(&samples, refused) - 2.0).abs() < 1e-9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_cost_failures_and_live_sandboxes_are_counted() {
    let lab = Lab::new(Start::Nothing).await;
    let spec = lab.execute(Policy::default()).await;
    let sandbox = lab.spawned(1).await;
    let work = lab.attach(&sandbox, Uuid::now_v7()).await.body;
    let mut bad = Agent::answer("explore");
    bad["explored_files"] = json!(["no/such/file.ts"]);
    let body = json!({
        "phase": work["phase"],
        "attempt": work["attempt"],
        "context_digest": work["context_digest"],
        "output": bad,
        "usage": { "input_tokens": 7, "output_tokens": 5, "cost_micro_usd": 1_250_000 },
    });
    assert_eq!(lab.call(&sandbox, "/output", &body).await.status, 200);
    lab.until_n(spec, "AttemptFailed", 1).await;
    let samples = read(&lab.engine.measure().await.unwrap());
    for (series, wanted) in [
        ("specline_agent_tokens_total{phase=\"explore\",kind=\"input\"}", 7.0),
        ("specline_agent_tokens_total{phase=\"explore\",kind=\"output\"}", 5.0),
        ("specline_agent_cost_usd_total{phase=\"explore\"}", 1.25),
        ("specline_attempt_failures_total{phase=\"explore\",kind=\"gate\"}", 1.0),
        ("specline_gate_rule_results_total{rule=\"explore.paths_exist\",result=\"failed\"}", 1.0),
        ("specline_sandboxes{state=\"running\"}", 1.0),
    ] {
        let found = value(&samples, series);
        assert!((found - wanted).abs() < 1e-9, "{series}: {found}, not {wanted}");
    }
}
