//! The operations of the log and of the engine itself.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::operation::{Header, Operation, get, post};
use crate::engine::ProgramsShown;
use crate::engine::audit::{Consistency, Proof, Trace};
use crate::engine::backtest::{Change, Report};
use crate::http::conditions::{EventsQuery, StreamQuery};
use crate::http::{answers, audit, lists, tasks};
use crate::view::EventView;

pub(super) fn log() -> Vec<Operation> {
    vec![
        get("/api/v1/audit/events", "audit_events", "Events of the whole log, by what they say.")
            .query::<EventsQuery>()
            .gives::<audit::EventList>()
            .lines::<EventView>(&["application/x-ndjson", "text/csv"]),
        get("/api/v1/audit/events/{position}/trace", "trace_event", "Its causes and effects.")
            .query::<tasks::Freshness>()
            .gives::<Trace>(),
        get("/api/v1/audit/verify", "verify_log", "Whether hashes and seals are right.")
            .query::<audit::VerifyQuery>()
            .gives::<audit::Verified>(),
        get("/api/v1/audit/seals", "list_seals", "The seals of the log, oldest first.")
            .query::<audit::SealsQuery>()
            .gives::<audit::SealList>(),
        get("/api/v1/audit/proof/{position}", "prove_event", "That an event is under a seal.")
            .query::<audit::ProofQuery>()
            .gives::<Proof>(),
        get("/api/v1/audit/consistency", "prove_consistency", "That a seal continues another.")
            .query::<audit::ConsistencyQuery>()
            .gives::<Consistency>(),
        get("/api/v1/events/stream", "stream_events", "Events as they come, server-sent.")
            .query::<StreamQuery>()
            .lines::<EventView>(&["text/event-stream"])
            .reads(LAST_EVENT_ID),
    ]
}

const LAST_EVENT_ID: Header = (
    "Last-Event-ID",
    "The id of the last event that came: the stream goes on behind it.",
    "^[0-9]{1,18}$",
);

/// What the document says of itself.
fn own(_: &mut SchemaGenerator) -> Schema {
    let named = json!({ "type": "object", "additionalProperties": { "type": "object" } });
    json_schema!({
        "type": "object",
        "required": ["openapi", "info", "servers", "paths", "components"],
        "properties": {
            "openapi": { "type": "string", "const": "3.1.0" },
            "info": {
                "type": "object",
                "required": ["title", "version"],
                "properties": { "title": { "type": "string" }, "version": { "type": "string" } },
            },
            "servers": {
                "type": "array",
                "items": { "type": "object", "properties": { "url": { "type": "string" } } },
            },
            "paths": named,
            "components": named,
        },
    })
}

pub(super) fn engine() -> Vec<Operation> {
    vec![
        get("/api/v1/agents", "list_agents", "Agents and evaluators that a policy may name.")
            .query::<tasks::Freshness>()
            .gives::<ProgramsShown>(),
        get("/api/v1/projections", "list_projections", "Where the read models stand.")
            .query::<tasks::Freshness>()
            .gives::<answers::ProjectionList>(),
        post("/api/v1/projections/{name}/rebuild", "rebuild_projection", "Builds one anew.")
            .takes::<tasks::NothingMore>()
            .gives::<lists::Rebuilt>(),
        post("/api/v1/gates/backtest", "backtest_gates", "What a changed gate would have said.")
            .takes::<Change>()
            .gives::<Report>(),
        get("/health/live", "live", "Whether the engine lives.").gives::<answers::Health>(),
        get("/health/ready", "ready", "Whether it can take work.")
            .gives::<answers::Health>()
            .or::<answers::Health>(503),
        get("/metrics", "metrics", "Figures for Prometheus.").text(&["text/plain"]),
        get("/api/openapi.json", "openapi", "This document.").gives_schema(own),
        get("/api/docs", "docs", "A page that shows this document.").text(&["text/html"]),
        get("/api/docs/page.js", "docs_script", "The page's script.").text(&["text/javascript"]),
        get("/api/docs/page.css", "docs_style", "The page's style.").text(&["text/css"]),
        get("/api/docs/errors/{code}", "docs_error", "What an error code means.")
            .text(&["text/markdown"]),
    ]
}
