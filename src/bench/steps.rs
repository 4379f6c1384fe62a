//! `bench steps`: many specs of a few durable steps, from a number of callers at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use specline_aggregates::SpecId;
use uuid::Uuid;

use crate::cli::{Exit, Failure, Place, PlaceArgs, print};
use crate::commands::Commands;
use crate::store::{Clock, EventLog, SqliteLog};

use super::measure::{memory_mb, percentile_ms, rate, rounded, to_f64};
use super::scratch::Scratch;
use super::workflow::Driver;
use super::{failed, raw};

#[derive(Args)]
pub struct StepsArgs {
    /// Specs at work at the same time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    concurrency: u64,
    /// Specs in all, in each round.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..))]
    specs: u64,
    /// Steps of each spec.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    steps: u32,
    /// What does the steps' work: only `noop`, which does none.
    #[arg(long, default_value = "noop", value_parser = ["noop"])]
    agent: String,
    /// Rounds of load and reference in turn, so that a busy moment of the machine does not fall on
    /// one of them alone; the best of each is reported.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    concurrency: u64,
    specs: u64,
    rounds: u32,
    steps: u32,
    agent: String,
    specs_per_s: f64,
    steps_per_s: f64,
    /// All rows that were written, those before the first step too.
    events_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    p50_workflow_ms: f64,
    rss_mb: Option<f64>,
    store: &'static str,
    durability: &'static str,
    /// Commits of the log's writer; each syncs the write-ahead log once.
    fsyncs: u64,
    fsyncs_per_spec: f64,
    events_per_commit: f64,
    raw: RawReport,
    ratios: Ratios,
}

#[derive(Clone, Copy, Serialize)]
struct RawReport {
    one_row_commits_per_s: f64,
    one_row_p50_ms: f64,
    batch: u64,
    batch_rows_per_s: f64,
    payload_bytes: usize,
    metadata_bytes: usize,
}

#[derive(Serialize)]
struct Ratios {
    events_to_raw_batches: f64,
    events_to_raw_one_row_commits: f64,
    steps_to_raw_batches: f64,
    steps_to_raw_one_row_commits: f64,
    /// What a step takes beyond one raw commit, both at the median.
    step_p50_minus_raw_commit_ms: f64,
}

/// What the callers measured.
struct Load {
    wall: Duration,
    steps: Vec<Duration>,
    workflows: Vec<Duration>,
    events: u64,
    commits: u64,
}

impl Load {
    /// Mean events of a commit.
    fn batch(&self) -> u64 {
        (self.events / self.commits.max(1)).max(1)
    }
}

impl RawReport {
    /// The higher rate and the shorter time of two.
    fn better(self, other: Self) -> Self {
        let batches = if other.batch_rows_per_s > self.batch_rows_per_s { &other } else { &self };
        Self {
            one_row_commits_per_s: self.one_row_commits_per_s.max(other.one_row_commits_per_s),
            one_row_p50_ms: self.one_row_p50_ms.min(other.one_row_p50_ms),
            batch: batches.batch,
            batch_rows_per_s: batches.batch_rows_per_s,
            ..self
        }
    }
}

pub(super) async fn steps(place: &PlaceArgs, args: &StepsArgs) -> Result<Exit, Failure> {
    let scratch = Scratch::new()?;
    let path = log_path(place, &scratch)?;
    let log = Arc::new(
        SqliteLog::open(&path, Clock::system())
            .map_err(|e| failed("the log cannot be opened", e))?,
    );
    if log.watch_head().borrow().0 != 0 {
        let message =
            format!("{} holds events already; a benchmark wants a new log", path.display());
        return Err(Failure::new(Exit::Configuration, message));
    }
    let (load, raw) = rounds(args, &log).await?;
    let rss_mb = memory_mb("self", "VmRSS");
    show(&report(args, load, raw, rss_mb), args.json);
    Ok(Exit::Completed)
}

fn log_path(place: &PlaceArgs, scratch: &Scratch) -> Result<PathBuf, Failure> {
    if place.store.is_none() {
        return Ok(scratch.path().join("log.db"));
    }
    let place = Place::find(place)?;
    place.make()?;
    Ok(place.log)
}

/// A few specs to warm up, then load and reference in turn; the best of each.
async fn rounds(args: &StepsArgs, log: &Arc<SqliteLog>) -> Result<(Load, RawReport), Failure> {
    let driver = Driver::new(Arc::new(Commands::new(Arc::clone(log) as Arc<dyn EventLog>)));
    let warm_up = args.concurrency.min(64);
    drop(drive(&driver, warm_up, (warm_up, args.steps)).await?);
    let mut best: Option<(Load, RawReport)> = None;
    for _ in 0..args.rounds {
        let load = measure(args, log, &driver).await?;
        let raw = beside(log.path(), (load.batch(), args.concurrency)).await?;
        best = Some(match best {
            None => (load, raw),
            Some((best, reference)) => {
                let faster = if load.wall < best.wall { load } else { best };
                (faster, reference.better(raw))
            }
        });
    }
    best.ok_or_else(|| Failure::usage("at least one round is needed"))
}

async fn measure(args: &StepsArgs, log: &SqliteLog, driver: &Driver) -> Result<Load, Failure> {
    let (head, commits) = (log.watch_head().borrow().0, log.commits());
    let begun = Instant::now();
    let (steps, workflows) = drive(driver, args.concurrency, (args.specs, args.steps)).await?;
    let wall = begun.elapsed();
    let events = log.watch_head().borrow().0 - head;
    Ok(Load { wall, steps, workflows, events, commits: log.commits() - commits })
}

