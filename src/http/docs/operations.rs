//! Every operation of the API.

use specline_aggregates::RawJson;
use specline_projections::sandboxes::SandboxLine;
use specline_projections::spec_detail::SpecDetail;
use specline_projections::task_queue::TaskLine;
use specline_projections::tickets::TicketLine;

use super::operation::{Operation, get, patch, post};
use crate::engine::backtest::{Change, Report};
use crate::engine::{Attempt, Diff, DraftRequest, NewProject, ProjectRevision, Why};
use crate::http::paging::{
    Paging, RequirementList, SandboxPage, SpecPage, TaskPage, TicketPage, TimelinePage,
};
use crate::http::{access_keys, export, history, lists, reads, sandbox_lines, specs, tasks};
use crate::protocol;
use crate::view::{EventView, SpecView};

const SPEC: &str = "/api/v1/specs/{id}";

pub(super) fn all() -> Vec<Operation> {
    let groups = [
        spec_commands(),
        phase_commands(),
        spec_reads(),
        spec_history(),
        work(),
        sandboxes(),
        worker_calls(),
        access(),
        log(),
        engine(),
    ];
    groups.into_iter().flatten().collect()
}

/// A command on a spec.
fn order(path: &'static str, id: &'static str, what: &'static str) -> Operation {
    post(path, id, what).gives::<specs::Written>().conditional()
}

fn spec_commands() -> Vec<Operation> {
    vec![
        post("/api/v1/specs", "draft_spec", "Drafts a spec.")
            .takes::<DraftRequest>()
            .gives::<specs::Written>()
            .status(201),
        post("/api/v1/specs/launch", "launch_spec", "Drafts a spec and starts it.")
            .takes::<DraftRequest>()
            .gives::<specs::Launched>()
            .status(202),
        patch(SPEC, "revise_spec", "Changes a spec's title or description.")
            .takes::<specs::RevisionBody>()
            .gives::<specs::Written>()
            .conditional(),
        order("/api/v1/specs/{id}/execute", "execute_spec", "Starts a spec; twice is fine.")
            .takes::<specs::ActionBody>()
            .gives::<specs::Execution>()
            .status(202),
        order("/api/v1/specs/{id}/resume", "resume_spec", "Goes on with a paused spec.")
            .takes::<specs::ActionBody>()
            .status(202),
        order("/api/v1/specs/{id}/pause", "pause_spec", "Lets what runs finish, and stops.")
            .takes::<specs::ActionBody>(),
        order("/api/v1/specs/{id}/cancel", "cancel_spec", "Ends a spec for good.")
            .takes::<specs::ActionBody>(),
        order("/api/v1/specs/{id}/retry", "retry_spec", "Does a phase and the later ones again.")
            .takes::<specs::RetryBody>()
            .status(202),
        order("/api/v1/specs/{id}/fork", "fork_spec", "A new spec from a past event of this one.")
            .takes::<specs::ForkBody>()
            .gives::<specs::Forked>()
            .status(201),
        order("/api/v1/specs/{id}/comments", "comment_on_spec", "Adds a comment to a spec's log.")
            .takes::<tasks::CommentBody>(),
        order(
            "/api/v1/specs/{id}/tickets/{ticket_id}",
            "link_ticket",
            "Links a spec and a ticket.",
        )
        .takes::<tasks::NothingMore>(),
    ]
}

fn phase_commands() -> Vec<Operation> {
    vec![
        order(
            "/api/v1/specs/{id}/phases/{phase}/approve",
            "approve_phase",
            "Approves the output that waits; names the digest that was judged.",
        )
        .takes::<specs::ApprovalBody>(),
        order(
            "/api/v1/specs/{id}/phases/{phase}/reject",
            "reject_phase",
            "Sends the output that waits back, with feedback for the next attempt.",
        )
        .takes::<specs::RejectionBody>(),
        order(
            "/api/v1/specs/{id}/phases/{phase}/edit",
            "edit_phase",
            "Puts a person's own output in the place of a phase's, through the same gate.",
        )
        .takes::<specs::EditBody>(),
    ]
}

