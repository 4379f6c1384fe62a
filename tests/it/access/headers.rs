//! What answers carry, and how often a key may ask.

use serde_json::json;
use specline::http::{Access, Auth, RateLimit};

use super::{Caller, told};
use crate::support::{Lab, Start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_named_and_kept_from_harm() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let operator = Some(caller.operator.as_str());
    for path in ["/health/live", "/api/v1/specs", "/api/v1/nothing", "/nowhere"] {
        let told = told(caller.request("GET", path, operator)).await;
        assert_eq!(told.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(told.header("cache-control"), "no-store", "{path}");
        assert_eq!(told.header("referrer-policy"), "no-referrer", "{path}");
        let policy = told.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(told.header("x-request-id").len(), 36, "{path}");
        assert_eq!(told.header("access-control-allow-origin"), "", "{path}");
    }
    let own = caller.request("GET", "/api/v1/specs/none", operator);
    let told =
        told(own.header("x-request-id", "build-17").header("origin", "https://a.example")).await;
    assert_eq!(told.header("x-request-id"), "build-17");
    assert_eq!(told.body["request_id"], "build-17", "{told:?}");
    assert_eq!(told.header("access-control-allow-origin"), "", "no origin is allowed by default");
    let nobody = super::told(caller.request("GET", "/api/v1/specs", None)).await;
    assert_eq!(nobody.header("www-authenticate"), "Bearer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_an_origin_that_is_named_may_call() {
    let origins = vec!["https://board.example.com".parse().unwrap()];
    let lab = Lab::with(Start::Nothing, Access { origins, ..Access::default() }).await;
    let caller = Caller::of(&lab);
    let preflight = async |origin: &str| {
        let request = caller.request("OPTIONS", "/api/v1/specs", None).header("origin", origin);
        told(request.header("access-control-request-method", "POST")).await
    };
    let allowed = preflight("https://board.example.com").await;
    assert_eq!(allowed.status, 204, "{allowed:?}");
    assert_eq!(allowed.header("access-control-allow-origin"), "https://board.example.com");
    assert!(allowed.header("access-control-allow-headers").contains("authorization"));
    let other = preflight("https://evil.example.com").await;
    assert_eq!(other.header("access-control-allow-origin"), "", "{other:?}");
    assert_ne!(other.status, 204);
    let request = caller.request("GET", "/api/v1/specs", Some(&caller.operator));
    let plain = told(request.header("origin", "https://board.example.com")).await;
    assert_eq!(plain.header("access-control-allow-origin"), "https://board.example.com");
    assert_eq!(plain.header("vary"), "origin");
    for name in ["etag", "retry-after", "specline-next-cursor", "x-request-id"] {
        let exposed = plain.header("access-control-expose-headers");
        assert!(exposed.contains(name), "{name}: {exposed}");
    }
    assert_eq!(plain.header("access-control-allow-credentials"), "", "there are no cookies");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_calls_too_often_has_to_wait() {
    let rate = Some(RateLimit(2));
    let lab = Lab::with(Start::Nothing, Access { rate, ..Access::default() }).await;
    let caller = Caller::of(&lab);
    let (busy, calm) = (caller.key_with("reader").await, caller.key_with("reader").await);
    let mut refused = None;
    for _ in 0..200 {
        let told = caller.get("/api/v1/specs", &busy.key).await;
        if told.status == 429 {
            refused = Some(told);
            break;
        }
    }
    let refused = refused.expect("200 calls in a row are more than 2 a second");
    assert_eq!(refused.code(), "rate_limited");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(caller.get("/api/v1/specs", &calm.key).await.status, 200);
    lab.eventually("a token to come", async || {
        (caller.get("/api/v1/specs", &busy.key).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_auth_everybody_is_the_operator() {
    let origins = vec!["https://board.example.com".parse().unwrap()];
    let access = Access { auth: Auth::Off, origins, ..Access::default() };
    let lab = Lab::with(Start::Nothing, access).await;
    let caller = Caller::of(&lab);
    let made = caller.request("POST", "/api/v1/keys", None);
    let body = json!({ "name": "ci", "scopes": ["reader"] }).to_string();
    let made = told(made.header("content-type", "application/json").body(body)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let own = caller.base.clone();
    let port = own.rsplit(':').next().unwrap();
    let asked = async |name: &str, value: &str| {
        let told = told(caller.request("GET", "/api/v1/specs", None).header(name, value)).await;
        (told.status, told.code().to_owned())
    };
    let foreign = (403, "foreign_origin".to_owned());
    assert_eq!(asked("origin", "https://evil.example.com").await, foreign, "another's page");
    assert_eq!(asked("origin", "null").await, foreign);
    assert_eq!(asked("host", &format!("evil.example.com:{port}")).await, foreign, "rebound");
    assert_eq!(asked("origin", "https://board.example.com").await.0, 200, "it is named");
    assert_eq!(asked("origin", &own).await.0, 200, "its own page");
    assert_eq!(asked("host", &format!("localhost:{port}")).await.0, 200);
    assert_eq!(asked("host", "[::1]").await.0, 200);
}
