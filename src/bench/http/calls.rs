//! The calls that are measured, each alone, by a number of callers that wait for each answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::client::{Ask, Client};
use super::fleet::{Member, say_alive};
use super::outputs::Outputs;
use super::reads::{self, Reads};
use super::report::{Meter, Report, Row};
use super::site::Site;
use crate::bench::failed;
use crate::bench::measure::{percentile_ms, rate, rounded};
use crate::bench::workflow::step_result;
use crate::cli::Failure;
use crate::protocol::StepReport;

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Call {
    /// `GET /health/live`, the reference: it does nothing.
    Live,
    /// `POST /sandboxes/{id}/heartbeat`.
    Heartbeat,
    /// `POST /sandboxes/{id}/steps`, with a result of 500 bytes.
    Step,
    /// `POST /sandboxes/{id}/output`, of the first three phases, which pass their gates.
    Output,
    /// `POST /specs/{id}/execute`, with a snapshot of the repository.
    Execute,
    /// `GET /specs`, pages of 100.
    List,
    /// `GET /audit/events`, pages of 100, by one of five conditions in turn.
    Audit,
}

impl Call {
    pub(super) const ALL: [Self; 7] = [
        Self::Live,
        Self::Heartbeat,
        Self::Step,
        Self::Output,
        Self::Execute,
        Self::List,
        Self::Audit,
    ];
}

/// What all callers share.
struct Load {
    token: String,
    fleet: Vec<Member>,
    drafts: Vec<Uuid>,
    taken: AtomicUsize,
    steps: AtomicU32,
    turns: AtomicUsize,
    /// Calls that this stretch may still make of what can be called for once only.
    left: AtomicUsize,
    outputs: Outputs,
    reads: Reads,
}

/// Measures the reference, and each of `calls`, with each number of clients.
pub(super) async fn measure(
    site: &Site,
    fleet: Vec<Member>,
    (calls, clients, time): (&[Call], &[usize], Duration),
    report: &mut Report,
) -> Result<(), Failure> {
    let asks = |call| calls.contains(&call);
    let mut load = Arc::new(Load {
        token: site.token.clone(),
        fleet,
        drafts: site.drafts.clone(),
        taken: AtomicUsize::new(0),
        steps: AtomicU32::new(0),
        turns: AtomicUsize::new(0),
        left: AtomicUsize::new(0),
        outputs: Outputs::default(),
        reads: Reads::default(),
    });
    for call in Call::ALL.into_iter().filter(|call| asks(*call) || *call == Call::Live) {
        // No caller is left that shares it.
        if let Some(load) = Arc::get_mut(&mut load) {
            load.prepare(site, call).await?;
        }
        let share = load.stock(call) / clients.len().max(1);
        for &clients in clients {
            load.left.store(share, Ordering::Relaxed);
            reads::settle(site).await?;
            let row = measure_one(site, &load, (call, clients, time)).await?;
            let reference = report.reference(clients);
            let to_reference = reference.map(|reference| rounded(row.per_s / reference));
            report.rows.push(Row { to_reference, ..row });
        }
    }
    report.events = reads::settle(site).await?;
    Ok(())
}

async fn measure_one(
    site: &Site,
    load: &Arc<Load>,
    (call, clients, time): (Call, usize, Duration),
) -> Result<Row, Failure> {
    let mut callers = Vec::new();
    for _ in 0..clients {
        let client = site.client()?;
        client.send(Ask::get("/health/live", &load.token)).await?;
        callers.push(client);
    }
    let meter = Meter::start(site.process());
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for client in callers {
        let load = Arc::clone(load);
        tasks.spawn(async move {
            let mut times = Vec::new();
            while begun.elapsed() < time {
                let Some(took) = load.turn(&client, call).await? else { break };
                times.push(took);
            }
            Ok::<_, Failure>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done.map_err(|error| failed("a caller", error))??);
    }
    let (wall, cost) = (begun.elapsed(), meter.read());
    if times.is_empty() {
        return Err(Failure::failed(format!("{call:?}: there was nothing left to call for")));
    }
    let (requests, per_s) = (times.len(), rate(times.len() as u64, wall));
    let (p50_ms, p99_ms) = (percentile_ms(&mut times, 0.5), percentile_ms(&mut times, 0.99));
    Ok(Row { call, clients, requests, per_s, p50_ms, p99_ms, to_reference: None, cost })
}

impl Load {
    /// What a call needs before the first. Outputs end the attempts that steps belong to.
    async fn prepare(&mut self, site: &Site, call: Call) -> Result<(), Failure> {
        match call {
            Call::Output => self.outputs = Outputs::of(site, &self.fleet).await?,
            Call::List => self.reads.lists(site).await?,
            Call::Audit => self.reads.audits(site, &self.fleet).await?,
            Call::Live | Call::Heartbeat | Call::Step | Call::Execute => {}
        }
        Ok(())
    }

    /// How many calls there is something to call for.
    fn stock(&self, call: Call) -> usize {
        match call {
            Call::Execute => self.drafts.len(),
            Call::Output => self.outputs.count(),
            Call::Live | Call::Heartbeat | Call::Step | Call::List | Call::Audit => usize::MAX,
        }
    }

    /// One call; none when there is nothing left to call for.
    async fn turn(&self, client: &Client, call: Call) -> Result<Option<Duration>, Failure> {
        let less = |left: usize| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
            return Ok(None);
        }
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let ask = match call {
            Call::Live => Ask::get("/health/live", &self.token),
            Call::List => Ask::get(self.reads.list(turn), &self.token),
            Call::Audit => Ask::get(self.reads.audit(turn), &self.token),
            Call::Heartbeat => {
                let member = self.member(turn);
                let took = say_alive(client, member.path("heartbeat"), &member.token).await;
                return took.map(Some);
            }
            Call::Step => self.step(self.member(turn))?,
            Call::Output => return self.outputs.submit(client, &self.fleet).await,
            Call::Execute => {
                let next = self.taken.fetch_add(1, Ordering::Relaxed);
                let Some(id) = self.drafts.get(next) else { return Ok(None) };
                let path = format!("/api/v1/specs/{id}/execute");
                Ask::post(path, &self.token, &json!({}))?.keyed(format!("execute-{id}"))
            }
        };
        let (text, took) = client.send(ask).await?;
        if call == Call::Execute {
            expect(&text, "status", &json!("started"))?;
        } else if call == Call::Step {
            expect(&text, "recorded", &json!(true))?;
        }
        Ok(Some(took))
    }

    fn member(&self, turn: usize) -> &Member {
        &self.fleet[turn % self.fleet.len()]
    }

    fn step<'a>(&self, member: &'a Member) -> Result<Ask<'a>, Failure> {
        let number = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        let result = step_result(number).map_err(|error| failed("a step's result", error))?;
        let name = format!("step-{number}");
        let (phase, attempt) = (member.work.phase, member.work.attempt);
        let usage = specline_aggregates::Usage::default();
        let report = StepReport { phase, attempt, number, name: name.clone(), result, usage };
        Ok(Ask::post(member.path("steps"), &member.token, &report)?.keyed(name))
    }
}

/// An answer that says something else is no answer to what was asked.
fn expect(text: &str, field: &str, wanted: &Value) -> Result<(), Failure> {
    let answer: Value = super::client::read(text)?;
    if answer[field] == *wanted {
        return Ok(());
    }
    Err(failed(field, text))
}
