//! What those who run an engine rely on: metrics, health, log lines, an orderly stop,
//! configuration, and back-testing of gates. All by the real program.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]

mod config;
mod gates;
mod health;
mod lines;
mod metrics;
#[cfg(feature = "otel")]
mod otel;
mod shutdown;

use serde_json::Value;

use crate::support::{Project, Running, wait_for};

/// A running `specline serve`.
struct Serving {
    running: Running,
    /// `http://HOST:PORT`.
    url: String,
    token: String,
}

impl Serving {
    /// Starts one with these variables, and waits until it is ready.
    fn start(project: &Project, env: &[(&str, &str)]) -> Self {
        let mut command = project.command(&["serve"]);
        command.envs(env.iter().copied());
        let mut running = project.start(command);
        let file = project.repo().join(".specline/engine.json");
        let (url, token) = wait_for("an engine's file", || {
            assert!(!running.has_ended(), "it has ended: {}", running.stderr());
            let file: Value = serde_json::from_slice(&std::fs::read(&file).ok()?).ok()?;
            let of_this = file["pid"].as_i64() == Some(i64::from(running.pid()));
            let text = |name: &str| file[name].as_str().map(ToOwned::to_owned);
            of_this.then_some((text("api_url")?, text("operator_token")?))
        });
        let serving = Self { running, url, token };
        wait_for("an engine to be ready", || {
            (serving.try_get("/health/ready", None)?.0 == 200).then_some(())
        });
        serving
    }

    /// Status and body; none when nobody answers.
    fn try_get(&self, path: &str, token: Option<&str>) -> Option<(u16, String)> {
        call(&self.url, ("GET", path), token, None)
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.try_get(path, Some(&self.token)).expect("the engine answers")
    }

    fn post(&self, path: &str, body: &Value) -> (u16, String) {
        let body = Some(body.to_string());
        call(&self.url, ("POST", path), Some(&self.token), body).expect("the engine answers")
    }
}

/// One call on a connection of its own.
fn call(
    url: &str,
    (method, path): (&str, &str),
    token: Option<&str>,
    body: Option<String>,
) -> Option<(u16, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.request(method.parse().unwrap(), format!("{url}{path}"));
        request = request.header("traceparent", TRACE);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.text().await.ok()?))
    })
}

/// The trace that every call of these tests belongs to.
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
