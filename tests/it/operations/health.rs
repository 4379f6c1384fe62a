//! `/health/ready` says no when the log cannot be written or a duty has ended, and why to those who
//! may know.

use rusqlite::Connection;
use serde_json::Value;
use specline::engine::ReadyBounds;

use super::Serving;
use crate::support::{Lab, Project, Start, wait_for};

fn checks(text: &str) -> Vec<(String, bool)> {
    let answer: Value = serde_json::from_str(text).unwrap();
    let all = answer["checks"].as_array().unwrap().iter();
    all.map(|check| (check["name"].as_str().unwrap().to_owned(), check["ok"].as_bool().unwrap()))
        .collect()
}

#[test]
fn causes_are_for_those_who_are_known() {
    let project = Project::new();
    let serving = Serving::start(&project, &[]);
    let (status, text) = serving.try_get("/health/ready", None).unwrap();
    assert_eq!((status, text.as_str()), (200, "{\"status\":\"ok\"}"));
    let (_, text) = serving.try_get("/health/ready", Some("wrong")).unwrap();
    assert!(!text.contains("checks"), "{text}");
    let known = checks(&serving.get("/health/ready").1);
    for name in ["engine", "log", "read model spec_board", "duty projector", "duty clockwork"] {
        assert!(known.contains(&(name.to_owned(), true)), "{name}: {known:?}");
    }
    assert_eq!(serving.try_get("/health/live", None).unwrap().0, 200);
}

#[test]
fn a_log_that_cannot_be_written_is_not_ready_and_then_is_again() {
    let project = Project::new();
    let serving = Serving::start(&project, &[]);
    let path = project.repo().join(".specline/log.db");
    let other = Connection::open(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    wait_for("the engine to see that it cannot write", || {
        let (status, text) = serving.get("/health/ready");
        (status == 503 && checks(&text).contains(&("log".to_owned(), false))).then_some(())
    });
    assert_eq!(serving.try_get("/health/live", None).unwrap().0, 200, "it lives all the same");
    other.execute_batch("ROLLBACK").unwrap();
    wait_for("the engine to be ready again", || {
        (serving.get("/health/ready").0 == 200).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duties_that_have_ended_are_noticed() {
    let lab = Lab::new(Start::Nothing).await;
    let all = lab.engine.checks(&ReadyBounds::default()).await;
    assert!(all.iter().all(|check| check.ok), "{all:?}");
    lab.engine.stop(specline::engine::Leave::Sandboxes).await.unwrap();
    let all = lab.engine.checks(&ReadyBounds::default()).await;
    for name in ["engine", "duty projector", "duty clockwork", "duty watchdog"] {
        let check = all.iter().find(|check| check.name == name).unwrap();
        assert!(!check.ok && !check.detail.is_empty(), "{check:?}");
    }
    let log = all.iter().find(|check| check.name == "log").unwrap();
    assert!(log.ok, "{log:?}");
}

/// A model that stands still is behind by as much as is appended: the bound says when that counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bounds_are_those_that_were_set() {
    let lab = Lab::new(Start::Nothing).await;
    lab.engine.stop(specline::engine::Leave::Sandboxes).await.unwrap();
    let asked = specline::engine::Asked::by("ann".to_owned());
    for n in 0..3 {
        let grant = specline_aggregates::access_key::Grant {
            name: format!("key {n}"),
            scopes: [specline_aggregates::access_key::Scope::Reader].into(),
            project: None,
            expires_at: None,
        };
        lab.engine.create_access_key(grant, &asked).await.unwrap();
    }
    for (max_lag_events, ok) in [(2, false), (3, true)] {
        let bounds = ReadyBounds { max_lag_events, ..ReadyBounds::default() };
        let all = lab.engine.checks(&bounds).await;
        let models = all.iter().filter(|check| check.name.starts_with("read model"));
        let models: Vec<_> = models.collect();
        assert!(!models.is_empty() && models.iter().all(|check| check.ok == ok), "{models:?}");
    }
}
