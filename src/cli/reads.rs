//! What is read from the log itself, without an engine: `show`, `events`, `checkpoints`.

use std::sync::Arc;
use std::time::Duration;

use specline_aggregates::SpecId;
use specline_aggregates::spec::Spec;
use uuid::Uuid;

use super::args::PlaceArgs;
use super::follow::Interruptions;
use super::location::Opened;
use super::{Exit, Failure, Location, print};
use crate::store::{AggregateStore, EventLog, Position, Recorded, StreamId};
use crate::view::{EventView, SpecView};

/// Events read at a time.
const PAGE: usize = 1_000;

/// How often `events --follow` looks for more.
const LOOK: Duration = Duration::from_millis(200);

pub fn parse_id(text: &str) -> Result<SpecId, Failure> {
    text.parse().map_err(|_| {
        Failure::usage(format!("{text:?} is not the id of a spec; `specline list` shows them"))
    })
}

/// The log, for reading beside whoever writes it.
pub async fn open(args: &PlaceArgs) -> Result<Opened, Failure> {
    Location::find(args)?.open_to_read().await
}

/// The spec as it was after event `to`; as it is, without.
pub async fn spec_at(args: &PlaceArgs, id: SpecId, to: u64) -> Result<Arc<Spec>, Failure> {
    let store = AggregateStore::<Spec>::new(open(args).await?.log);
    let loaded = store.load_at(id.uuid(), to).await;
    let loaded = loaded.map_err(|error| Failure::failed(super::host::chain(&error)))?;
    if loaded.head.is_none() {
        return Err(Failure::failed(format!(
            "there is no spec {id} in this log; `specline list` shows those that are"
        )));
    }
    Ok(loaded.state)
}

pub fn view(spec: &Spec) -> Result<SpecView, Failure> {
    SpecView::of(spec).ok_or_else(|| Failure::failed("the spec has no first event"))
}

pub async fn show(args: &PlaceArgs, spec: &str, json: bool) -> Result<Exit, Failure> {
    let state = spec_at(args, parse_id(spec)?, u64::MAX).await?;
    let view = view(&state)?;
    if json {
        print::json(&view);
    } else {
        show_text(&view);
    }
    Ok(Exit::Completed)
}

/// A spec for people.
pub fn show_text(view: &SpecView) {
    print::data(&view.title);
    print::data(&format!("  spec        {}", view.id));
    let phase = view.phase.map_or("–", specline_aggregates::Phase::as_str);
    print::data(&format!("  status      {} (phase {phase})", view.status));
    print::data(&format!("  repository  {}", view.repository));
    let (run, epoch, version) = (view.run, view.epoch, view.version);
    print::data(&format!("  run {run}, sandbox epoch {epoch}, {version} events"));
    print::data(&format!("  agent       {}", view.agent));
    if let Some(error) = &view.error {
        print::data(&format!("  error       {} in {}: {}", error.kind, error.phase, error.reason));
    }
    print::data("");
    let rows: Vec<_> = view
        .phases
        .iter()
        .map(|phase| {
            vec![
                phase.phase.to_string(),
                phase.status.as_str().to_owned(),
                phase.attempts.to_string(),
                phase.score.map_or("–".to_owned(), |score| format!("{score}/1000")),
                phase.digest.map_or("–".to_owned(), |digest| digest.short()),
            ]
        })
        .collect();
    print::table(&["PHASE", "STATUS", "ATTEMPTS", "SCORE", "OUTPUT"], &rows);
    for phase in &view.phases {
        for finding in phase.findings.iter().filter(|f| !f.passed && !f.skipped) {
            print::data(&format!("  {} {}: {}", finding.rule, finding.place, finding.message));
        }
    }
    for file in &view.files {
        print::data(&format!("  wrote {}", file.path));
    }
}

pub async fn checkpoints(args: &PlaceArgs, spec: &str, json: bool) -> Result<Exit, Failure> {
    let state = spec_at(args, parse_id(spec)?, u64::MAX).await?;
    let view = view(&state)?;
    if json {
        print::json(&view.checkpoints);
        return Ok(Exit::Completed);
    }
    let rows: Vec<_> = view
        .checkpoints
        .iter()
        .map(|checkpoint| {
            vec![
                checkpoint.phase.to_string(),
                format!("{}/1000", checkpoint.score),
                checkpoint.run.to_string(),
                checkpoint.sequence.to_string(),
                checkpoint.digest.to_string(),
            ]
        })
        .collect();
    print::table(&["PHASE", "SCORE", "RUN", "SEQUENCE", "OUTPUT"], &rows);
    Ok(Exit::Completed)
}

/// Whose events are read, and after which.
struct Reading {
    log: Arc<dyn EventLog>,
    stream: Option<StreamId>,
    after: u64,
}

impl Reading {
    async fn next(&mut self) -> Result<Vec<Recorded>, Failure> {
        let page = match &self.stream {
            Some(stream) => self.log.read_stream(stream, self.after, PAGE).await,
            None => self.log.read_all(Position(self.after), PAGE).await,
        };
        let page = page.map_err(|error| Failure::failed(error.to_string()))?;
        if let Some(last) = page.last() {
            let whole = self.stream.is_none();
            self.after = if whole { last.position.0 } else { last.sequence };
        }
        Ok(page)
    }
}

pub async fn events(
    args: &PlaceArgs,
    spec: Option<String>,
    follow: bool,
    json: bool,
) -> Result<Exit, Failure> {
    let stream = match spec {
        Some(spec) => {
            let aggregate_id: Uuid = parse_id(&spec)?.uuid();
            Some(StreamId { aggregate_type: "Spec".to_owned(), aggregate_id })
        }
        None => None,
    };
    let mut reading = Reading { log: open(args).await?.log, stream, after: 0 };
    let mut seen = false;
    let mut interruptions = Interruptions::listen();
    loop {
        let page = reading.next().await?;
        seen |= !page.is_empty();
        let full = page.len() == PAGE;
        for row in page {
            print_event(row, json)?;
        }
        if full {
            continue;
        }
        if !follow {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = interruptions.next() => break,
        }
    }
    if !seen && reading.stream.is_some() {
        return Err(Failure::failed("there is no such spec in this log; see `specline list`"));
    }
    Ok(Exit::Completed)
}

fn print_event(row: Recorded, json: bool) -> Result<(), Failure> {
    if json {
        let event = EventView::try_from(row)
            .map_err(|error| Failure::failed(format!("an event is not JSON: {error}")))?;
        print::json_line(&event);
        return Ok(());
    }
    let metadata: serde_json::Value = serde_json::from_str(&row.metadata).unwrap_or_default();
    print::data(&format!(
        "{:>6}  {}  {} {} #{:<4} {:<20} {}",
        row.position,
        row.recorded_at,
        row.stream.aggregate_type,
        row.stream.aggregate_id,
        row.sequence,
        row.event_type,
        metadata["actor"].as_str().unwrap_or_default(),
    ));
    Ok(())
}
