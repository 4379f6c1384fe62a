//! `bench recover`: kills a process with many specs at work, starts it again at once, and looks at
//! what that cost, what was done twice and what was lost.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::Args;
use cqrs_es::Aggregate;
use serde::Serialize;
use specline_aggregates::spec::{Event, Spec};
use specline_aggregates::{EventSourced, SpecId};
use tokio::process::{Child, Command};

use crate::cli::{Exit, Failure, print};
use crate::store::{EventLog, Position, SqliteLog};

use super::acks::{self, Life, StepOf};
use super::failed;
use super::measure::rounded;
use super::scratch::Scratch;

/// Steps of each spec.
const STEPS: u32 = 6;

/// Longest wait for the specs to be at work.
const START: Duration = Duration::from_mins(1);

const LOOK: Duration = Duration::from_millis(2);

#[derive(Args)]
pub struct RecoverArgs {
    /// Specs in flight.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    specs: u64,
    /// What the work of a step takes.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    step_ms: u64,
    /// When to kill, from when all specs are at work; a random moment around the middle without it.
    #[arg(long)]
    kill_after_ms: Option<u64>,
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    specs: u64,
    steps: u32,
    step_ms: u64,
    killed_after_ms: u64,
    recorded_at_kill: usize,
    acknowledged_at_kill: usize,
    /// Steps that the furthest spec still had to do, times what one takes.
    ideal_s: f64,
    /// From the kill to the end of the last spec.
    took_s: f64,
    overhead_s: f64,
    /// Over a run that nobody kills: it also holds the work that was cut off.
    overhead_over_no_kill_s: f64,
    acknowledged_run_again: usize,
    recorded_run_again: usize,
    lost: usize,
    recorded_twice: usize,
    missing: usize,
    log_verified: bool,
    checked_by: &'static str,
}

const CHECKED_BY: &str = "the killed process wrote a line for each step it began and each that \
    was acknowledged; every acknowledged one must stand in the log at its position, none that was \
    recorded before the kill may begin after it, and each step of each spec stands there once";

/// The files of one measurement, and what the child is told.
struct Run<'a> {
    args: &'a RecoverArgs,
    log: PathBuf,
    acks: PathBuf,
}

struct Times {
    killed_after: Duration,
    took: Duration,
    no_kill: Duration,
}

pub(super) async fn recover(args: &RecoverArgs) -> Result<Exit, Failure> {
    let scratch = Scratch::new()?;
    let (log, acks) = (scratch.path().join("log.db"), scratch.path().join("acks"));
    let run = Run { args, log, acks };
    let times = run.kill_and_restart().await?;
    let report = run.report(&times).await?;
    show(&report, args.json);
    let sound = report.acknowledged_run_again == 0
        && report.recorded_run_again == 0
        && report.lost == 0
        && report.recorded_twice == 0
        && report.missing == 0
        && report.log_verified;
    Ok(if sound { Exit::Completed } else { Exit::Failed })
}

