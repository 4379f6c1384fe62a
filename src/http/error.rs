//! Refusals as RFC 9457 problem documents. The one place where errors get their HTTP status.

use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use specline_aggregates::Finding;

use crate::engine::EngineError;
use crate::protocol::Problem;

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    detail: String,
    findings: Vec<Finding>,
    /// Seconds until it may be asked again.
    retry_after: Option<u64>,
}

impl Refusal {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status, code, detail, findings: Vec::new(), retry_after: None }
    }

    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", detail)
    }

    pub fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        let code = error.code();
        let status = status_of(&error);
        if status.is_server_error() {
            tracing::error!(code, cause = %error, "a call could not be answered");
        }
        // What went wrong inside stays inside.
        let detail = match &error {
            EngineError::Internal { what, .. } => (*what).to_owned(),
            EngineError::ReadModels(_) if status.is_server_error() => {
                "the read models cannot be used".to_owned()
            }
            EngineError::Transient(_) => {
                "the log cannot be used right now; ask again in a moment".to_owned()
            }
            EngineError::Refused { .. }
            | EngineError::TooMuch { .. }
            | EngineError::NotFound { .. }
            | EngineError::InvalidInput { .. }
            | EngineError::Snapshot(_)
            | EngineError::Busy(_)
            | EngineError::NotHere(_)
            | EngineError::Corrupt(_)
            | EngineError::Newer(_)
            | EngineError::ReadModels(_) => error.to_string(),
        };
        let retry_after = if let EngineError::TooMuch { wait: Some(wait), .. } = &error {
            Some(wait.as_secs() + 1)
        } else {
            None
        };
        let findings =
            if let EngineError::Refused { findings, .. } = error { findings } else { Vec::new() };
        Self { status, code, detail, findings, retry_after }
    }
}

fn status_of(error: &EngineError) -> StatusCode {
    match error {
        EngineError::ReadModels(specline_projections::Error::UnknownModel(_))
        | EngineError::NotFound { .. }
        | EngineError::Refused { code: "not_found", .. } => StatusCode::NOT_FOUND,
        EngineError::Refused {
            code: "invalid_input" | "gate_failed" | "idempotency_key_reused",
            ..
        }
        | EngineError::InvalidInput { .. }
        | EngineError::ReadModels(specline_projections::Error::InvalidCursor(_))
        | EngineError::Snapshot(_) => StatusCode::UNPROCESSABLE_ENTITY,
        EngineError::Refused { code: "programs_are_named", .. } => StatusCode::FORBIDDEN,
        EngineError::Refused { code: "version_conflict", .. } => StatusCode::PRECONDITION_FAILED,
        EngineError::TooMuch { .. } => StatusCode::TOO_MANY_REQUESTS,
        EngineError::Refused { code: "too_large", .. } => StatusCode::PAYLOAD_TOO_LARGE,
        EngineError::Refused { code: "corrupt", .. } | EngineError::Corrupt(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        EngineError::Refused { .. } | EngineError::NotHere(_) => StatusCode::CONFLICT,
        EngineError::Transient(_)
        | EngineError::Busy(_)
        | EngineError::Newer(_)
        | EngineError::ReadModels(_) => StatusCode::SERVICE_UNAVAILABLE,
        EngineError::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: super::docs::place(self.code),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            code: self.code.to_owned(),
            request_id: crate::request::current().map(|request| request.id),
            findings: self.findings,
        };
        let body = serde_json::to_string(&problem)
            .expect("a struct of strings and numbers is always valid JSON");
        let headers = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, headers, body).into_response();
        if self.status == StatusCode::REQUEST_TIMEOUT {
            // Nobody knows where in the body the caller is.
            let close = header::HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

pub(super) async fn no_such_route(method: Method, uri: Uri) -> Refusal {
    let detail = format!("there is nothing at {method} {}", uri.path());
    Refusal::new(StatusCode::NOT_FOUND, "no_such_route", detail)
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    let detail = format!("{method} is not for {}", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}
