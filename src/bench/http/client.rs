//! One caller: a connection that is kept, and one request at a time.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Serialize;

use crate::bench::failed;
use crate::cli::Failure;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// One request.
pub(super) struct Ask<'a> {
    pub method: Method,
    pub path: String,
    pub token: &'a str,
    pub body: Option<String>,
    pub key: Option<String>,
}

impl<'a> Ask<'a> {
    pub(super) fn get(path: impl Into<String>, token: &'a str) -> Self {
        Self { method: Method::GET, path: path.into(), token, body: None, key: None }
    }

    pub(super) fn post(
        path: String,
        token: &'a str,
        body: &impl Serialize,
    ) -> Result<Self, Failure> {
        let body = serde_json::to_string(body).map_err(|error| failed("a body", error))?;
        Ok(Self { method: Method::POST, path, token, body: Some(body), key: None })
    }

    pub(super) fn keyed(mut self, key: String) -> Self {
        self.key = Some(key);
        self
    }
}

pub(super) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    pub(super) fn new(base: &str) -> Result<Self, Failure> {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
        let http = http.map_err(|error| failed("a client cannot be made", error))?;
        Ok(Self { http, base: base.to_owned() })
    }

    /// The answer, and the time until the last of it was here. Anything but success ends the
    /// measurement.
    pub(super) async fn send(&self, ask: Ask<'_>) -> Result<(String, Duration), Failure> {
        let Ask { method, path, token, body, key } = ask;
        let what = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = request.bearer_auth(token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        if let Some(key) = key {
            request = request.header(crate::http::IDEMPOTENCY_KEY, key);
        }
        let begun = Instant::now();
        let response = request.send().await.map_err(|error| failed(&what, chain(&error)))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| failed(&what, chain(&error)))?;
        let took = begun.elapsed();
        if status.is_success() {
            return Ok((text, took));
        }
        Err(failed(&what, format!("{status}: {text}")))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {}", chain(source)));
    format!("{error}{}", source.unwrap_or_default())
}

/// What an answer says.
pub(super) fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| failed("an answer cannot be read", error))
}
