//! `specline timeline`: what happened to a spec, and what its agents said on the way, by time.

use serde::Serialize;
use serde_json::Value;
use specline_aggregates::spec::Spec;
use specline_aggregates::{Epoch, EventSourced, SpecId, Timestamp};

use super::args::PlaceArgs;
use super::display;
use super::reads::{open, parse_id, spec_at};
use super::{Exit, Failure, print};
use crate::plain::one_line;
use crate::store::{EventLog, Recorded, SideTables, StreamId};

/// Entries read at a time.
const PAGE: usize = 1_000;

/// Longest text of a line, in characters.
const LINE_CHARS: usize = 160;

/// One line.
#[derive(Serialize)]
struct Entry {
    at: Timestamp,
    /// `event`, or `sandbox N` with its epoch.
    source: String,
    kind: String,
    text: String,
}

pub async fn timeline(args: &PlaceArgs, spec: &str, json: bool) -> Result<Exit, Failure> {
    let id = parse_id(spec)?;
    let state = spec_at(args, id, u64::MAX).await?;
    let log = open(args).await?;
    let mut entries = events(&*log.log, id).await?;
    for epoch in 1..=state.epoch().0 {
        entries.extend(said(&*log.side, id, Epoch(epoch)).await?);
    }
    // Stable: what has one time stays in the order of its source.
    entries.sort_by_key(|entry| entry.at);
    for entry in &entries {
        if json {
            print::json_line(entry);
        } else {
            let Entry { at, source, kind, text } = entry;
            let text = one_line(text);
            print::data(format!("{at}  {source:<11}  {kind:<18}  {text}").trim_end());
        }
    }
    Ok(Exit::Completed)
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::failed(error.to_string())
}

async fn events(log: &dyn EventLog, id: SpecId) -> Result<Vec<Entry>, Failure> {
    let stream = StreamId { aggregate_type: "Spec".to_owned(), aggregate_id: id.uuid() };
    let mut entries = Vec::new();
    let mut after = 0;
    loop {
        let page = log.read_stream(&stream, after, PAGE).await.map_err(failed)?;
        let full = page.len() == PAGE;
        after = page.last().map_or(after, |row| row.sequence);
        entries.extend(page.into_iter().map(|row| of_event(row, id)));
        if !full {
            return Ok(entries);
        }
    }
}

fn of_event(row: Recorded, id: SpecId) -> Entry {
    let event = Spec::decode(&row.event_type, &row.event_version, &row.payload);
    let line = event.ok().and_then(|event| display::line(&event, id));
    let text = line.map_or_else(String::new, |(phase, text)| match phase {
        Some(phase) => format!("{phase}: {text}"),
        None => text,
    });
    Entry { at: row.recorded_at, source: "event".to_owned(), kind: row.event_type, text }
}

/// What one sandbox had to tell.
async fn said(log: &dyn SideTables, id: SpecId, epoch: Epoch) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    let mut after = 0;
    loop {
        let page = log.telemetry(id.sandbox(epoch), after, PAGE).await.map_err(failed)?;
        let full = page.len() == PAGE;
        after = page.last().map_or(after, |entry| entry.number);
        entries.extend(page.into_iter().map(|entry| Entry {
            at: entry.at,
            source: format!("sandbox {epoch}"),
            kind: entry.kind,
            text: short(&entry.body),
        }));
        if !full {
            return Ok(entries);
        }
    }
}

/// The text of a note, else its JSON.
fn short(body: &str) -> String {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let text = json["text"].as_str().map_or_else(|| body.to_owned(), ToOwned::to_owned);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LINE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