/// The reference, on the same disk while the log is at rest.
async fn beside(log: &Path, load: (u64, u64)) -> Result<RawReport, Failure> {
    let (log, raw) = (log.to_owned(), log.with_extension("raw"));
    let report = tokio::task::spawn_blocking(move || reference(&log, &raw, load)).await;
    let report = report.map_err(|error| failed("the reference", error))?;
    report.map_err(|error| failed("the reference cannot be measured", error))
}

type Times = (Vec<Duration>, Vec<Duration>);

/// `callers` tasks take specs off one counter until all are done.
async fn drive(
    driver: &Driver,
    callers: u64,
    (specs, steps): (u64, u32),
) -> Result<Times, Failure> {
    let taken = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (driver, taken) = (driver.clone(), Arc::clone(&taken));
            tokio::spawn(async move {
                let (mut step_times, mut workflows) = (Vec::new(), Vec::new());
                while taken.fetch_add(1, Ordering::Relaxed) < specs {
                    let id = SpecId::new(Uuid::now_v7());
                    workflows.push(driver.workflow(id, steps, &mut step_times).await?);
                }
                Ok::<_, Failure>((step_times, workflows))
            })
        })
        .collect();
    let (mut step_times, mut workflows) = (Vec::new(), Vec::new());
    for task in tasks {
        let (steps, whole) = task.await.map_err(|error| failed("a caller", error))??;
        step_times.extend(steps);
        workflows.extend(whole);
    }
    Ok((step_times, workflows))
}

fn reference(
    log: &Path,
    beside: &Path,
    (batch, streams): (u64, u64),
) -> rusqlite::Result<RawReport> {
    let width = raw::width_of(log)?;
    let written = |name: &str, batch, streams| {
        let path = beside.with_extension(name);
        let written = raw::write(&path, width, (batch, streams));
        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.clone().into_os_string();
            file.push(suffix);
            drop(std::fs::remove_file(file));
        }
        written
    };
    let mut one = written("raw-one", 1, 1)?;
    let batches = written("raw-batch", batch, streams)?;
    Ok(RawReport {
        one_row_commits_per_s: one.rows_per_s,
        one_row_p50_ms: percentile_ms(&mut one.commits, 0.5),
        batch,
        batch_rows_per_s: batches.rows_per_s,
        payload_bytes: width.payload,
        metadata_bytes: width.metadata,
    })
}

fn report(args: &StepsArgs, mut load: Load, raw: RawReport, rss_mb: Option<f64>) -> Report {
    let steps_per_s = rate(load.steps.len() as u64, load.wall);
    let events_per_s = rate(load.events, load.wall);
    let p50_ms = percentile_ms(&mut load.steps, 0.5);
    let ratios = Ratios {
        events_to_raw_batches: rounded(events_per_s / raw.batch_rows_per_s),
        events_to_raw_one_row_commits: rounded(events_per_s / raw.one_row_commits_per_s),
        steps_to_raw_batches: rounded(steps_per_s / raw.batch_rows_per_s),
        steps_to_raw_one_row_commits: rounded(steps_per_s / raw.one_row_commits_per_s),
        step_p50_minus_raw_commit_ms: rounded(p50_ms - raw.one_row_p50_ms),
    };
    Report {
        concurrency: args.concurrency,
        specs: args.specs,
        rounds: args.rounds,
        steps: args.steps,
        agent: args.agent.clone(),
        specs_per_s: rate(args.specs, load.wall),
        steps_per_s,
        events_per_s,
        p50_ms,
        p99_ms: percentile_ms(&mut load.steps, 0.99),
        p50_workflow_ms: percentile_ms(&mut load.workflows, 0.5),
        rss_mb,
        store: "sqlite",
        durability: "synchronous=FULL: the write-ahead log is synced before a step is acknowledged",
        fsyncs: load.commits,
        fsyncs_per_spec: rounded(to_f64(load.commits) / to_f64(args.specs)),
        events_per_commit: rounded(to_f64(load.events) / to_f64(load.commits.max(1))),
        raw,
        ratios,
    }
}

fn show(report: &Report, json: bool) {
    if json {
        return print::json(report);
    }
    let Report { raw, ratios, .. } = report;
    print::data(&format!(
        "{} specs of {} steps, {} at once: {:.0} specs/s, {:.0} steps/s, {:.0} events/s",
        report.specs,
        report.steps,
        report.concurrency,
        report.specs_per_s,
        report.steps_per_s,
        report.events_per_s,
    ));
    print::data(&format!(
        "a step: p50 {} ms, p99 {} ms; a workflow: p50 {} ms; {} syncs a spec, {} events each",
        report.p50_ms,
        report.p99_ms,
        report.p50_workflow_ms,
        report.fsyncs_per_spec,
        report.events_per_commit,
    ));
    print::data(&format!(
        "raw SQLite: {:.0} one-row commits/s (p50 {} ms), {:.0} rows/s in batches of {}",
        raw.one_row_commits_per_s, raw.one_row_p50_ms, raw.batch_rows_per_s, raw.batch,
    ));
    print::data(&format!(
        "events to raw: {} of the batches, {} x the one-row commits",
        ratios.events_to_raw_batches, ratios.events_to_raw_one_row_commits,
    ));
}
