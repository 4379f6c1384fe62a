//! What a node counts of itself, for Prometheus. A node counts what it did itself: the sum over all
//! nodes of a log is the log's. Nothing here decides anything, and nothing survives the process.

mod specs;
mod text;
mod value;

pub use specs::{Seen, SpecMetrics};
pub use text::{CONTENT_TYPE, Labels, Text};
pub use value::{Counter, Family, Histogram};

use std::time::Duration;

/// Everything that is counted, for one engine.
#[derive(Debug)]
pub struct Metrics {
    /// Commands by aggregate and outcome.
    commands: Family<Histogram, 2>,
    /// Events that were appended, by aggregate.
    events: Family<Counter, 1>,
    append: Histogram,
    pub specs: SpecMetrics,
    /// Duties by kind and outcome.
    duties: Family<Histogram, 2>,
    /// Requests by method, route and status.
    requests: Family<Counter, 3>,
    request_times: Family<Histogram, 2>,
    /// Logins that failed, by kind of caller and outcome.
    logins: Family<Counter, 2>,
    /// Events that a duty has put aside.
    parked: Family<Counter, 1>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            commands: Family::new(Histogram::of_short_times),
            events: Family::new(Counter::default),
            append: Histogram::of_short_times(),
            specs: SpecMetrics::default(),
            duties: Family::new(Histogram::of_short_times),
            requests: Family::new(Counter::default),
            request_times: Family::new(Histogram::of_short_times),
            logins: Family::new(Counter::default),
            parked: Family::new(Counter::default),
        }
    }
}

impl Metrics {
    /// A command was decided, and appended if there was anything to append.
    pub fn command(&self, aggregate: &str, outcome: &str, took: Duration) {
        self.commands.of([aggregate, outcome]).observe_time(took);
    }

    /// Events were appended durably.
    pub fn appended(&self, aggregate: &str, events: usize, took: Duration) {
        self.events.of([aggregate]).add(events as u64);
        self.append.observe_time(took);
    }

    /// A duty acted on one row of due work.
    pub fn duty(&self, kind: &str, outcome: &str, took: Duration) {
        self.duties.of([kind, outcome]).observe_time(took);
    }

    /// A request was answered. `route` is the pattern, never the path.
    pub fn request(&self, (method, route): (&str, &str), status: u16, took: Duration) {
        self.requests.of([method, route, &status.to_string()]).add(1);
        self.request_times.of([method, route]).observe_time(took);
    }

    /// Somebody was not let in. `kind` says by what they tried: never what they sent.
    pub fn login_failed(&self, kind: &str, outcome: &str) {
        self.logins.of([kind, outcome]).add(1);
    }

    /// A duty has put an event aside that it cannot act on.
    pub fn parked(&self, duty: &str) {
        self.parked.of([duty]).add(1);
    }

    /// Writes all of it.
    pub fn write(&self, text: &mut Text) {
        text.histograms(
            ("specline_command_duration_seconds", "Commands: decided, and appended."),
            ["aggregate", "outcome"],
            &self.commands,
        );
        text.counters(
            ("specline_log_events_appended_total", "Events that this node appended."),
            ["aggregate"],
            &self.events,
        );
        text.histogram(
            ("specline_log_append_duration_seconds", "Appends, from the queue to the answer."),
            &self.append,
        );
        self.specs.write(text);
        text.histograms(
            ("specline_duty_duration_seconds", "Duties that acted on due work."),
            ["kind", "outcome"],
            &self.duties,
        );
        text.counters(
            ("specline_http_requests_total", "Requests that were answered."),
            ["method", "route", "status"],
            &self.requests,
        );
        text.histograms(
            ("specline_http_request_duration_seconds", "Requests, to the head of the answer."),
            ["method", "route"],
            &self.request_times,
        );
        text.counters(
            ("specline_failed_logins_total", "Logins that were refused or held off."),
            ["kind", "outcome"],
            &self.logins,
        );
        text.counters(
            ("specline_events_parked_total", "Events that a duty cannot act on, put aside."),
            ["duty"],
            &self.parked,
        );
    }
}
