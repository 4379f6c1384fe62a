//! Audit queries over the whole log, as JSON, NDJSON or CSV, and the proofs of the seals.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Api;
use super::auth::Principal;
use super::conditions::EventsQuery;
use super::error::Refusal;
use super::extract::{Path, Query};
use super::paging::Limit;
use super::tasks::Freshness;
use crate::engine::audit::{self, Consistency, LogIdentity, Proof, SealView, Words};
use crate::view::EventView;

/// Where pages of lines name the next one.
const NEXT: &str = "specline-next-cursor";

/// A page of events.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EventList {
    events: Vec<EventView>,
    /// There may be more; a page may have few events, or none, and still have this.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

pub(super) async fn events(
    State(api): State<Api>,
    principal: Principal,
    headers: HeaderMap,
    Query(query): Query<EventsQuery>,
) -> Result<Response, Refusal> {
    api.logged(query.at_least).await?;
    let identity = api.engine.log_identity();
    let after = query.after.as_deref().map(|after| position_of(after, identity)).transpose()?;
    let asked = audit::Query {
        filter: query.filter(&principal),
        order: query.order.into(),
        after: after.map(audit::Position),
        limit: query.limit.get() as usize,
    };
    let page = api.engine.find_events(&asked).await?;
    let next = page.next.map(|position| cursor(identity, position.0));
    let events = page.events.into_iter().map(audit::view).collect::<Result<Vec<_>, _>>()?;
    Ok(match format_of(&headers) {
        Format::Json => Json(EventList { events, next_cursor: next }).into_response(),
        Format::Lines => lines("application/x-ndjson", next, ndjson(&events)),
        Format::Csv => lines("text/csv; charset=utf-8", next, csv(&events)),
    })
}

enum Format {
    Json,
    Lines,
    Csv,
}

fn format_of(headers: &HeaderMap) -> Format {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let accepted = accepted.unwrap_or_default().to_ascii_lowercase();
    if accepted.contains("text/csv") {
        Format::Csv
    } else if accepted.contains("application/x-ndjson") {
        Format::Lines
    } else {
        Format::Json
    }
}

fn lines(kind: &'static str, next: Option<String>, body: String) -> Response {
    let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
    if let Some(next) = next.and_then(|next| next.parse().ok()) {
        response.headers_mut().insert(NEXT, next);
    }
    response
}

fn ndjson(events: &[EventView]) -> String {
    let mut text = String::new();
    for event in events {
        // What is kept verbatim may hold line breaks; in valid JSON they stand between values only.
        let line = serde_json::to_string(event).unwrap_or_default().replace(['\n', '\r'], " ");
        text.push_str(&line);
        text.push('\n');
    }
    text
}

const HEADS: &str = "position,recorded_at,aggregate_type,aggregate_id,sequence,event_type,\
     event_version,actor,project_id,correlation_id,causation_id,hash,payload,metadata\r\n";

fn csv(events: &[EventView]) -> String {
    let mut text = HEADS.to_owned();
    for event in events {
        let words = Words::parse(event.metadata.text());
        let word = Option::unwrap_or_default;
        let numbers = (event.position, event.recorded_at, event.aggregate_id, event.sequence);
        let _ = write!(text, "{},{},", numbers.0, numbers.1);
        cell(&mut text, &event.aggregate_type);
        let _ = write!(text, ",{},{}", numbers.2, numbers.3);
        let cells = [
            event.event_type.clone(),
            event.event_version.clone(),
            word(words.actor),
            word(words.project_id),
            word(words.correlation_id),
            word(words.causation_id),
            event.hash.to_string(),
            event.payload.text().to_owned(),
            event.metadata.text().to_owned(),
        ];
        for value in &cells {
            text.push(',');
            cell(&mut text, value);
        }
        text.push_str("\r\n");
    }
    text
}

/// RFC 4180, always quoted. A text that a spreadsheet would take for a formula gets an apostrophe
/// in front.
fn cell(text: &mut String, value: &str) {
    text.push('"');
    if value.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        text.push('\'');
    }
    text.push_str(&value.replace('"', "\"\""));
    text.push('"');
}

/// Version of the cursors' form.
const CURSOR: u8 = 1;

/// Bytes of a cursor: version, log, incarnation, position, and a check sum.
const CURSOR_BYTES: usize = 1 + 16 + 4 + 8 + 4;