impl Run<'_> {
    async fn kill_and_restart(&self) -> Result<Times, Failure> {
        let mut first = self.start()?;
        let in_flight = self.in_flight(&mut first).await?;
        let wait = self.args.kill_after_ms.map_or_else(|| self.somewhen(), Duration::from_millis);
        tokio::time::sleep(wait.saturating_sub(in_flight.elapsed())).await;
        let killed = Instant::now();
        first.kill().await.map_err(|error| failed("the process cannot be killed", error))?;
        let status = self.start()?.wait().await;
        let took = killed.elapsed();
        let status = status.map_err(|error| failed("the second process", error))?;
        if !status.success() {
            return Err(Failure::failed(format!("the second process ended with {status}")));
        }
        let no_kill = Duration::from_millis(self.args.step_ms) * STEPS;
        let killed_after = killed.duration_since(in_flight);
        Ok(Times { killed_after, took, no_kill })
    }

    /// A moment in the middle third of the run.
    fn somewhen(&self) -> Duration {
        let [.., high, low] = *uuid::Uuid::now_v7().as_bytes();
        let whole = self.args.step_ms * u64::from(STEPS);
        let draw = u64::from(u16::from_be_bytes([high, low]));
        Duration::from_millis(whole / 3 + whole * draw / (3 * 65_536))
    }

    fn start(&self) -> Result<Child, Failure> {
        let program = std::env::current_exe().map_err(|e| failed("this program's path", e))?;
        let RecoverArgs { specs, step_ms, .. } = self.args;
        Command::new(program)
            .args(["bench", "recover-child"])
            .arg(format!("--specs={specs}"))
            .arg(format!("--steps={STEPS}"))
            .arg(format!("--step-ms={step_ms}"))
            .arg("--log")
            .arg(&self.log)
            .arg("--acks")
            .arg(&self.acks)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed("the process cannot be started", error))
    }

    /// Waits until every spec is at work.
    async fn in_flight(&self, child: &mut Child) -> Result<Instant, Failure> {
        let begun = Instant::now();
        while begun.elapsed() < START {
            let lives = acks::read(&self.acks).map_err(|e| failed("the acks file", e))?;
            if lives.last().is_some_and(|life| life.in_flight) {
                return Ok(Instant::now());
            }
            if let Ok(Some(status)) = child.try_wait() {
                return Err(Failure::failed(format!("the process ended too early: {status}")));
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Failure::failed("the specs did not get to work"))
    }

    async fn report(&self, times: &Times) -> Result<Report, Failure> {
        let lives = acks::read(&self.acks).map_err(|error| failed("the acks file", error))?;
        let [before, after] = &lives[..] else {
            return Err(Failure::failed(format!("{} lives instead of two", lives.len())));
        };
        let (recorded, log_verified) = recorded_steps(&self.log).await?;
        let args = self.args;
        let found = compare((before, after), &recorded);
        let wanted = usize::try_from(args.specs).unwrap_or(usize::MAX) * STEPS as usize;
        let left = most_left(&recorded, after.head, args.specs);
        let ideal = Duration::from_millis(args.step_ms) * left;
        let killed_after_ms = u64::try_from(times.killed_after.as_millis()).unwrap_or(u64::MAX);
        let took_s = times.took.as_secs_f64();
        let whole = times.killed_after.as_secs_f64() + took_s;
        Ok(Report {
            specs: args.specs,
            steps: STEPS,
            step_ms: args.step_ms,
            killed_after_ms,
            recorded_at_kill: found.recorded_before,
            acknowledged_at_kill: before.acknowledged.len(),
            ideal_s: rounded(ideal.as_secs_f64()),
            took_s: rounded(took_s),
            overhead_s: rounded(took_s - ideal.as_secs_f64()),
            overhead_over_no_kill_s: rounded(whole - times.no_kill.as_secs_f64()),
            acknowledged_run_again: found.acknowledged_run_again,
            recorded_run_again: found.recorded_run_again,
            lost: found.lost,
            recorded_twice: recorded.values().filter(|positions| positions.len() > 1).count(),
            missing: wanted.saturating_sub(recorded.len()),
            log_verified,
            checked_by: CHECKED_BY,
        })
    }
}

/// Positions at which the log has each step.
type RecordedSteps = BTreeMap<StepOf, Vec<u64>>;

struct Found {
    recorded_before: usize,
    acknowledged_run_again: usize,
    recorded_run_again: usize,
    lost: usize,
}

fn compare((before, after): (&Life, &Life), recorded: &RecordedSteps) -> Found {
    let is_before = |positions: &Vec<u64>| positions.iter().any(|at| *at <= after.head);
    let early = recorded.iter().filter(|(_, positions)| is_before(positions));
    let early: Vec<&StepOf> = early.map(|(step, _)| step).collect();
    let stands = |(step, position): (&StepOf, &u64)| {
        recorded.get(step).is_some_and(|positions| positions.contains(position))
    };
    let acknowledged = || before.acknowledged.iter().chain(&after.acknowledged);
    Found {
        recorded_before: early.len(),
        acknowledged_run_again: before
            .acknowledged
            .keys()
            .filter(|step| after.run.contains(step))
            .count(),
        recorded_run_again: early.iter().filter(|step| after.run.contains(step)).count(),
        lost: acknowledged().filter(|entry| !stands(*entry)).count(),
    }
}

