//! Who is let in, and who is not: keys, scopes, projects, limits, headers, TLS.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]

mod conditions;
mod headers;
mod keys;
mod logins;
mod nodes;
mod projects;
mod routes;
mod serve;
mod streams;
mod tls;
mod tokens;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use specline::http::IDEMPOTENCY_KEY;

use crate::support::Lab;

/// A client of the API with no rights of its own.
pub struct Caller {
    http: reqwest::Client,
    base: String,
    /// The local operator's token.
    operator: String,
}

/// An answer, with what its headers say.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Told {
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// A key, as its maker got it.
#[derive(Debug, Clone)]
pub struct Made {
    pub id: String,
    pub key: String,
}

impl Caller {
    pub fn of(lab: &Lab) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let base = lab.engine.api_url().to_owned();
        Self { http, base, operator: lab.engine.operator_token() }
    }

    /// The same, at an address of its own.
    pub fn at(lab: &Lab, base: String) -> Self {
        Self { base, ..Self::of(lab) }
    }

    /// The local operator's token.
    pub fn operator(&self) -> &str {
        &self.operator
    }

    pub fn request(&self, method: &str, path: &str, token: Option<&str>) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}{path}", self.base));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str, token: &str) -> Told {
        told(self.request("GET", path, Some(token))).await
    }

    pub async fn send(&self, method: &str, path: &str, (token, body): (&str, &Value)) -> Told {
        let request = self.request(method, path, Some(token));
        told(request.header("content-type", "application/json").body(body.to_string())).await
    }

    /// What the local operator does.
    pub async fn operate(&self, method: &str, path: &str, body: &Value) -> Told {
        self.send(method, path, (&self.operator, body)).await
    }

    /// A new key.
    pub async fn key(&self, grant: &Value) -> Made {
        let told = self.operate("POST", "/api/v1/keys", grant).await;
        assert_eq!(told.status, 201, "{told:?}");
        let text = |name: &str| told.body[name].as_str().unwrap().to_owned();
        Made { id: text("id"), key: text("key") }
    }

    pub async fn key_with(&self, scope: &str) -> Made {
        self.key(&json!({ "name": scope, "scopes": [scope] })).await
    }

    pub async fn revoke(&self, key: &Made) {
        let path = format!("/api/v1/keys/{}/revoke", key.id);
        let told = self.operate("POST", &path, &json!({ "reason": "lost" })).await;
        assert_eq!(told.status, 200, "{told:?}");
    }
}

/// Sends and reads; a stream that has no end is not read.
pub async fn told(request: RequestBuilder) -> Told {
    let response = request.header(IDEMPOTENCY_KEY, uuid::Uuid::now_v7().to_string());
    let response = response.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let kind = headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let endless = kind.as_deref() == Some("text/event-stream");
    let text = if endless { String::new() } else { response.text().await.unwrap() };
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Told { status, headers, body }
}
