//! The routes under `/audit`, over HTTP: forms, cursors, traces, proofs.

use serde_json::{Value, json};

use super::served::Served;
use super::verifier;
use super::world::{append, event, stream};
use crate::support::{Lab, Start};

/// Five events, each caused by the one before, and one that is nobody's.
async fn chained(served: &Served) {
    let stream = stream("Spec");
    for n in 0..5_u64 {
        let mut words = vec![("correlation_id", "c1".to_owned())];
        if n > 0 {
            words.push(("causation_id", n.to_string()));
        }
        append(&*served.log, &stream, vec![event("Noted", "ann", &words)]).await;
    }
    append(&*served.log, &stream, vec![event("Moved", "=cmd|' /C calc'!A0", &[])]).await;
}

fn positions(list: &Value) -> Vec<u64> {
    list.as_array().unwrap().iter().map(|event| event["position"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_go_on_by_cursor_in_both_directions() {
    let served = Served::new().await;
    chained(&served).await;
    for (order, wanted) in [("asc", vec![1, 2, 3, 4, 5, 6]), ("desc", vec![6, 5, 4, 3, 2, 1])] {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/audit/events?order={order}&limit=4{after}");
            let (status, page) = served.json(&path).await;
            assert_eq!(status, 200, "{page}");
            found.extend(positions(&page["events"]));
            let Some(next) = page["next_cursor"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!(found, wanted);
    }
    let (_, moved) = served.json("/audit/events?type=Moved&from=2020-01-01T00:00:00Z").await;
    assert_eq!(positions(&moved["events"]), [6]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_another_log_or_a_broken_one_is_refused() {
    let (one, other) = (Served::new().await, Served::new().await);
    chained(&one).await;
    chained(&other).await;
    let (_, page) = one.json("/audit/events?limit=2").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let refused = async |served: &Served, cursor: &str| {
        let (status, problem) = served.json(&format!("/audit/events?after={cursor}")).await;
        assert_eq!((status, &problem["code"]), (422, &json!("invalid_cursor")), "{cursor}");
    };
    refused(&other, cursor).await;
    let (start, end) = cursor.split_at(cursor.len() / 2);
    let flipped = if end.starts_with('A') { "B" } else { "A" };
    refused(&one, &format!("{start}{flipped}{}", &end[1..])).await;
    for broken in [start, "AAAA", "-1", "%20", "99999999999999999999999"] {
        refused(&one, broken).await;
    }
    let (status, problem) = one.json("/audit/events?unknown=1").await;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_query")));
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_and_tables_say_the_same() {
    let served = Served::new().await;
    chained(&served).await;
    let get = async |accept: &str| {
        let request = served.get("/audit/events?limit=6").header("accept", accept);
        let answer = request.send().await.unwrap();
        let next = answer.headers().contains_key("specline-next-cursor");
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(kind.starts_with(accept), "{kind}");
        assert!(next, "a full page may have another behind it");
        answer.text().await.unwrap()
    };
    let lines = get("application/x-ndjson").await;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (_, page) = served.json("/audit/events?limit=6").await;
    assert_eq!(page["events"], Value::Array(lines));
    let table = get("text/csv").await;
    let rows: Vec<&str> = table.trim_end().split("\r\n").collect();
    assert_eq!(rows.len(), 7);
    assert!(rows[0].starts_with("position,recorded_at,aggregate_type,"));
    assert!(rows[6].starts_with("6,"), "{}", rows[6]);
    assert!(rows[6].contains(r#","'=cmd|' /C calc'!A0","#), "{}", rows[6]);
    assert!(rows[1].contains(r#""{""Noted"":{""text"":""said by ann""}}""#), "{}", rows[1]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_up_and_down() {
    let served = Served::new().await;
    chained(&served).await;
    let (status, trace) = served.json("/audit/events/3/trace").await;
    assert_eq!(status, 200, "{trace}");
    assert_eq!(trace["event"]["position"], 3);
    assert_eq!(positions(&trace["causes"]), [1, 2]);
    assert_eq!(positions(&trace["effects"]), [4, 5]);
    assert_eq!(trace["correlation_id"], "c1");
    assert_eq!(trace["truncated"], false);
    let (_, alone) = served.json("/audit/events/6/trace").await;
    assert_eq!((positions(&alone["causes"]), positions(&alone["effects"])), (vec![], vec![]));
    assert_eq!(served.json("/audit/events/7/trace").await.0, 404);
    assert_eq!(served.json("/audit/events/0/trace").await.0, 404);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seals_and_proofs_are_served() {
    let served = Served::new().await;
    chained(&served).await;
    let (status, problem) = served.json("/audit/proof/2").await;
    assert_eq!((status, &problem["code"]), (409, &json!("not_sealed")));
    let first = served.engine.seal().await.unwrap().unwrap();
    chained(&served).await;
    let second = served.engine.seal().await.unwrap().unwrap();
    let (_, seals) = served.json("/audit/seals").await;
    assert_eq!(seals["seals"][0]["root"], json!(first.root));
    assert_eq!(seals["seals"][1]["n"], json!(second.n));
    let (_, proof) = served.json("/audit/proof/2").await;
    assert!(verifier::includes(&proof, second.root.as_bytes()), "{proof}");
    let (_, older) = served.json(&format!("/audit/proof/2?size={}", first.n)).await;
    assert!(verifier::includes(&older, first.root.as_bytes()), "{older}");
    let both = format!("/audit/consistency?first={}&second={}", first.n, second.n);
    let (_, both) = served.json(&both).await;
    assert!(verifier::consistent(&both, first.root.as_bytes(), second.root.as_bytes()), "{both}");
    let (_, report) = served.json("/audit/verify").await;
    assert_eq!(report["ok"], true, "{report}");
    assert_eq!(report["seals"], 2, "{report}");
    assert!(report["events"].as_u64() >= Some(second.n), "{report}");
    served.stop().await;
}

/// The duty seals every half minute, and when the engine stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_stops_has_sealed_its_log() {
    let lab = Lab::new(Start::Nothing).await;
    lab.execute(specline_aggregates::Policy::default()).await;
    assert!(lab.engine.seals(0, 1).await.unwrap().is_empty());
    lab.engine.stop(specline::engine::Leave::Nothing).await.unwrap();
    let seals = lab.engine.seals(0, 10).await.unwrap();
    assert!(seals.last().unwrap().n >= 3, "{seals:?}");
}