/// The most steps that a spec still had to do when the log ended at `head`.
fn most_left(recorded: &RecordedSteps, head: u64, specs: u64) -> u32 {
    let mut done: BTreeMap<SpecId, u32> = BTreeMap::new();
    for ((spec, _), positions) in recorded {
        let before = positions.iter().filter(|at| **at <= head).count();
        *done.entry(*spec).or_default() += u32::from(before > 0);
    }
    let all_known = done.len() as u64 == specs;
    let least = done.values().min().copied().filter(|_| all_known).unwrap_or(0);
    STEPS.saturating_sub(least)
}

/// Every step in the log, and whether the log's hashes hold.
async fn recorded_steps(path: &Path) -> Result<(RecordedSteps, bool), Failure> {
    let unreadable = |error: &dyn std::fmt::Display| failed("the log cannot be read", error);
    let log = SqliteLog::open_read_only(path).map_err(|error| unreadable(&error))?;
    let verified = log.verify(Position(1), Position(u64::MAX), |_| {}).await;
    let verified = verified.map_err(|error| unreadable(&error))?.first_difference.is_none();
    let mut steps = RecordedSteps::new();
    let mut after = Position(0);
    loop {
        let page = log.read_all(after, 1_000).await.map_err(|error| unreadable(&error))?;
        let Some(last) = page.last() else { return Ok((steps, verified)) };
        after = last.position;
        for row in page.iter().filter(|row| row.stream.aggregate_type == Spec::TYPE) {
            let event = Spec::decode(&row.event_type, &row.event_version, &row.payload);
            let event = event.map_err(|error| unreadable(&error))?;
            if let Event::StepRecorded { step, .. } = event {
                let spec = SpecId::new(row.stream.aggregate_id);
                steps.entry((spec, step)).or_default().push(row.position.0);
            }
        }
    }
}

fn show(report: &Report, json: bool) {
    if json {
        return print::json(report);
    }
    print::data(&format!(
        "{} specs of {} steps of {} ms, killed after {} ms with {} steps recorded",
        report.specs, report.steps, report.step_ms, report.killed_after_ms, report.recorded_at_kill,
    ));
    print::data(&format!(
        "finished {} s after the kill; ideal {} s; overhead {} s ({} s over no kill)",
        report.took_s, report.ideal_s, report.overhead_s, report.overhead_over_no_kill_s,
    ));
    print::data(&format!(
        "acknowledged steps run again: {}; lost: {}; recorded twice: {}; missing: {}",
        report.acknowledged_run_again, report.lost, report.recorded_twice, report.missing,
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(head: u64, run: &[StepOf], acknowledged: &[(StepOf, u64)]) -> Life {
        Life {
            head,
            in_flight: true,
            run: run.iter().copied().collect(),
            acknowledged: acknowledged.iter().copied().collect(),
        }
    }

    #[test]
    fn what_went_wrong_is_counted() {
        let [a, b] = [1, 2].map(|n| SpecId::new(uuid::Uuid::from_u128(n)));
        let recorded =
            RecordedSteps::from([((a, 1), vec![5]), ((a, 2), vec![12]), ((b, 1), vec![6])]);
        let before = life(0, &[(a, 1), (b, 1), (b, 2)], &[((a, 1), 5), ((b, 2), 7)]);
        let after = life(6, &[(a, 2), (b, 1)], &[((a, 2), 12)]);
        let found = compare((&before, &after), &recorded);
        assert_eq!((found.recorded_before, found.acknowledged_run_again), (2, 0));
        assert_eq!((found.recorded_run_again, found.lost), (1, 1), "b1 again, b2 lost");
        assert_eq!(most_left(&recorded, 6, 2), STEPS - 1);
        assert_eq!(most_left(&recorded, 6, 3), STEPS, "one spec had no step");
    }
}
