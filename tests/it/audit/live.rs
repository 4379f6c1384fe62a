//! The live stream: nothing is lost or repeated, however often a client is cut off.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::served::Served;
use super::world::{append, event, stream};
use crate::support::postgres::server;
use crate::support::{DEADLINE, Random, times};

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(DEADLINE, future).await;
    waited.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_a_hundred_times_sees_each_event_once() {
    let served = Served::new().await;
    let mut random = Random::new();
    let total = u64::from(times(1_500, 10_000));
    let (one, other) = (stream("Spec"), stream("Spec"));
    let log = Arc::clone(&served.log);
    let (one_id, writer_one) = (one.aggregate_id, one.clone());
    let writer = tokio::spawn(async move {
        for n in 0..total {
            let stream = if n % 3 == 0 { &other } else { &writer_one };
            append(&*log, stream, vec![event("Noted", "ann", &[])]).await;
        }
    });
    for path in ["/events/stream".to_owned(), format!("/events/stream?aggregate={one_id}")] {
        let filtered = path.contains('?');
        let wanted: Vec<u64> =
            (0..total).filter(|n| !filtered || n % 3 != 0).map(|n| n + 1).collect();
        let (mut seen, mut cuts) = (Vec::new(), 0);
        while seen.len() < wanted.len() {
            let last = seen.last().copied().unwrap_or(0);
            let mut client = served.listen(&path, Some(last)).await;
            let left = wanted.len() - seen.len();
            // The first hundred times it goes away after a few.
            let most = wanted.len() as u64 / 110 + 1;
            let count = if cuts < 100 { 1 + random.below(most) } else { u64::MAX };
            for _ in 0..count.min(left as u64) {
                let (id, data) = in_time("an event", client.event()).await.unwrap();
                assert_eq!(data["position"], json!(id));
                seen.push(id);
            }
            cuts += 1;
        }
        assert!(cuts >= 100, "{cuts}");
        assert_eq!(seen, wanted);
    }
    writer.await.unwrap();
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_is_cut_off_and_resumes() {
    let served = Served::new().await;
    let stream = stream("Spec");
    let mut slow = served.listen("/events/stream?after=0", None).await;
    append(&*served.log, &stream, vec![event("Noted", "ann", &[])]).await;
    assert_eq!(in_time("the first", slow.event()).await.unwrap().0, 1);
    // Far more than a socket and a queue hold.
    let mut big = event("Noted", "ann", &[]);
    big.payload = json!({ "Noted": { "text": "x".repeat(40_000) } }).to_string();
    let n = 1_000;
    for _ in 0..n / 10 {
        append(&*served.log, &stream, vec![big.clone(); 10]).await;
    }
    let mut seen = BTreeSet::from([1]);
    while let Some((id, _)) = in_time("the end of the stream", slow.event()).await {
        assert!(seen.insert(id), "{id} came twice");
    }
    let last = *seen.last().unwrap();
    assert!(last < n + 1, "it was not cut off");
    assert_eq!(last, seen.len() as u64, "what it got has no gap");
    let mut again = served.listen("/events/stream", Some(last)).await;
    while seen.len() as u64 <= n {
        let (id, _) = in_time("the rest", again.event()).await.unwrap();
        assert!(seen.insert(id), "{id} came twice");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_hold_for_what_was_missed_and_what_comes() {
    let served = Served::new().await;
    let (mine, other) = (stream("Spec"), stream("Task"));
    let project = ("project_id", "p1".to_owned());
    let write = async || {
        append(&*served.log, &mine, vec![event("Noted", "ann", &[])]).await;
        append(&*served.log, &other, vec![event("Moved", "bob", std::slice::from_ref(&project))])
            .await;
    };
    write().await;
    let id = mine.aggregate_id;
    let wanted = [
        (format!("aggregate={id}"), [1, 3]),
        ("actor=bob&type=Moved".to_owned(), [2, 4]),
        ("project=p1".to_owned(), [2, 4]),
        ("aggregate_type=Spec&from=2020-01-01T00:00:00Z".to_owned(), [1, 3]),
    ];
    let mut clients = Vec::new();
    for (query, positions) in &wanted {
        let mut client = served.listen(&format!("/events/stream?after=0&{query}"), None).await;
        assert_eq!(in_time(query, client.event()).await.unwrap().0, positions[0]);
        clients.push(client);
    }
    write().await;
    for (mut client, (query, positions)) in clients.into_iter().zip(&wanted) {
        assert_eq!(in_time(query, client.event()).await.unwrap().0, positions[1]);
    }
    served.stop().await;
}

/// Nodes that share a log: what one appends, the clients of the other see.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_one_node_see_what_another_appends() {
    let database = server().database();
    let (one, other) = (Served::node(database.url()).await, Served::node(database.url()).await);
    let mut clients = [
        one.listen("/events/stream", Some(0)).await,
        other.listen("/events/stream", Some(0)).await,
    ];
    let stream = stream("Spec");
    for n in 1..=60 {
        let log = if n % 2 == 0 { &one.log } else { &other.log };
        append(&**log, &stream, vec![event("Noted", "ann", &[])]).await;
    }
    for client in &mut clients {
        for n in 1..=60 {
            assert_eq!(in_time("an event", client.event()).await.unwrap().0, n);
        }
    }
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_stream_has_heartbeats_and_ends_with_the_engine() {
    let served = Served::new().await;
    let mut client = served.listen("/events/stream?heartbeat=1", None).await;
    assert_eq!(client.block().await.unwrap(), "retry: 1000\n\n");
    let alive = in_time("a heartbeat", client.block()).await.unwrap();
    assert_eq!(alive, ": alive\n\n");
    served.stop().await;
    let ended = tokio::time::timeout(Duration::from_secs(10), async {
        while client.block().await.is_some() {}
    });
    ended.await.expect("the stream ends with its engine");
}
