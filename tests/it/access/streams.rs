//! A stream of events is open only for as long as its caller may read, and there are so many.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use specline::http::Access;

use super::{Caller, Made, told};
use crate::support::{Cluster, Lab, Start};

/// A stream ends so soon after its key was revoked.
const BOUND: Duration = Duration::from_secs(2);

const PATH: &str = "/api/v1/events/stream?after=0";

/// An open stream.
struct Stream {
    answer: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(url: &str, key: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.get(url).bearer_auth(key).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        Self { answer, text: String::new() }
    }

    /// Reads until `word` has come.
    async fn until(&mut self, word: &str) {
        while !self.text.contains(word) {
            let chunk = tokio::time::timeout(crate::support::DEADLINE, self.answer.chunk()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("no {word:?} in {}", self.text));
            let chunk = chunk.unwrap().unwrap_or_else(|| panic!("no {word:?} in {}", self.text));
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Reads to the end; what the last event says.
    async fn end(mut self) -> Value {
        self.until("event: end\n").await;
        let rest = tokio::time::timeout(BOUND, async {
            while let Some(chunk) = self.answer.chunk().await.unwrap() {
                self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        });
        rest.await.expect("nothing comes behind the end");
        let (_, last) = self.text.rsplit_once("event: end\ndata: ").unwrap();
        serde_json::from_str(last.trim_end()).unwrap()
    }
}

async fn opened(caller: &Caller, key: &Made) -> Stream {
    Stream::open(&format!("{}{PATH}", caller.base), &key.key).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_its_key_is_revoked() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let (key, other) = (caller.key_with("reader").await, caller.key_with("reader").await);
    let mut quiet = opened(&caller, &key).await;
    let mut stays = opened(&caller, &other).await;
    quiet.until("AccessKeyCreated").await;
    stays.until("AccessKeyCreated").await;
    caller.revoke(&key).await;
    let revoked = Instant::now();
    let end = quiet.end().await;
    assert!(revoked.elapsed() <= BOUND, "{:?}", revoked.elapsed());
    assert_eq!(end, json!({ "code": "unauthorized", "detail": "the key was revoked" }));
    assert_eq!(caller.get(PATH, &key.key).await.status, 401, "it does not come back");
    let third = caller.key_with("reader").await;
    stays.until(&third.id).await;
}

/// Where events come without a pause, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_stream_of_a_revoked_key_ends() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let key = caller.key_with("reader").await;
    let stream = opened(&caller, &key).await;
    caller.revoke(&key).await;
    let revoked = Instant::now();
    let more = async {
        loop {
            caller.key_with("reader").await;
        }
    };
    let end = tokio::select! { end = stream.end() => end, () = more => unreachable!() };
    assert!(revoked.elapsed() <= BOUND, "{:?}", revoked.elapsed());
    assert_eq!(end["code"], "unauthorized");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_its_key_expires() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let soon = lab.engine.now().await.unwrap().plus_ms(1_500);
    let key = json!({ "name": "short", "scopes": ["reader"], "expires_at": soon });
    let key = caller.key(&key).await;
    let started = Instant::now();
    let end = opened(&caller, &key).await.end().await;
    assert_eq!(end["detail"], "the key has expired");
    assert!(started.elapsed() <= BOUND + Duration::from_millis(1_500), "{:?}", started.elapsed());
}

#[test]
fn a_stream_of_another_node_ends_too() {
    let cluster = Cluster::new();
    let (one, two) = (cluster.node(), cluster.node());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for n in 0..3 {
        let body = json!({ "name": format!("board {n}"), "scopes": ["reader"] });
        let made = cluster.post(&one, "/keys", &body, None).unwrap();
        let key = made.body["key"].as_str().unwrap();
        let stream = runtime.block_on(Stream::open(&two.url("/events/stream"), key));
        let path = format!("/keys/{}/revoke", made.body["id"].as_str().unwrap());
        assert_eq!(cluster.post(&one, &path, &json!({}), None).unwrap().status, 200);
        let revoked = Instant::now();
        let end = runtime.block_on(stream.end());
        assert!(revoked.elapsed() <= BOUND, "{:?}", revoked.elapsed());
        assert_eq!(end["detail"], "the key was revoked");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_stream_too_many_has_to_come_back() {
    let lab = Lab::with(Start::Nothing, Access { streams: 3, ..Access::default() }).await;
    let caller = Caller::of(&lab);
    let key = caller.key_with("reader").await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(opened(&caller, &key).await);
    }
    let refused = caller.get(PATH, &key.key).await;
    assert_eq!((refused.status, refused.code()), (503, "too_many_streams"), "{refused:?}");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    for stream in &mut open {
        stream.until("AccessKeyCreated").await;
    }
    assert_eq!(caller.get("/api/v1/specs", &key.key).await.status, 200, "only streams are full");
    open.pop();
    lab.eventually("a place to be free", async || {
        let request = caller.request("GET", PATH, Some(&key.key));
        (told(request).await.status == 200).then_some(())
    })
    .await;
}
