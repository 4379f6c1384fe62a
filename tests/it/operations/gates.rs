//! `gates backtest` on a recorded run, on both stores: it derives every verdict again, says what a
//! changed gate would have said, and touches nothing.

use std::fs;

use rusqlite::Connection;
use serde_json::{Value, json};

use specline::store::StreamId;
use specline::store::chain::{Content, GENESIS, chain_hash};

use super::Serving;
use crate::support::{Agent, Project, postgres};

/// A run whose first attempt at explore names a file that is not there, and whose second has a
/// summary that is too short: 800 of 1000.
fn record(project: &Project) {
    let mut explored = Agent::answer("explore");
    explored["summary"] = json!("A link shortener.");
    fs::write(project.agent.path("answer.explore.json"), explored.to_string()).unwrap();
    let bad = "sed 's#\"src/config.ts\"#\"src/nothing.ts\"#g' \"$here/answer.$phase.json\"";
    project
        .agent
        .on("explore", &format!("if [ \"$attempt\" = 1 ]; then answer() {{ {bad}; }}; fi\n"));
    let policy = project.policy(&json!({ "backoff": { "first_ms": 10, "cap_ms": 10 } }));
    let said = project.run(&["--policy", &policy]);
    assert_eq!(said.code(), 0, "{said:?}");
}

fn backtest(project: &Project, args: &[&str]) -> Value {
    let said = project.ok(&[&["gates", "backtest", "--json"], args].concat());
    serde_json::from_str(&said.stdout).unwrap()
}

fn numbers(report: &Value) -> [u64; 3] {
    ["would_pass", "would_fail", "other_score"].map(|name| report[name].as_u64().unwrap())
}

fn says_what_would_be(project: &Project) {
    record(project);
    let log = project.ok(&["events", "--json"]).stdout;
    let unchanged = backtest(project, &[]);
    assert_eq!((&unchanged["verdicts"], &unchanged["derived"]), (&json!(6), &json!(6)));
    assert_eq!(unchanged["underivable"], json!([]));
    assert_eq!(numbers(&unchanged), [0, 0, 0]);

    let harder = backtest(project, &["--rule", "explore.summary=hard"]);
    assert_eq!(numbers(&harder), [0, 1, 1], "the first attempt fails all the same: {harder:#}");
    assert_eq!(harder["by_rule"], json!({ "explore.summary": 1 }));
    let different = &harder["different"][0];
    assert_eq!((&different["phase"], &different["attempt"]), (&json!("explore"), &json!(2)));
    assert_eq!(different["was"], json!({ "passed": true, "score": 800 }));
    // A hard rule weighs nothing, and all others passed.
    assert_eq!(different["would_be"], json!({ "passed": false, "score": 1000 }));
    let spec = project.spec();
    assert_eq!(harder["by_spec"][&spec]["would_fail"], 1, "{harder:#}");

    let higher = backtest(project, &["--threshold", "900"]);
    assert_eq!(numbers(&higher), [0, 1, 0], "{higher:#}");
    let softer = backtest(project, &["--rule", "explore.paths_exist=off"]);
    assert_eq!(numbers(&softer), [1, 0, 0], "{softer:#}");
    assert_eq!(softer["by_rule"], json!({ "explore.paths_exist": 1 }));
    let lighter = backtest(project, &["--rule", "explore.summary=off"]);
    assert_eq!(numbers(&lighter), [0, 0, 2], "both attempts had the short summary: {lighter:#}");
    let weighed = backtest(project, &["--rule", "explore.summary=soft:8", "--phase", "explore"]);
    assert_eq!(weighed["verdicts"], 2);
    assert_eq!(numbers(&weighed), [0, 1, 1], "8 of 16 is below 700: {weighed:#}");
    let none = backtest(project, &["--since", "2200-01-01T00:00:00Z", "--threshold", "1000"]);
    assert_eq!(none["verdicts"], 0);

    let shown = project.ok(&["gates", "backtest", "--rule", "explore.summary=hard"]).stdout;
    assert!(shown.contains("6 derived again") && shown.contains("1 would fail"), "{shown}");
    assert_eq!(project.ok(&["events", "--json"]).stdout, log, "nothing was touched");
}

