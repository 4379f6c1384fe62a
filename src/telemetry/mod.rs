//! What this process says of itself while it runs: log lines on stderr, as text or JSON, and traces
//! where the feature `otel` is built in. Data never goes here.

#[cfg(feature = "otel")]
mod otel;
pub mod trace;

use std::io::IsTerminal;
use std::str::FromStr;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::plain::{Colours, Lines};

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("{other:?} is neither `text` nor `json`")),
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// A filter of log lines: a level, or directives such as `info,specline::engine=debug`.
pub fn filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(text).map_err(|error| error.to_string())
}

/// Sends what still waits to be sent.
pub fn finish() {
    #[cfg(feature = "otel")]
    otel::finish();
}

/// Sends log lines to stderr. What was begun before, by a test say, stays.
pub fn start(filter: EnvFilter, format: Format) {
    let lines = tracing_subscriber::fmt::layer();
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Text => {
            let on_terminal = std::io::stderr().is_terminal();
            let colours = if on_terminal { Colours::Ours } else { Colours::None };
            let plain = move || Lines::new(std::io::stderr(), colours);
            lines.with_ansi(on_terminal).with_writer(plain).boxed()
        }
        Format::Json => lines
            .with_writer(std::io::stderr)
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter).boxed());
    #[cfg(feature = "otel")]
    let (subscriber, problem) = match otel::layer() {
        Ok(layer) => (subscriber.with(layer), None),
        Err(problem) => (subscriber.with(None), Some(problem)),
    };
    drop(tracing::subscriber::set_global_default(subscriber));
    #[cfg(feature = "otel")]
    if let Some(problem) = problem {
        tracing::warn!(problem, "no traces are sent");
    }
}
