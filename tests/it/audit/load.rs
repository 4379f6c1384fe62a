//! Many clients of the live stream at once, each filtered to one spec, in a process of their own;
//! beside them one that is cut off a hundred times. In full under `SPECLINE_SOAK=1`: 1,000 clients,
//! 100 specs, 500 events a second.

#![expect(clippy::print_stdout, reason = "the two processes speak by it")]

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::json;
use specline::store::{NewEvent, StreamId};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::served::{Listening, Served};
use super::world::{append, event, stream};
use crate::support::{DEADLINE, Random, times};

const SPECS: usize = 100;
const PER_SECOND: u32 = 500;
const CUTS: u64 = 100;

/// What the issue asks for, where the machine does nothing else.
const P99: Duration = Duration::from_millis(250);

/// Makes this test the process of the clients.
const PLAN: &str = "SPECLINE_TEST_CLIENTS";

/// Stand before what the clients' process says.
const READY: &str = "clients are ready";
const RESULT: &str = "clients have seen ";

/// What the clients do.
#[derive(Serialize, Deserialize)]
struct Plan {
    url: String,
    token: String,
    aggregates: Vec<Uuid>,
    n_clients: usize,
    /// Events in all, each on the next aggregate.
    total: usize,
    seed: u64,
}

/// What they have seen.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    deliveries: usize,
    p50_us: u64,
    p99_us: u64,
    max_us: u64,
    cuts: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivery_is_quick_to_many_clients() {
    if let Ok(plan) = std::env::var(PLAN) {
        return clients(serde_json::from_str(&plan).unwrap()).await;
    }
    let served = Arc::new(Served::new().await);
    let streams: Vec<_> = (0..SPECS).map(|_| stream("Spec")).collect();
    let total = (PER_SECOND * times(2, 20)) as usize;
    let plan = Plan {
        url: served.engine.api_url().to_owned(),
        token: served.engine.operator_token(),
        aggregates: streams.iter().map(|stream| stream.aggregate_id).collect(),
        n_clients: times(50, 1_000) as usize,
        total,
        seed: Random::new().below(u64::MAX),
    };
    let mut others = Others::start(&plan);
    others.line(READY).await;
    let writers: Vec<_> = streams.iter().map(|stream| writer(&served, stream.clone())).collect();
    let mut pace = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    for n in 0..total {
        pace.tick().await;
        let mut noted = event("Noted", "ann", &[]);
        noted.payload = json!({ "Noted": { "at": now_us() } }).to_string();
        writers[n % SPECS].send(noted).unwrap();
    }
    let seen: Seen = serde_json::from_str(&others.line(RESULT).await).unwrap();
    println!("{} clients, {total} events at {PER_SECOND}/s: {seen:?}", plan.n_clients);
    assert_eq!(seen.deliveries, plan.n_clients * total / SPECS);
    assert!(seen.cuts >= CUTS, "{seen:?}");
    if plan.n_clients == 1_000 {
        assert!(Duration::from_micros(seen.p99_us) <= P99, "{seen:?}");
    }
}

/// The process of the clients.
struct Others {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Others {
    fn start(plan: &Plan) -> Self {
        let this = "audit::load::delivery_is_quick_to_many_clients";
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", this, "--nocapture"]);
        command.env(PLAN, serde_json::to_string(plan).unwrap());
        command.stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { lines, _child: child }
    }

    /// The rest of the next line that begins so.
    async fn line(&mut self, begin: &str) -> String {
        let found = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                // The test runner's own words may stand before it.
                if let Some((_, rest)) = line.split_once(begin) {
                    return rest.to_owned();
                }
            }
            panic!("the clients have ended without: {begin}");
        };
        tokio::time::timeout(DEADLINE, found).await.expect("the clients answer")
    }
}

async fn clients(plan: Plan) {
    let plan = Arc::new(plan);
    let (ready, mut all_ready) = mpsc::unbounded_channel();
    let mut running = JoinSet::new();
    for n in 0..plan.n_clients {
        running.spawn(one(Arc::clone(&plan), n, ready.clone()));
    }
    let cut_off = tokio::spawn(cut_off(Arc::clone(&plan)));
    for _ in 0..plan.n_clients {
        all_ready.recv().await.unwrap();
    }
    println!("{READY}");
    let mut took: Vec<u64> = running.join_all().await.into_iter().flatten().collect();
    let cuts = cut_off.await.unwrap();
    took.sort_unstable();
    let at = |share: usize| took[(took.len() * share / 1000).min(took.len() - 1)];
    let (p50_us, p99_us, max_us) = (at(500), at(990), at(1_000));
    let seen = Seen { deliveries: took.len(), p50_us, p99_us, max_us, cuts };
    println!("{RESULT}{}", serde_json::to_string(&seen).unwrap());
}

async fn listen(plan: &Plan, path: &str, last: Option<u64>) -> Listening {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.get(format!("{}/api/v1/events/stream{path}", plan.url));
    Listening::open(request.bearer_auth(&plan.token), last).await
}

/// One client, to the last of its events: how long each took, in microseconds.
async fn one(plan: Arc<Plan>, n: usize, ready: mpsc::UnboundedSender<()>) -> Vec<u64> {
    let aggregate = plan.aggregates[n % SPECS];
    let mut client = listen(&plan, &format!("?aggregate={aggregate}&heartbeat=60"), None).await;
    client.block().await.unwrap();
    ready.send(()).unwrap();
    let mut took = Vec::new();
    while took.len() < plan.total / SPECS {
        let (_, data) = client.event().await.expect("a client that keeps up is not cut off");
        assert_eq!(data["aggregate_id"], json!(aggregate));
        took.push(now_us().saturating_sub(data["payload"]["Noted"]["at"].as_u64().unwrap()));
    }
    took
}

/// Sees each event once, however often it goes away. How often that was.
async fn cut_off(plan: Arc<Plan>) -> u64 {
    let mut random = Random::seeded(plan.seed);
    let (mut last, mut cuts) = (0, 0);
    let most = plan.total as u64 / (CUTS + 10);
    while last < plan.total as u64 {
        let mut client = listen(&plan, "", Some(last)).await;
        let left = plan.total as u64 - last;
        for _ in 0..(1 + random.below(most)).min(left) {
            let (id, _) = client.event().await.expect("an event");
            assert_eq!(id, last + 1, "none is missing, and none comes twice");
            last = id;
        }
        cuts += 1;
    }
    cuts
}

/// Writes what it is given to one stream, one after the other.
fn writer(served: &Arc<Served>, stream: StreamId) -> mpsc::UnboundedSender<NewEvent> {
    let (queue, mut waiting) = mpsc::unbounded_channel();
    let log = Arc::clone(&served.log);
    tokio::spawn(async move {
        while let Some(event) = waiting.recv().await {
            append(&*log, &stream, vec![event]).await;
        }
    });
    queue
}

/// By the clock that both processes have.
fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_micros()).unwrap()
}