fn spec_reads() -> Vec<Operation> {
    vec![
        get("/api/v1/specs", "list_specs", "Specs, newest first.")
            .query::<reads::ListQuery>()
            .gives::<SpecPage>(),
        get(SPEC, "read_spec", "A spec as it is, or as it was at a version or a time.")
            .query::<reads::AsOf>()
            .gives::<SpecView>(),
        get("/api/v1/specs/{id}/detail", "spec_detail", "A spec's read model: attempts and times.")
            .query::<tasks::Freshness>()
            .gives::<SpecDetail>(),
        get("/api/v1/specs/{id}/phases", "list_phases", "A spec's phases.")
            .gives::<history::Phases>(),
        get("/api/v1/specs/{id}/phases/{phase}", "read_phase", "A phase with its output.")
            .gives::<reads::PhaseAnswer>(),
        get("/api/v1/specs/{id}/context", "read_context", "Exactly what a phase's agent gets.")
            .query::<reads::ContextQuery>(),
        get("/api/v1/specs/{id}/requirements", "list_requirements", "What a spec requires.")
            .query::<tasks::Freshness>()
            .gives::<RequirementList>(),
        get("/api/v1/specs/{id}/tasks", "list_tasks_of_spec", "The tasks that a spec made.")
            .query::<Paging>()
            .gives::<TaskPage>(),
        get(
            "/api/v1/specs/{id}/traceability",
            "traceability",
            "Which requirement leads to which components and tasks.",
        )
        .query::<tasks::Freshness>()
        .gives::<tasks::Traceability>(),
        get("/api/v1/specs/{id}/export", "export_spec", "A spec in the folder shape of a tool.")
            .query::<export::ExportQuery>()
            .gives::<export::Export>(),
    ]
}

fn spec_history() -> Vec<Operation> {
    vec![
        get("/api/v1/specs/{id}/events", "read_events", "A spec's own log.")
            .query::<reads::EventsQuery>()
            .gives::<Vec<EventView>>(),
        get("/api/v1/specs/{id}/timeline", "read_timeline", "What happened, a sentence each.")
            .query::<Paging>()
            .gives::<TimelinePage>(),
        get("/api/v1/specs/{id}/checkpoints", "list_checkpoints", "The accepted outputs.")
            .gives::<history::Checkpoints>(),
        get(
            "/api/v1/specs/{id}/phases/{phase}/attempts/{n}",
            "read_attempt",
            "One attempt: its digests, output, verdicts and usage.",
        )
        .gives::<Attempt>(),
        get("/api/v1/specs/{id}/diff", "diff_spec", "What is different between two versions.")
            .query::<history::DiffQuery>()
            .gives::<Diff>(),
    ]
}

fn work() -> Vec<Operation> {
    vec![
        get("/api/v1/tasks", "list_tasks", "Tasks, oldest first.")
            .query::<lists::TaskQuery>()
            .gives::<TaskPage>(),
        get("/api/v1/tasks/{id}", "read_task", "A task.")
            .query::<tasks::Freshness>()
            .gives::<TaskLine>(),
        get("/api/v1/tasks/{id}/why", "why_task", "Why a task was or was not chosen.")
            .gives::<Why>(),
        get("/api/v1/tickets", "list_tickets", "Tickets, oldest first.")
            .query::<lists::TicketQuery>()
            .gives::<TicketPage>(),
        get("/api/v1/tickets/{id}", "read_ticket", "A ticket.")
            .query::<tasks::Freshness>()
            .gives::<TicketLine>(),
    ]
}

fn sandboxes() -> Vec<Operation> {
    vec![
        get("/api/v1/sandboxes", "list_sandboxes", "Sandboxes, newest first.")
            .query::<sandbox_lines::SandboxQuery>()
            .gives::<SandboxPage>(),
        get("/api/v1/sandboxes/{id}", "read_sandbox", "A sandbox.")
            .query::<tasks::Freshness>()
            .gives::<SandboxLine>(),
        order(
            "/api/v1/sandboxes/{id}/terminate",
            "terminate_sandbox",
            "Ends a sandbox; its spec asks for the next one where it goes on.",
        )
        .takes::<tasks::NothingMore>()
        .status(202),
    ]
}