#[test]
fn a_changed_gate_is_tried_on_a_log_in_sqlite() {
    says_what_would_be(&Project::new());
}

#[test]
fn a_changed_gate_is_tried_on_a_log_in_postgresql() {
    let database = postgres::server().database();
    says_what_would_be(&Project::on_store(database.url()));
}

/// Makes the hashes of all streams anew.
fn rechain(connection: &Connection) {
    let sql = "SELECT position, aggregate_type, aggregate_id, sequence, event_type, event_version,
                   payload, metadata FROM events ORDER BY aggregate_type, aggregate_id, sequence";
    let mut statement = connection.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    let (mut previous, mut hashes) = (GENESIS, Vec::new());
    while let Some(row) = rows.next().unwrap() {
        let text = |column: usize| row.get::<_, String>(column).unwrap();
        let sequence: i64 = row.get(3).unwrap();
        let [kind, version, payload, metadata] = [4, 5, 6, 7].map(text);
        let content = Content {
            event_type: &kind,
            event_version: &version,
            payload: &payload,
            metadata: &metadata,
        };
        let stream = StreamId { aggregate_type: text(1), aggregate_id: text(2).parse().unwrap() };
        let before = if sequence == 1 { GENESIS } else { previous };
        previous = chain_hash(&before, &stream, sequence.cast_unsigned(), content);
        hashes.push((row.get::<_, i64>(0).unwrap(), previous));
    }
    for (position, hash) in hashes {
        let sql = "UPDATE events SET hash = ?2 WHERE position = ?1";
        connection.execute(sql, (position, hash.as_bytes())).unwrap();
    }
}

#[test]
fn a_verdict_that_cannot_be_derived_is_named() {
    let project = Project::new();
    record(&project);
    let path = project.repo().join(".specline/log.db");
    let connection = Connection::open(path).unwrap();
    let mut triggers = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'events'")
        .unwrap();
    let names: Vec<String> =
        triggers.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    for name in &names {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    let sql = "UPDATE events SET payload = replace(payload, '\"score\":800', '\"score\":801')
               WHERE event_type = 'VerdictRecorded'
               AND payload LIKE '%\"passed\":true,\"score\":800%'";
    assert_eq!(connection.execute(sql, []).unwrap(), 1, "{names:?}");
    // What does not match its hash is not read at all: somebody made the chain fit.
    rechain(&connection);
    let said = project.specline(&["gates", "backtest", "--json"]);
    assert_eq!(said.code(), 1, "{said:?}");
    let report = said.json();
    assert_eq!((&report["derived"], &report["n_underivable"]), (&json!(5), &json!(1)));
    let why = report["underivable"][0]["why"].as_str().unwrap();
    assert!(why.contains("passed with 801") && why.contains("passed with 800"), "{why}");
}

#[test]
fn a_change_that_no_gate_could_be_is_refused() {
    let project = Project::new();
    for (rule, word) in [
        ("explore.sumary=off", "explore.summary"),
        ("sync.files=off", "sync"),
        ("explore.summary=maybe", "soft:WEIGHT"),
        ("explore.summary", "NAME=CHANGE"),
    ] {
        let said = project.specline(&["gates", "backtest", "--rule", rule]);
        assert_eq!(said.code(), 2, "{rule}: {said:?}");
        assert!(said.stderr.contains(word), "{rule}: {said:?}");
    }
    assert_eq!(project.specline(&["gates", "backtest", "--threshold", "1001"]).code(), 2);
}

#[test]
fn the_api_has_it_too() {
    let project = Project::new();
    record(&project);
    let serving = Serving::start(&project, &[]);
    let change = json!({ "rules": { "explore.summary": "hard" } });
    let (status, text) = serving.post("/api/v1/gates/backtest", &change);
    assert_eq!(status, 200, "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(numbers(&report), [0, 1, 1], "{report:#}");
    let (status, text) = serving.post("/api/v1/gates/backtest", &json!({ "threshold": 2_000 }));
    assert_eq!(status, 422, "{text}");
}
