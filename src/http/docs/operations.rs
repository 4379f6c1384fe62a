//! Every operation of the API, and those of specs.

use specline_projections::spec_detail::SpecDetail;

use super::operation::{Operation, get, patch, post};
use super::{log, work};
use crate::engine::{Attempt, ContextShown, Diff, DraftRequest, PhaseShown};
use crate::http::paging::{Paging, RequirementList, SpecPage, TaskPage, TimelinePage};
use crate::http::{export, history, reads, specs, tasks};
use crate::view::{EventView, SpecView};

const SPEC: &str = "/api/v1/specs/{id}";

pub(super) fn all() -> Vec<Operation> {
    let groups = [
        spec_commands(),
        phase_commands(),
        spec_reads(),
        spec_history(),
        work::work(),
        work::sandboxes(),
        work::worker_calls(),
        work::access(),
        log::log(),
        log::engine(),
    ];
    groups.into_iter().flatten().collect()
}

/// A command on a spec.
pub(super) fn order(path: &'static str, id: &'static str, what: &'static str) -> Operation {
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
            .query::<reads::Past>()
            .gives::<SpecView>(),
        get("/api/v1/specs/{id}/detail", "spec_detail", "A spec's read model: attempts and times.")
            .query::<tasks::Freshness>()
            .gives::<SpecDetail>(),
        get("/api/v1/specs/{id}/phases", "list_phases", "A spec's phases.")
            .query::<tasks::Freshness>()
            .gives::<history::Phases>(),
        get("/api/v1/specs/{id}/phases/{phase}", "read_phase", "A phase with its output.")
            .query::<tasks::Freshness>()
            .gives::<PhaseShown>(),
        get("/api/v1/specs/{id}/context", "read_context", "Exactly what a phase's agent gets.")
            .query::<reads::ContextQuery>()
            .gives::<ContextShown>(),
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
            .query::<tasks::Freshness>()
            .gives::<history::Checkpoints>(),
        get(
            "/api/v1/specs/{id}/phases/{phase}/attempts/{n}",
            "read_attempt",
            "One attempt: its digests, output, verdicts and usage.",
        )
        .query::<tasks::Freshness>()
        .gives::<Attempt>(),
        get("/api/v1/specs/{id}/diff", "diff_spec", "What is different between two versions.")
            .query::<history::DiffQuery>()
            .gives::<Diff>(),
    ]
}
