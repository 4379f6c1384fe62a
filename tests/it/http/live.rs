//! What comes as lines: the stream and the pages of the audit log, held against the document; and
//! parameters that nobody knows, which are refused.

use serde_json::Value;
use specline::http::ROUTES;

use super::completed;
use super::document::Document;
use crate::access::{Caller, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_sends_what_the_document_says() {
    let (lab, _) = completed().await;
    let caller = Caller::of(&lab);
    let document = Document::new();
    let (head, token) = (lab.engine.head(), lab.engine.operator_token());
    let stream = caller.request("GET", "/api/v1/events/stream", Some(&token));
    let mut stream = stream.header("last-event-id", "0").send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let (mut text, mut seen) = (String::new(), 0);
    while seen < head {
        let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        while let Some((message, rest)) = text.split_once("\n\n") {
            let lines: Vec<_> = message.lines().collect();
            if let [id, data] = lines[..] {
                let event: Value =
                    serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                document.fits(&Document::event(), &event, id);
                seen = id.strip_prefix("id: ").unwrap().parse().unwrap();
                assert_eq!(event["position"], seen);
            }
            text = rest.to_owned();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_form_of_an_audit_page_is_the_documents() {
    let (lab, spec) = completed().await;
    let caller = Caller::of(&lab);
    let document = Document::new();
    let token = lab.engine.operator_token();
    let path = format!("/api/v1/audit/events?aggregate={spec}&limit=1000");
    for kind in ["application/json", "application/x-ndjson", "text/csv"] {
        let asked = caller.request("GET", &path, Some(&token)).header("accept", kind);
        let page = told(asked).await;
        assert_eq!(page.status, 200, "{page:?}");
        assert!(page.header("content-type").starts_with(kind), "{page:?}");
        document.judge(("GET", "/api/v1/audit/events"), &page);
        let n = lab.events(spec).await.len();
        match kind {
            "application/json" => assert_eq!(page.body["events"].as_array().unwrap().len(), n),
            "application/x-ndjson" => assert_eq!(page.body.as_str().unwrap().lines().count(), n),
            _ => assert!(page.body.as_str().unwrap().starts_with("position,recorded_at,")),
        }
    }
}

/// Reads that take no query at all, as probes and browsers put what they like behind an address.
const BARE: [&str; 8] = [
    "/health/live",
    "/health/ready",
    "/metrics",
    "/api/openapi.json",
    "/api/docs",
    "/api/docs/page.js",
    "/api/docs/page.css",
    "/api/docs/errors/{code}",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parameter_that_nobody_knows_is_refused() {
    let (lab, spec) = completed().await;
    let caller = Caller::of(&lab);
    for route in ROUTES.iter().filter(|route| route.method == "GET" && !BARE.contains(&route.path))
    {
        let worker = route.need == specline::http::Need::SandboxToken;
        // Who asks for a context is not asked for anything more.
        if worker {
            continue;
        }
        let path = route.path.replace("{id}", &spec.to_string()).replace("{phase}", "explore");
        let path = path.replace("{n}", "1").replace("{position}", "1");
        let asked = caller.operate("GET", &format!("{path}?unheard_of=1"), &Value::Null).await;
        assert_eq!((asked.status, asked.code()), (400, "invalid_query"), "{path}: {asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_read_can_ask_to_have_seen_a_write() {
    let document = specline::http::openapi();
    // The stream begins behind a position by itself; a worker is told what to do now.
    let not = ["stream_events", "worker_assignment", "worker_context"];
    for (path, methods) in document["paths"].as_object().unwrap() {
        let read = &methods["get"];
        let id = read["operationId"].as_str().unwrap_or_default();
        if read.is_null() || BARE.contains(&path.as_str()) || not.contains(&id) {
            continue;
        }
        let parameters = read["parameters"].as_array().unwrap();
        let known = parameters.iter().any(|parameter| parameter["name"] == "at_least");
        assert!(known, "{id} takes no at_least");
    }
}
