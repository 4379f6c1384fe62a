//! `specline gates backtest`: what a changed gate would have said of everything that was judged.

use std::io::IsTerminal;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use specline_aggregates::{Phase, Timestamp};

use super::args::PlaceArgs;
use super::reads::open;
use super::{Exit, Failure, print};
use crate::engine::backtest::{Change, Difference, Outcome, Report, RuleChange, backtest};

#[derive(Subcommand)]
pub enum GatesCommand {
    /// Judge all recorded outputs again by a changed gate, and say which verdicts would have been
    /// others. Without a change: whether every verdict can be derived again.
    Backtest(BacktestArgs),
}

#[derive(Args)]
pub struct BacktestArgs {
    /// NAME=off, on, hard, soft or soft:WEIGHT; as often as you like.
    #[arg(long, value_name = "NAME=CHANGE", value_parser = rule)]
    pub rule: Vec<(String, RuleChange)>,
    /// Another least score, in parts per thousand.
    #[arg(long, value_name = "SCORE")]
    pub threshold: Option<u16>,
    /// Only verdicts of this phase.
    #[arg(long)]
    pub phase: Option<Phase>,
    /// Only verdicts recorded then or later, such as 2026-03-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub since: Option<Timestamp>,
    #[arg(long)]
    pub json: bool,
}

fn rule(text: &str) -> Result<(String, RuleChange), String> {
    let (name, change) = text.split_once('=').ok_or("it is not NAME=CHANGE")?;
    let change = change.parse().map_err(|error| format!("{error}"))?;
    Ok((name.to_owned(), change))
}

pub async fn gates(place: &PlaceArgs, command: GatesCommand) -> Result<Exit, Failure> {
    let GatesCommand::Backtest(args) = command;
    let change = Change {
        threshold: args.threshold,
        rules: args.rule.into_iter().collect(),
        phase: args.phase,
        since: args.since,
    };
    change.check().map_err(|error| Failure::usage(error.to_string()))?;
    let log = open(place).await?.log;
    let bar =
        if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let told = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let report = backtest(&*log, &change, told).await;
    bar.finish_and_clear();
    let report = report.map_err(|error| Failure::failed(error.to_string()))?;
    if args.json {
        print::json(&report);
    } else {
        show(&report);
    }
    Ok(if report.n_underivable == 0 { Exit::Completed } else { Exit::Failed })
}

fn show(report: &Report) {
    let Report { verdicts, derived, n_underivable, by_evaluators, .. } = report;
    print::data(&format!("{verdicts} verdicts of the gate; {derived} derived again as recorded"));
    if *by_evaluators > 0 {
        print::data(&format!("{by_evaluators} verdicts of evaluators are not run again"));
    }
    if *n_underivable > 0 {
        print::data(&format!("{n_underivable} cannot be derived again; nothing is said of them:"));
    }
    for one in &report.underivable {
        let place = &one.place;
        let (position, spec, phase) = (place.position, place.spec, place.phase);
        print::data(&format!("  {position}  {spec}  {phase} {}: {}", place.attempt, one.why));
    }
    if report.change.is_none() {
        return;
    }
    let Report { would_pass, would_fail, other_score, .. } = report;
    print::data(&format!(
        "{would_pass} would pass that failed, {would_fail} would fail that passed, \
         {other_score} would only have another score"
    ));
    if report.different.is_empty() {
        return;
    }
    print::data("");
    let rows: Vec<_> = report.different.iter().map(row).collect();
    print::table(&["POSITION", "SPEC", "PHASE", "ATTEMPT", "WAS", "WOULD BE", "RULES"], &rows);
    print::data("");
    let rules = report.by_rule.iter().map(|(rule, n)| vec![rule.clone(), n.to_string()]);
    print::table(&["RULE", "VERDICTS"], &rules.collect::<Vec<_>>());
    print::data("");
    let specs = report.by_spec.iter().map(|(spec, of)| {
        vec![
            spec.to_string(),
            of.would_pass.to_string(),
            of.would_fail.to_string(),
            of.title.clone(),
        ]
    });
    print::table(&["SPEC", "WOULD PASS", "WOULD FAIL", "TITLE"], &specs.collect::<Vec<_>>());
}

fn row(one: &Difference) -> Vec<String> {
    let shown = |outcome: Outcome| {
        let word = if outcome.passed { "passed" } else { "failed" };
        format!("{word} {}", outcome.score)
    };
    let place = &one.place;
    vec![
        place.position.to_string(),
        place.spec.to_string(),
        place.phase.to_string(),
        place.attempt.to_string(),
        shown(one.was),
        shown(one.would_be),
        one.rules.iter().cloned().collect::<Vec<_>>().join(", "),
    ]
}
