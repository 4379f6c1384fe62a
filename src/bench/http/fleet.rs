//! The sandboxes: all attach, and then each says from time to time that it lives, on a connection
//! of its own that it keeps, as a worker does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::Serialize;
use specline_aggregates::InstanceId;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use super::client::{Ask, Client, read};
use super::report::{Cost, Meter};
use super::site::Site;
use super::waiting::Started;
use crate::bench::failed;
use crate::bench::measure::{percentile_ms, rate, to_f64};
use crate::cli::Failure;
use crate::protocol::{Assignment, Attach, HeartbeatAnswer, HeartbeatReport, Orders, Work};

/// Sandboxes that attach at a time.
const ATTACHING: usize = 16;

/// One attached sandbox, and what it is to do.
pub(super) struct Member {
    pub id: String,
    pub spec: Uuid,
    pub token: String,
    pub work: Work,
}

impl Member {
    pub(super) fn path(&self, call: &str) -> String {
        format!("/api/v1/sandboxes/{}/{call}", self.id)
    }
}

/// Attaches `sandboxes`, each as soon as the server has started it.
pub(super) async fn attach(site: &Site, sandboxes: usize) -> Result<Vec<Member>, Failure> {
    let left = AtomicUsize::new(sandboxes);
    let callers = (0..ATTACHING.min(sandboxes)).map(|_| attach_some(site, &left));
    let attached = futures_util::future::try_join_all(callers).await?;
    Ok(attached.into_iter().flatten().collect())
}

async fn attach_some(site: &Site, left: &AtomicUsize) -> Result<Vec<Member>, Failure> {
    let client = site.client()?;
    let mut members = Vec::new();
    let less = |left: usize| left.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
        let Started { sandbox, spec, epoch, token } = site.next_started().await?;
        let attach = Attach {
            epoch,
            instance: InstanceId::new(Uuid::now_v7()),
            worker_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let id = sandbox.to_string();
        let path = format!("/api/v1/sandboxes/{id}/attach");
        let (text, _) = client.send(Ask::post(path, &token, &attach)?).await?;
        let Assignment::Work(work) = read(&text)? else {
            return Err(failed("a sandbox got nothing to do", text));
        };
        members.push(Member { id, spec, token, work: lean(*work) });
    }
    Ok(members)
}

/// Only what an answer must name: thousands of prompts are many megabytes.
pub(super) fn lean(work: Work) -> Work {
    let (context, output_schema) = (serde_json::Value::Null, serde_json::Value::Null);
    Work { context, output_schema, system_prompt: String::new(), prompt: String::new(), ..work }
}

/// What a fleet that only lives costs.
#[derive(Serialize)]
pub(super) struct Beats {
    sandboxes: usize,
    connections: usize,
    every_s: f64,
    watched_s: f64,
    heard: usize,
    heard_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    #[serde(flatten)]
    cost: Cost,
}

impl Beats {
    pub(super) fn line(&self) -> String {
        format!(
            "{} sandboxes, a heartbeat every {} s for {:.0} s: {:.0}/s, p50 {} ms, p99 {} ms; {}",
            self.sandboxes,
            self.every_s,
            self.watched_s,
            self.heard_per_s,
            self.p50_ms,
            self.p99_ms,
            self.cost.line(),
        )
    }
}

/// When they beat, and from when on it counts.
#[derive(Clone, Copy)]
struct Plan {
    every: Duration,
    counts_from: Instant,
    end: Instant,
}

/// All beat every `every`, evenly spread; the first round opens the connections and does not count.
pub(super) async fn watch(
    site: &Site,
    fleet: &[Member],
    (every, watched): (Duration, Duration),
) -> Result<Beats, Failure> {
    let begun = Instant::now();
    let counts_from = begun + every;
    let plan = Plan { every, counts_from, end: counts_from + watched };
    let mut tasks = JoinSet::new();
    for (n, member) in fleet.iter().enumerate() {
        let part = to_f64(n as u64) / to_f64(fleet.len() as u64);
        let first = begun + every.mul_f64(part);
        let (client, token) = (site.client()?, Arc::<str>::from(member.token.as_str()));
        tasks.spawn(beat(client, (member.path("heartbeat"), token), first, plan));
    }
    tokio::time::sleep_until(plan.counts_from).await;
    let meter = Meter::start(site.process());
    tokio::time::sleep_until(plan.end).await;
    let cost = meter.read();
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done.map_err(|error| failed("a sandbox", error))??);
    }
    Ok(Beats {
        sandboxes: fleet.len(),
        connections: fleet.len(),
        every_s: every.as_secs_f64(),
        watched_s: watched.as_secs_f64(),
        heard: times.len(),
        heard_per_s: rate(times.len() as u64, watched),
        p50_ms: percentile_ms(&mut times, 0.5),
        p99_ms: percentile_ms(&mut times, 0.99),
        cost,
    })
}

async fn beat(
    client: Client,
    (path, token): (String, Arc<str>),
    first: Instant,
    plan: Plan,
) -> Result<Vec<Duration>, Failure> {
    let mut times = Vec::new();
    let mut due = first;
    while due < plan.end {
        tokio::time::sleep_until(due).await;
        let took = say_alive(&client, path.clone(), &token).await?;
        if due >= plan.counts_from {
            // From when it was due: a late client is no excuse for a slow answer.
            times.push(took.max(due.elapsed()));
        }
        due += plan.every;
    }
    Ok(times)
}

/// One heartbeat, which must find the sandbox still wanted.
pub(super) async fn say_alive(
    client: &Client,
    path: String,
    token: &str,
) -> Result<Duration, Failure> {
    let report = HeartbeatReport { progressed: true, ..HeartbeatReport::default() };
    let (text, took) = client.send(Ask::post(path, token, &report)?).await?;
    let answer: HeartbeatAnswer = read(&text)?;
    if answer.orders == Orders::GoOn {
        return Ok(took);
    }
    Err(failed("a sandbox is told to stop", text))
}
