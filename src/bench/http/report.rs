//! What was measured, and what it cost the two processes.

use std::time::Instant;

use serde::Serialize;

use super::calls::Call;
use super::fleet::Beats;
use super::site::Site;
use crate::bench::measure::{cpu_ticks, memory_mb, rounded, to_f64};
use crate::cli::print;

/// Ticks of the processor time in `/proc` in a second, on every Linux that this runs on.
const TICKS: f64 = 100.0;

/// Processor time from now on.
pub(super) struct Meter {
    begun: Instant,
    process: u32,
    server: u64,
    load: u64,
}

/// What a stretch of time cost, as shares of one core.
#[derive(Serialize)]
pub(super) struct Cost {
    pub server_cores: f64,
    /// Of the process that makes the load, on the same machine.
    pub load_cores: f64,
    pub server_rss_mb: Option<f64>,
}

impl Meter {
    /// Of the server `process`, and of this one.
    pub(super) fn start(process: u32) -> Self {
        let (server, load) = (ticks(process), ticks(std::process::id()));
        Self { begun: Instant::now(), process, server, load }
    }

    pub(super) fn read(&self) -> Cost {
        let seconds = self.begun.elapsed().as_secs_f64().max(1e-9);
        let share =
            |now: u64, before: u64| rounded(to_f64(now.saturating_sub(before)) / TICKS / seconds);
        Cost {
            server_cores: share(ticks(self.process), self.server),
            load_cores: share(ticks(std::process::id()), self.load),
            server_rss_mb: memory_mb(&self.process.to_string(), "VmRSS"),
        }
    }
}

fn ticks(process: u32) -> u64 {
    cpu_ticks(process).unwrap_or_default()
}

impl Cost {
    pub(super) fn line(&self) -> String {
        format!(
            "server {:.1} % of a core and {:.0} MB, load {:.1} %",
            self.server_cores * 100.0,
            self.server_rss_mb.unwrap_or_default(),
            self.load_cores * 100.0,
        )
    }
}

/// One call with one number of clients.
#[derive(Serialize)]
pub(super) struct Row {
    pub call: Call,
    pub clients: usize,
    pub requests: usize,
    pub per_s: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// The rate beside that of the cheapest route with as many clients, in the same run.
    pub to_reference: Option<f64>,
    #[serde(flatten)]
    pub cost: Cost,
}

#[derive(Serialize)]
pub(super) struct Report {
    store: &'static str,
    /// The machine's load in the last minute, before and after.
    load_before: Option<f64>,
    load_after: Option<f64>,
    /// Events in the log at the end.
    pub events: u64,
    pub fleet: Option<Beats>,
    pub rows: Vec<Row>,
}

impl Report {
    pub(super) fn new(site: &Site) -> Self {
        let (store, load_before) = (site.store, load_average());
        Self { store, load_before, load_after: None, events: 0, fleet: None, rows: Vec::new() }
    }

    pub(super) fn end(&mut self) {
        self.load_after = load_average();
    }

    /// The rate of the reference with as many clients.
    pub(super) fn reference(&self, clients: usize) -> Option<f64> {
        let mut references = self.rows.iter().filter(|row| row.call == Call::Live);
        references.find(|row| row.clients == clients).map(|row| row.per_s)
    }
}

fn load_average() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

pub(super) fn show(report: &Report, json: bool) {
    if json {
        return print::json(report);
    }
    let load = |at: Option<f64>| at.map_or("unknown".to_owned(), |at| at.to_string());
    let (before, after) = (load(report.load_before), load(report.load_after));
    print::data(&format!("{}: the machine's load {before} before, {after} after", report.store));
    if let Some(fleet) = &report.fleet {
        print::data(&fleet.line());
    }
    for row in &report.rows {
        let ratio = row.to_reference.map(|ratio| format!(", {ratio} of the reference"));
        print::data(&format!(
            "{:?}, {} clients: {:.0}/s{}, p50 {} ms, p99 {} ms; {}",
            row.call,
            row.clients,
            row.per_s,
            ratio.unwrap_or_default(),
            row.p50_ms,
            row.p99_ms,
            row.cost.line(),
        ));
    }
}
