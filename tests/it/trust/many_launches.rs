//! Many launches of a repository that git cannot read through: each is told so or told to come
//! again, and the rest of the server works meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::special_files::pipe;
use crate::support::{DEADLINE, Project, wait_for};

/// More than there are threads that may block.
const LAUNCHES: usize = 600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn launches_that_hang_stop_nothing_else() {
    let project = Project::new();
    pipe(&project.repo().join(".git/info/exclude"));
    let running = project.start(project.command(&["serve"]));
    let file = wait_for("an engine that serves", || {
        let said = running.stderr();
        let (_, rest) = said.split_once("the operator's token is in ")?;
        rest.split_once('\n').map(|(path, _)| path.to_owned())
    });
    let file: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let url = file["api_url"].as_str().unwrap().to_owned();
    let token = file["operator_token"].as_str().unwrap().to_owned();
    let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
    let mut launches = tokio::task::JoinSet::new();
    for n in 0..LAUNCHES {
        let title = format!("Limit {n}");
        let draft = json!({ "title": title, "description": "It.", "repository": project.repo() });
        let launch = client.post(format!("{url}/api/v1/specs/launch")).bearer_auth(&token);
        let launch = launch.json(&draft).send();
        launches.spawn(async move { launch.await.map(|answer| answer.status().as_u16()) });
    }
    tokio::task::block_in_place(|| {
        project.log_when("every launch to be drafted", |log| log.count("SpecDrafted") == LAUNCHES);
    });
    for path in ["/health/ready", "/api/v1/audit/events?order=desc&limit=5", "/api/v1/specs"] {
        let get = client.get(format!("{url}{path}")).bearer_auth(&token);
        let answer = get.timeout(Duration::from_secs(20)).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        assert_eq!(answer.status(), 200, "{path}");
    }
    let mut statuses = BTreeMap::<u16, usize>::new();
    while let Some(launch) = launches.join_next().await {
        *statuses.entry(launch.unwrap().unwrap()).or_default() += 1;
    }
    assert!(statuses.keys().all(|status| [422, 503].contains(status)), "{statuses:?}");
    assert!(statuses.len() == 2, "both kinds of answer are given: {statuses:?}");
    let shown = client.get(format!("{url}/api/v1/audit/events")).bearer_auth(&token).send().await;
    assert_eq!(shown.unwrap().status(), 200);
}
