//! The life of a key: made, used, recorded, revoked.

use std::net::SocketAddr;

use serde_json::json;
use specline::http::{Api, Peer, router};
use specline::store::Position;
use specline_aggregates::SpecId;

use super::{Caller, told};
use crate::support::{Lab, Start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_shown_once_and_never_stored() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let made = caller.key_with("admin").await;
    let (head, secret) = made.key.rsplit_once('_').unwrap();
    assert_eq!(head, format!("sl_{}", made.id.replace('-', "")));
    assert_eq!(secret.len(), 64, "256 bits");
    let other = caller.key_with("admin").await;
    assert_ne!(other.key.rsplit_once('_').unwrap().1, secret);
    let listed = caller.get("/api/v1/keys", &made.key).await;
    let line = &listed.body["keys"][0];
    assert_eq!((&line["id"], &line["name"]), (&json!(made.id), &json!("admin")), "{listed:?}");
    caller.revoke(&made).await;
    let events = lab.engine.log().read_all(Position(0), 1_000).await.unwrap();
    assert!(events.iter().any(|event| event.event_type == "AccessKeyRevoked"));
    for event in &events {
        let text = format!("{} {}", event.payload, event.metadata);
        assert!(!text.contains(secret), "{text}");
    }
    assert!(!listed.body.to_string().contains(secret));
    for name in lab.engine.models().names() {
        let rows = lab.engine.models().dump(name).await.unwrap();
        assert!(!String::from_utf8_lossy(&rows).contains(secret), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_key_does_is_recorded_under_its_name() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let made = caller.key(&json!({ "name": "ci", "scopes": ["operator"] })).await;
    let draft = json!({
        "title": "Limit links",
        "description": "Limit how many links an API key may create.",
        "repository": lab.project.repo(),
    });
    let request = caller.request("POST", "/api/v1/specs", Some(&made.key)).body(draft.to_string());
    let request = request.header("content-type", "application/json");
    let request = request.header("x-request-id", "build-17").header("x-specline-actor", "mallory");
    let drafted = told(request).await;
    assert_eq!(drafted.status, 201, "{drafted:?}");
    let spec: SpecId = drafted.body["id"].as_str().unwrap().parse().unwrap();
    let metadata = lab.events(spec).await[0].metadata.clone();
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["actor"], "key:ci");
    assert_eq!(metadata["key_id"], json!(made.id));
    assert_eq!(metadata["request_id"], "build-17");
    let request = caller.request("POST", "/api/v1/specs", Some(&caller.operator));
    let request = request.header("x-specline-actor", "key:ci").body(draft.to_string());
    let drafted = told(request.header("content-type", "application/json")).await;
    let spec: SpecId = drafted.body["id"].as_str().unwrap().parse().unwrap();
    let metadata = lab.events(spec).await[0].metadata.clone();
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["actor"], "person:key-ci", "a person cannot pass for a key");
    assert_eq!(metadata.get("key_id"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_makes_one_key_and_shows_it_once() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let make = async |name: &str| {
        let request = caller.request("POST", "/api/v1/keys", Some(&caller.operator));
        let body = json!({ "name": name, "scopes": ["reader"] }).to_string();
        let request = request.header("content-type", "application/json").body(body);
        let response = request.header("idempotency-key", "once").send().await.unwrap();
        let status = response.status().as_u16();
        let body: serde_json::Value =
            serde_json::from_str(&response.text().await.unwrap()).unwrap();
        (status, body)
    };
    let (status, first) = make("ci").await;
    assert_eq!(status, 201, "{first}");
    let (status, again) = make("ci").await;
    assert_eq!((status, &again["id"]), (201, &first["id"]), "{again}");
    assert!(first["key"].is_string() && again["key"].is_null(), "{again}");
    let (status, other) = make("other").await;
    assert_eq!((status, other["code"].as_str()), (422, Some("idempotency_key_reused")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_key_is_refused() {
    let lab = Lab::new(Start::Nothing).await;
    let caller = Caller::of(&lab);
    let bodies = [
        json!({ "name": "", "scopes": ["reader"] }),
        json!({ "name": "ci", "scopes": [] }),
        json!({ "name": "ci", "scopes": ["root"] }),
        json!({ "name": "ci", "scopes": ["reader"], "expires_at": "2001-01-01T00:00:00Z" }),
        json!({ "name": "ci", "scopes": ["reader"], "project": "mine" }),
        json!({ "name": "ci", "scopes": ["reader"], "secret": "1234" }),
        json!({ "name": "ci" }),
    ];
    for body in bodies {
        let told = caller.operate("POST", "/api/v1/keys", &body).await;
        assert_eq!((told.status, told.code()), (422, "invalid_input"), "{body}: {told:?}");
    }
    let path = format!("/api/v1/keys/{}/revoke", uuid::Uuid::now_v7());
    let told = caller.operate("POST", &path, &json!({})).await;
    assert_eq!((told.status, told.code()), (404, "not_found"), "{told:?}");
    let twice = caller.key_with("reader").await;
    caller.revoke(&twice).await;
    caller.revoke(&twice).await;
}

/// The router, as if it were called from `peer`.
async fn called_from(lab: &Lab, peer: &str) -> String {
    let peer: SocketAddr = peer.parse().unwrap();
    let app = router(Api::new(lab.engine.clone(), &lab.engine.operator_token()));
    let app = app.layer(axum::Extension(Peer(peer)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_token_is_good_on_its_own_machine_only() {
    let lab = Lab::new(Start::Nothing).await;
    let mut caller = Caller::of(&lab);
    let made = caller.key_with("reader").await;
    for (peer, status) in [
        ("127.0.0.1:9", 200),
        ("[::1]:9", 200),
        ("[::ffff:127.0.0.1]:9", 200),
        ("192.0.2.7:9", 401),
        ("[2001:db8::7]:9", 401),
        ("[::ffff:192.0.2.7]:9", 401),
    ] {
        caller.base = called_from(&lab, peer).await;
        let told = caller.get("/api/v1/specs", &caller.operator).await;
        assert_eq!(told.status, status, "{peer}: {told:?}");
        assert_eq!(caller.get("/api/v1/specs", &made.key).await.status, 200, "{peer}");
    }
}
