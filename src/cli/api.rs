//! An engine's API, as the command line calls it: the one in this process, or another's.

use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use specline_aggregates::SpecId;

use super::{Exit, Failure};
use crate::http::ACTOR;
use crate::protocol::Problem;
use crate::view::{EventView, SpecView};

/// Why a call brought nothing.
#[derive(Debug)]
pub enum ApiError {
    /// Nobody answers there (any more).
    Unreachable(String),
    Problem(Problem),
    Unreadable(String),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Unreachable(cause) => {
                Self::new(Exit::Busy, format!("the engine does not answer: {cause}"))
            }
            ApiError::Problem(problem) => Self::of_problem(&problem),
            ApiError::Unreadable(cause) => {
                Self::failed(format!("the engine's answer cannot be read: {cause}"))
            }
        }
    }
}

impl Failure {
    fn of_problem(problem: &Problem) -> Self {
        let mut message = format!("{} ({})", problem.detail, problem.code);
        for finding in problem.findings.iter().filter(|finding| !finding.passed) {
            message
                .push_str(&format!("\n  {} {}: {}", finding.rule, finding.place, finding.message));
            if !finding.mend.is_empty() {
                message.push_str(&format!("\n    {}", finding.mend));
            }
        }
        let exit = if problem.status == 422 { Exit::Usage } else { Exit::Failed };
        Self::new(exit, message)
    }
}

/// Where an engine is, and the token that it takes.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
    actor: String,
}

impl Api {
    pub fn new(base: &str, token: &str) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(|error| Failure::failed(format!("no HTTP client: {error}")))?;
        Ok(Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
            actor: actor(),
        })
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.call(Method::GET, path, None, None).await
    }

    /// POST under a key of its own, so that a repeat of this very call does nothing twice.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        key: Option<&str>,
    ) -> Result<T, ApiError> {
        let body = serde_json::to_string(body).map_err(|e| ApiError::Unreadable(e.to_string()))?;
        self.call(Method::POST, path, Some(body), key).await
    }

    /// POST without a body.
    pub async fn order(&self, path: &str) -> Result<Value, ApiError> {
        self.post(path, &serde_json::json!({}), None).await
    }

    pub async fn spec(&self, id: SpecId) -> Result<SpecView, ApiError> {
        self.get(&format!("/api/v1/specs/{id}")).await
    }

    /// The spec's events after sequence `after`; waits up to `wait` seconds for the first.
    pub async fn events(
        &self,
        id: SpecId,
        after: u64,
        wait: u64,
    ) -> Result<Vec<EventView>, ApiError> {
        self.get(&format!("/api/v1/specs/{id}/events?after={after}&wait={wait}")).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        key: Option<&str>,
    ) -> Result<T, ApiError> {
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method, &url).bearer_auth(&self.token);
        request = request.header(ACTOR, &self.actor);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        if let Some(key) = key {
            request = request.header(crate::http::IDEMPOTENCY_KEY, key);
        }
        let unreachable = |error: reqwest::Error| ApiError::Unreachable(error.to_string());
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let text = response.text().await.map_err(unreachable)?;
        if status.is_success() {
            return serde_json::from_str(&text).map_err(|e| ApiError::Unreadable(e.to_string()));
        }
        match serde_json::from_str::<Problem>(&text) {
            // It is stopping, or cannot use its log: whoever takes the log next can.
            Ok(problem) if status == StatusCode::SERVICE_UNAVAILABLE => {
                Err(ApiError::Unreachable(problem.detail))
            }
            Ok(problem) => Err(ApiError::Problem(problem)),
            Err(_) => Err(ApiError::Unreadable(format!("{status}: {text}"))),
        }
    }
}

/// The person behind the command line, for the record.
fn actor() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let name = named("SPECLINE_ACTOR").or_else(|| named("USER")).or_else(|| named("LOGNAME"));
    let visible = |name: String| name.chars().filter(char::is_ascii_graphic).collect::<String>();
    name.map(visible).filter(|name| !name.is_empty()).unwrap_or_else(|| "operator".to_owned())
}
