//! The page of each error code, as `docs/errors/` has it.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::http::error::Refusal;
use crate::http::extract::Path;

macro_rules! pages {
    ($($code:literal),+ $(,)?) => {
        /// Every code and its page.
        pub const ERRORS: &[(&str, &str)] = &[
            $(($code, include_str!(concat!("../../../docs/errors/", $code, ".md")))),+
        ];
    };
}

pages![
    "already_exists",
    "body_too_large",
    "body_too_slow",
    "body_unreadable",
    "budget_exceeded",
    "corrupt",
    "digest_mismatch",
    "foreign_origin",
    "gate_failed",
    "idempotency_key_reused",
    "internal",
    "invalid_cursor",
    "invalid_header",
    "invalid_input",
    "invalid_json",
    "invalid_path",
    "invalid_query",
    "log_changed",
    "method_not_allowed",
    "newer_peer",
    "no_such_route",
    "not_found",
    "not_here",
    "not_sealed",
    "not_yours",
    "phase_not_open",
    "phase_not_reachable",
    "position_ahead",
    "programs_are_named",
    "project_bound",
    "rate_limited",
    "read_models_unavailable",
    "repository_unreadable",
    "sandbox_allowance_spent",
    "scope_missing",
    "spec_ended",
    "spec_paused",
    "stale_attempt",
    "stale_context",
    "stale_epoch",
    "task_ended",
    "tasks_open",
    "ticket_ended",
    "too_early",
    "too_large",
    "too_many_failed_logins",
    "too_many_streams",
    "unauthorized",
    "unavailable",
    "unsupported_media_type",
    "uri_too_long",
    "version_conflict",
    "wrong_manifest",
    "wrong_status",
];

/// Where the page of `code` is.
pub(in crate::http) fn place(code: &str) -> String {
    format!("/api/docs/errors/{code}")
}

pub(in crate::http) async fn error(Path(code): Path<String>) -> Result<Response, Refusal> {
    let page = ERRORS.iter().find(|(known, _)| *known == code);
    let missing = || {
        let detail = format!("there is no error code {code:?}");
        Refusal::new(StatusCode::NOT_FOUND, "not_found", detail)
    };
    let (_, page) = page.ok_or_else(missing)?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], *page).into_response())
}
