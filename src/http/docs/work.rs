//! The operations of tasks, tickets, sandboxes, workers, projects and keys.

use specline_aggregates::spec::Context;
use specline_projections::sandboxes::SandboxLine;
use specline_projections::task_queue::TaskLine;
use specline_projections::tickets::TicketLine;

use super::operation::{Operation, get, patch, post};
use super::operations::order;
use crate::engine::{NewProject, ProjectRevision, Why};
use crate::http::paging::{Paging, SandboxPage, TaskPage, TicketPage};
use crate::http::sandboxes as worker;
use crate::http::{access_keys, answers, lists, sandbox_lines, tasks};
use crate::protocol;

pub(super) fn work() -> Vec<Operation> {
    vec![
        get("/api/v1/tasks", "list_tasks", "Tasks, oldest first.")
            .query::<lists::TaskQuery>()
            .gives::<TaskPage>(),
        get("/api/v1/tasks/{id}", "read_task", "A task.")
            .query::<tasks::Freshness>()
            .gives::<TaskLine>(),
        get("/api/v1/tasks/{id}/why", "why_task", "Why a task was or was not chosen.")
            .query::<tasks::Freshness>()
            .gives::<Why>(),
        get("/api/v1/tickets", "list_tickets", "Tickets, oldest first.")
            .query::<lists::TicketQuery>()
            .gives::<TicketPage>(),
        get("/api/v1/tickets/{id}", "read_ticket", "A ticket.")
            .query::<tasks::Freshness>()
            .gives::<TicketLine>(),
    ]
}

pub(super) fn sandboxes() -> Vec<Operation> {
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

pub(super) fn worker_calls() -> Vec<Operation> {
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
            .query::<worker::Poll>()
            .gives::<protocol::Assignment>(),
        post("/api/v1/sandboxes/{id}/events", "worker_events", "What is worth keeping.")
            .takes::<protocol::Notes>()
            .gives::<worker::Kept>()
            .status(202),
        get("/api/v1/sandboxes/{id}/context/{digest}", "worker_context", "A large context.")
            .gives::<Context>(),
        post("/api/v1/sandboxes/{id}/detach", "worker_detach", "The worker ends.")
            .takes::<protocol::Detach>()
            .gives::<worker::Detached>(),
    ]
}

pub(super) fn access() -> Vec<Operation> {
    vec![
        post("/api/v1/projects", "create_project", "Names a repository and its policy.")
            .takes::<NewProject>()
            .gives::<answers::ProjectWritten>()
            .status(201),
        get("/api/v1/projects", "list_projects", "Projects, oldest first.")
            .query::<Paging>()
            .gives::<answers::ProjectPage>(),
        get("/api/v1/projects/{id}", "read_project", "A project.")
            .query::<tasks::Freshness>()
            .gives::<answers::ProjectShown>(),
        patch("/api/v1/projects/{id}", "revise_project", "Changes a project.")
            .takes::<ProjectRevision>()
            .gives::<answers::ProjectWritten>()
            .conditional(),
        post("/api/v1/keys", "create_key", "Makes a key; only this answer shows it.")
            .takes::<access_keys::NewKey>()
            .gives::<answers::KeyMade>()
            .status(201),
        get("/api/v1/keys", "list_keys", "Keys, without their secrets.")
            .query::<Paging>()
            .gives::<answers::KeyPage>(),
        post("/api/v1/keys/{id}/revoke", "revoke_key", "Takes a key back; twice is fine.")
            .takes::<access_keys::RevokeBody>()
            .gives::<answers::KeyWritten>()
            .conditional(),
    ]
}
