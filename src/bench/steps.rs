//! `bench steps`: many specs of a few durable steps, from a number of callers at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use specline_aggregates::SpecId;
use uuid::Uuid;

use crate::cli::{Exit, Failure, Location, PlaceArgs, print};
use crate::commands::Commands;
use crate::store::SnapshotKey;

use super::failed;
use super::measure::{memory_mb, percentile_ms, rate, rounded, to_f64};
use super::scratch::Scratch;
use super::subject::{RawReport, Subject};
use super::workflow::Driver;

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

pub(super) async fn steps(place: &PlaceArgs, args: &StepsArgs) -> Result<Exit, Failure> {
    let scratch = Scratch::new()?;
    let location = place.store.as_ref().map(|_| Location::find(place)).transpose()?;
    let subject = Subject::open(location, scratch.path()).await?;
    let (load, raw) = rounds(args, &subject).await?;
    let rss_mb = memory_mb("self", "VmRSS");
    show(&report(args, &subject, load, (raw, rss_mb)), args.json);
    Ok(Exit::Completed)
}

/// A few specs to warm up, then load and reference in turn; the best of each.
async fn rounds(args: &StepsArgs, subject: &Subject) -> Result<(Load, RawReport), Failure> {
    let key = SnapshotKey::of_secret(&[7; 32]);
    let driver = Driver::new(Arc::new(Commands::new(subject.log()).with_snapshots(&key)));
    let warm_up = args.concurrency.min(64);
    drop(drive(&driver, warm_up, (warm_up, args.steps)).await?);
    let mut best: Option<(Load, RawReport)> = None;
    for _ in 0..args.rounds {
        let load = measure(args, subject, &driver).await?;
        let raw = subject.reference(load.batch(), args.concurrency).await?;
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

async fn measure(args: &StepsArgs, subject: &Subject, driver: &Driver) -> Result<Load, Failure> {
    let head = subject.log().watch_head();
    let (before, commits) = (head.borrow().0, subject.commits());
    let begun = Instant::now();
    let (steps, workflows) = drive(driver, args.concurrency, (args.specs, args.steps)).await?;
    let wall = begun.elapsed();
    let events = head.borrow().0 - before;
    Ok(Load { wall, steps, workflows, events, commits: subject.commits() - commits })
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

fn report(
    args: &StepsArgs,
    subject: &Subject,
    mut load: Load,
    (raw, rss_mb): (RawReport, Option<f64>),
) -> Report {
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
        store: subject.name(),
        durability: subject.durability(),
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
        "raw {}: {:.0} one-row commits/s (p50 {} ms), {:.0} rows/s in batches of {}",
        report.store,
        raw.one_row_commits_per_s,
        raw.one_row_p50_ms,
        raw.batch_rows_per_s,
        raw.batch,
    ));
    print::data(&format!(
        "events to raw: {} of the batches, {} x the one-row commits",
        ratios.events_to_raw_batches, ratios.events_to_raw_one_row_commits,
    ));
}
