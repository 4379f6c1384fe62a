//! Calls to the engine. A call is repeated until the engine answers it or the worker is told to
//! stop: the engine may be down, or may have moved to another address.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::Config;
use crate::protocol::Problem;
use crate::untrusted::read_text;

/// More than the file with the engine's addresses has.
const MAX_ADDRESS_BYTES: u64 = 64 * 1024;

/// First and longest wait between repeats.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Longest that a call may take. Then the engine may stand still, and the same call, under the same
/// key, goes to another.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);

/// The same for a long poll, which takes twenty seconds by itself.
const POLL_PATIENCE: Duration = Duration::from_secs(30);

/// How a call ended without an answer of its own kind.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The engine says no.
    #[error("{} ({})", .0.detail, .0.code)]
    Problem(Problem),
    /// The worker was told to stop first.
    #[error("called off")]
    Stopped,
    /// The engine answered something that this worker does not understand.
    #[error("the engine's answer cannot be read: {0}")]
    Unreadable(String),
    /// The agent was killed from outside. The sandbox ends as if it had been: that is a loss, which
    /// costs no attempt.
    #[error("the agent was killed; was there too little memory?")]
    AgentKilled,
}

impl CallError {
    /// Whether this sandbox is over: it must stop at once.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self {
            Self::Problem(problem) => {
                problem.code == "stale_epoch"
                    || problem.code == "spec_ended"
                    || problem.status == 401
            }
            Self::Stopped => true,
            Self::Unreadable(_) | Self::AgentKilled => false,
        }
    }
}

/// The engine, as one sandbox sees it.
pub struct Client {
    http: reqwest::Client,
    base: Mutex<Vec<String>>,
    current: AtomicUsize,
    api_file: Option<std::path::PathBuf>,
    sandbox: String,
    token: String,
    stop: CancellationToken,
}

/// One request.
struct Call<'a> {
    method: Method,
    path: &'a str,
    body: Option<String>,
    key: Option<&'a str>,
    /// After this the next address is tried.
    patience: Duration,
}

enum Tried {
    Answered(String),
    Again,
}

impl Client {
    pub fn new(config: &Config, stop: CancellationToken) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self {
            http,
            base: Mutex::new(config.api.clone()),
            current: AtomicUsize::new(0),
            api_file: config.api_file.clone(),
            sandbox: config.sandbox.to_string(),
            token: config.token.clone(),
            stop,
        })
    }

    /// POST under an idempotency key: repeats answer the same.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        key: Option<&str>,
    ) -> Result<T, CallError> {
        let body = serde_json::to_string(body).map_err(|e| CallError::Unreadable(e.to_string()))?;
        let (body, patience) = (Some(body), WRITE_PATIENCE);
        self.call(Call { method: Method::POST, path, body, key, patience }).await
    }

    /// POST of a sign of life, which is worth nothing when it comes late: an engine that has not
    /// answered in time may stand still, and another may hear it.
    pub async fn beat<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        patience: Duration,
    ) -> Result<T, CallError> {
        let body = serde_json::to_string(body).map_err(|e| CallError::Unreadable(e.to_string()))?;
        let (body, key) = (Some(body), None);
        self.call(Call { method: Method::POST, path, body, key, patience }).await
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        let (body, key, patience) = (None, None, POLL_PATIENCE);
        self.call(Call { method: Method::GET, path, body, key, patience }).await
    }

    async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, CallError> {
        let mut wait = FIRST_WAIT;
        loop {
            let tried = tokio::select! {
                tried = self.try_once(&call) => tried?,
                () = self.stop.cancelled() => return Err(CallError::Stopped),
            };
            if let Tried::Answered(text) = tried {
                return serde_json::from_str(&text)
                    .map_err(|error| CallError::Unreadable(error.to_string()));
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.cancelled() => return Err(CallError::Stopped),
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn try_once(&self, call: &Call<'_>) -> Result<Tried, CallError> {
        let base = self.base();
        let url = format!("{base}/api/v1/sandboxes/{}{}", self.sandbox, call.path);
        let mut request = self.http.request(call.method.clone(), &url).bearer_auth(&self.token);
        request = request.timeout(call.patience);
        if let Some(body) = &call.body {
            request = request.header("content-type", "application/json").body(body.clone());
        }
        if let Some(key) = call.key {
            request = request.header(crate::http::IDEMPOTENCY_KEY, key);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                tracing::info!(cause = %error, "the engine cannot be reached; trying again");
                self.look_elsewhere(&base);
                return Ok(Tried::Again);
            }
        };
        let status = response.status();
        let Ok(text) = response.text().await else { return Ok(Tried::Again) };
        if status.is_success() {
            return Ok(Tried::Answered(text));
        }
        let later = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT];
        if status.is_server_error() || later.contains(&status) {
            tracing::info!(%status, "the engine cannot answer now; trying again");
            self.look_elsewhere(&base);
            return Ok(Tried::Again);
        }
        match serde_json::from_str(&text) {
            Ok(problem) => Err(CallError::Problem(problem)),
            Err(error) => Err(CallError::Unreadable(format!("{status}: {error}"))),
        }
    }

    fn base(&self) -> String {
        let bases = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        let n = self.current.load(Ordering::Relaxed);
        bases.get(n % bases.len().max(1)).cloned().unwrap_or_default()
    }

    /// The next address of the list, and the one that the engine left in its file. A call that was
    /// slow to fail changes nothing when another call has moved on from its address meanwhile.
    fn look_elsewhere(&self, failed: &str) {
        if self.base() != failed {
            return;
        }
        let told = self.api_file.as_deref().map(read_addresses).unwrap_or_default();
        let mut bases = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = told.into_iter().find(|address| !bases.contains(address)) {
            bases.insert(0, found);
            self.current.store(0, Ordering::Relaxed);
            return;
        }
        self.current.fetch_add(1, Ordering::Relaxed);
    }
}

/// `{"api_url": …}`: one address, or several with commas between.
fn read_addresses(file: &Path) -> Vec<String> {
    let text = read_text(file, MAX_ADDRESS_BYTES).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let told = json["api_url"].as_str().unwrap_or_default().split(',');
    let told = told.map(|url| url.trim().trim_end_matches('/').to_owned());
    told.filter(|url| !url.is_empty()).collect()
}