fn worker_calls() -> Vec<Operation> {
    vec![
        post("/api/v1/sandboxes/{id}/attach", "worker_attach", "The worker is up.")
            .takes::<protocol::Attach>()
            .gives::<protocol::Assignment>(),
        post("/api/v1/sandboxes/{id}/heartbeat", "worker_heartbeat", "The worker lives.")
            .takes::<protocol::HeartbeatReport>()
            .gives::<protocol::HeartbeatAnswer>(),
        post("/api/v1/sandboxes/{id}/steps", "worker_step", "A durable step of an attempt.")
            .takes::<protocol::StepReport>()
            .gives::<protocol::StepAnswer>(),
        post("/api/v1/sandboxes/{id}/output", "worker_output", "The output of an attempt.")
            .takes::<protocol::Submission>()
            .gives::<protocol::SubmissionAnswer>(),
        post("/api/v1/sandboxes/{id}/failure", "worker_failure", "An attempt without an output.")
            .takes::<protocol::FailureReport>()
            .gives::<protocol::FailureAnswer>(),
        get("/api/v1/sandboxes/{id}/assignment", "worker_assignment", "What to do now.")
            .query::<crate::http::sandboxes::Poll>()
            .gives::<protocol::Assignment>(),
        post("/api/v1/sandboxes/{id}/events", "worker_events", "What is worth keeping.")
            .takes::<protocol::Notes>()
            .status(202),
        get("/api/v1/sandboxes/{id}/context/{digest}", "worker_context", "A large context.")
            .gives::<RawJson>(),
        post("/api/v1/sandboxes/{id}/detach", "worker_detach", "The worker ends.")
            .takes::<protocol::Detach>(),
    ]
}

fn access() -> Vec<Operation> {
    vec![
        post("/api/v1/projects", "create_project", "Names a repository and its policy.")
            .takes::<NewProject>()
            .status(201),
        get("/api/v1/projects", "list_projects", "Projects, oldest first.").query::<Paging>(),
        get("/api/v1/projects/{id}", "read_project", "A project."),
        patch("/api/v1/projects/{id}", "revise_project", "Changes a project.")
            .takes::<ProjectRevision>()
            .conditional(),
        post("/api/v1/keys", "create_key", "Makes a key; only this answer shows it.")
            .takes::<access_keys::NewKey>()
            .status(201),
        get("/api/v1/keys", "list_keys", "Keys, without their secrets.").query::<Paging>(),
        post("/api/v1/keys/{id}/revoke", "revoke_key", "Takes a key back; twice is fine.")
            .takes::<access_keys::RevokeBody>(),
    ]
}

fn log() -> Vec<Operation> {
    const LINES: &[&str] = &["application/json", "application/x-ndjson", "text/csv"];
    vec![
        get("/api/v1/audit/events", "audit_events", "Events of the whole log, by what they say.")
            .text(LINES),
        get("/api/v1/audit/events/{position}/trace", "trace_event", "Its causes and effects."),
        get("/api/v1/audit/verify", "verify_log", "Whether hashes and seals are right."),
        get("/api/v1/audit/seals", "list_seals", "The seals of the log."),
        get("/api/v1/audit/proof/{position}", "prove_event", "That an event is under a seal."),
        get("/api/v1/audit/consistency", "prove_consistency", "That a seal continues another."),
        get("/api/v1/events/stream", "stream_events", "Events as they come, server-sent.")
            .text(&["text/event-stream"]),
    ]
}

fn engine() -> Vec<Operation> {
    vec![
        get("/api/v1/projections", "list_projections", "Where the read models stand."),
        post("/api/v1/projections/{name}/rebuild", "rebuild_projection", "Builds one anew.")
            .gives::<lists::Rebuilt>(),
        post("/api/v1/gates/backtest", "backtest_gates", "What a changed gate would have said.")
            .takes::<Change>()
            .gives::<Report>(),
        get("/health/live", "live", "Whether the engine lives."),
        get("/health/ready", "ready", "Whether it can take work."),
        get("/metrics", "metrics", "Figures for Prometheus.").text(&["text/plain"]),
        get("/api/openapi.json", "openapi", "This document."),
        get("/api/docs", "docs", "A page that shows this document.").text(&["text/html"]),
        get("/api/docs/page.js", "docs_script", "The page's script.").text(&["text/javascript"]),
        get("/api/docs/page.css", "docs_style", "The page's style.").text(&["text/css"]),
        get("/api/docs/errors/{code}", "docs_error", "What an error code means.")
            .text(&["text/markdown"]),
    ]
}