pub(super) fn cursor(log: LogIdentity, position: u64) -> String {
    let mut bytes = Vec::with_capacity(CURSOR_BYTES);
    bytes.push(CURSOR);
    bytes.extend(log.log_id.as_bytes());
    bytes.extend(log.incarnation.to_be_bytes());
    bytes.extend(position.to_be_bytes());
    let sum = blake3::hash(&bytes);
    bytes.extend(&sum.as_bytes()[..4]);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position that `after` names: itself, or that of a cursor of this very log.
pub(super) fn position_of(after: &str, log: LogIdentity) -> Result<u64, Refusal> {
    if let Ok(position) = after.parse() {
        return Ok(position);
    }
    let invalid = |detail: &str| {
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_cursor", detail.to_owned())
    };
    let bytes = URL_SAFE_NO_PAD.decode(after).unwrap_or_default();
    let broken = "this is no cursor of an audit query; begin without one";
    let bytes: [u8; CURSOR_BYTES] = bytes.try_into().map_err(|_| invalid(broken))?;
    let position = u64::from_be_bytes(bytes[21..29].try_into().map_err(|_| invalid(broken))?);
    let sum = blake3::hash(&bytes[..29]);
    if bytes[0] != CURSOR || bytes[29..] != sum.as_bytes()[..4] {
        return Err(invalid(broken));
    }
    if &bytes[1..17] != log.log_id.as_bytes() || bytes[17..21] != log.incarnation.to_be_bytes() {
        return Err(invalid("this cursor is of another log, or of one before it was restored"));
    }
    Ok(position)
}

pub(super) async fn trace(
    State(api): State<Api>,
    _: Principal,
    Path(position): Path<u64>,
    Query(query): Query<Freshness>,
) -> Result<Json<audit::Trace>, Refusal> {
    api.logged(query.at_least).await?;
    Ok(Json(api.engine.trace(position).await?))
}

/// Which part of the log to check.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyQuery {
    /// The first position; that of the whole log when it is left out.
    from: Option<u64>,
    /// The last position; that of the whole log when it is left out.
    to: Option<u64>,
    /// The position of a write that the answer must have seen.
    at_least: Option<u64>,
}

/// What a check of the log found.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Verified {
    ok: bool,
    /// Events that were checked.
    events: u64,
    /// Position of the last of them.
    checked_to: u64,
    /// Seals that were checked.
    seals: u64,
    first_bad_position: Option<u64>,
    /// What is wrong there, in words.
    fault: Option<String>,
    /// Where to go on: one call checks so many events and no more. None: all was checked.
    next_from: Option<u64>,
}

/// Checks a part of the log that one call can: the answer says where to go on.
pub(super) async fn verify(
    State(api): State<Api>,
    _: Principal,
    Query(query): Query<VerifyQuery>,
) -> Result<Json<Verified>, Refusal> {
    api.logged(query.at_least).await?;
    let from = query.from.unwrap_or(1).max(1);
    let report = api.engine.check_log(from, query.to).await?;
    let end = query.to.unwrap_or(u64::MAX).min(api.engine.head());
    let more = report.fault.is_none() && report.checked_to.0 < end;
    Ok(Json(Verified {
        ok: report.fault.is_none(),
        events: report.events,
        checked_to: report.checked_to.0,
        seals: report.seals,
        first_bad_position: report.fault.as_ref().map(|fault| fault.position.0),
        fault: report.fault.map(|fault| fault.cause.to_string()),
        next_from: more.then_some(report.checked_to.0 + 1),
    }))
}

/// Which seals to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SealsQuery {
    /// Only seals of more events than this.
    #[serde(default)]
    after: u64,
    #[serde(default)]
    limit: Limit,
    /// The position of a write that the answer must have seen.
    at_least: Option<u64>,
}

/// A page of seals, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SealList {
    /// Which log it is.
    #[schemars(with = "specline_aggregates::SpecId")]
    log_id: Uuid,
    seals: Vec<SealView>,
    /// Give it as `after` for the page that follows; none at the end.
    next_after: Option<u64>,
}

pub(super) async fn seals(
    State(api): State<Api>,
    _: Principal,
    Query(query): Query<SealsQuery>,
) -> Result<Json<SealList>, Refusal> {
    api.logged(query.at_least).await?;
    let limit = query.limit.get() as usize;
    let seals = api.engine.seals(query.after, limit).await?;
    let next_after = seals.last().filter(|_| seals.len() == limit).map(|seal| seal.n);
    let log_id = api.engine.log_identity().log_id;
    Ok(Json(SealList { log_id, seals: seals.iter().map(SealView::from).collect(), next_after }))
}

/// Under which seal to prove an event.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofQuery {
    /// Size of the seal; the latest when it is left out.
    size: Option<u64>,
    /// The position of a write that the answer must have seen.
    at_least: Option<u64>,
}

pub(super) async fn proof(
    State(api): State<Api>,
    _: Principal,
    Path(position): Path<u64>,
    Query(query): Query<ProofQuery>,
) -> Result<Json<Proof>, Refusal> {
    api.logged(query.at_least).await?;
    Ok(Json(api.engine.prove(position, query.size).await?))
}

/// Two seals.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsistencyQuery {
    /// Size of the earlier seal.
    first: u64,
    /// Size of the later seal; the latest when it is left out.
    second: Option<u64>,
    /// The position of a write that the answer must have seen.
    at_least: Option<u64>,
}

pub(super) async fn consistency(
    State(api): State<Api>,
    _: Principal,
    Query(query): Query<ConsistencyQuery>,
) -> Result<Json<Consistency>, Refusal> {
    api.logged(query.at_least).await?;
    Ok(Json(api.engine.prove_consistency(query.first, query.second).await?))
}
