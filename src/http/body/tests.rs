//! Arbitrary bytes and values for every type that a body is read into, and arbitrary headers.

use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::engine::backtest::Change;
use crate::engine::{DraftRequest, NewProject, ProjectRevision};
use crate::http::{access_keys, specs, tasks};
use crate::protocol;

/// Fifty times as many under `SPECLINE_SOAK=1`.
pub(in crate::http) fn config(cases: u32) -> ProptestConfig {
    let soak = std::env::var("SPECLINE_SOAK").is_ok_and(|value| value == "1");
    let cases = if soak { cases * 50 } else { cases };
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

/// Reads `bytes` as every type of body: how many take it.
fn read_all(bytes: &[u8]) -> usize {
    macro_rules! all {
        ($($kind:ty),+ $(,)?) => {
            [$(read::<$kind>(bytes).is_ok()),+].into_iter().filter(|taken| *taken).count()
        };
    }
    all![
        DraftRequest,
        NewProject,
        ProjectRevision,
        access_keys::NewKey,
        access_keys::RevokeBody,
        specs::ActionBody,
        specs::RevisionBody,
        specs::ApprovalBody,
        specs::RejectionBody,
        specs::RetryBody,
        specs::ForkBody,
        specs::EditBody,
        tasks::CommentBody,
        tasks::NothingMore,
        Change,
        protocol::Attach,
        protocol::HeartbeatReport,
        protocol::StepReport,
        protocol::Submission,
        protocol::FailureReport,
        protocol::Notes,
        protocol::Detach,
    ]
}

/// Bodies that some type takes.
fn samples() -> Vec<Value> {
    let digest = "9dc5b4ef7fee071f68ac50d75f49d9379ed051bbb212e2ba140eb0ce82a25d77";
    let usage = json!({ "input_tokens": 1, "output_tokens": 2, "cost_micro_usd": 3 });
    let policy = json!({ "agent": "builtin", "gate": { "threshold": 700 } });
    vec![
        json!({ "title": "t", "description": "d", "repository": "/r", "policy": policy }),
        json!({ "name": "n", "repository": "/r", "policy": { "budget": { "attempts": 3 } } }),
        json!({ "name": "k", "scopes": ["reader"], "expires_at": "2027-01-01T00:00:00Z" }),
        json!({ "digest": digest, "comment": "c" }),
        json!({ "digest": digest, "feedback": "f" }),
        json!({ "phase": "explore", "budget": { "attempts": 3 } }),
        json!({ "at_version": 3 }),
        json!({ "output": { "a": [1.50, "é", "\u{1}"] } }),
        json!({ "text": "x" }),
        json!({ "threshold": 850, "rules": { "explore.summary": "soft:3" }, "phase": "explore" }),
        json!({ "epoch": 1, "instance": "0198c5a0-0000-7000-8000-000000000001",
                "worker_version": "1" }),
        json!({ "usage": usage, "progressed": true }),
        json!({ "phase": "design", "attempt": 1, "number": 2, "name": "s", "result": [],
                "usage": usage }),
        json!({ "phase": "tasks", "attempt": 1, "context_digest": digest, "output": {},
                "session": "s" }),
        json!({ "phase": "tasks", "attempt": 1, "kind": "timeout", "message": "m" }),
        json!({ "events": [{ "kind": "k", "body": { "a": 1 } }] }),
        json!({ "reason": "r" }),
    ]
}

/// Any JSON, with the numbers that programs stumble over.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![0, 1, u64::MAX, 1 << 63, 1 << 32, 65_536]).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map("[a-z_]{0,8}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// What follows the escapes' rules of JSON, and what does not.
fn escapes() -> impl Strategy<Value = String> {
    let pieces = vec![
        "\\",
        "\"",
        "\\\\",
        "\\u",
        "\\u0000",
        "\\ud800",
        "\\udc00",
        "\\uD83D\\uDE00",
        "u0000",
        "\\\\u0000",
        "0",
        "é",
        "\\n",
        "\\u00e9",
        "\\uDBFF",
        "\\uDFFF",
        "\0",
        "\n",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn any_json_is_read_or_refused(value in value()) {
        read_all(value.to_string().as_bytes());
    }

    #[test]
    fn a_good_body_with_anything_changed_is_read_or_refused(
        body in prop::sample::select(samples()),
        member in any::<prop::sample::Index>(),
        new in prop::option::of(value()),
        at in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        prop_assert!(read_all(body.to_string().as_bytes()) > 0, "{body}");
        let mut changed = body.clone();
        if let Some(members) = changed.as_object_mut() {
            let name = members.keys().nth(member.index(members.len())).cloned();
            match (name, new) {
                (Some(name), Some(new)) => drop(members.insert(name, new)),
                (Some(name), None) => drop(members.remove(&name)),
                (None, _) => {}
            }
        }
        read_all(changed.to_string().as_bytes());
        let mut text = body.to_string().into_bytes();
        let at = at.index(text.len());
        text.splice(at..(at + 2).min(text.len()), bytes);
        read_all(&text);
    }

    /// What is let through is what any reader of JSON takes, in its whole depth.
    #[test]
    fn any_escape_is_whole_or_refused(text in escapes()) {
        let body = format!("{{\"output\":{{\"a\":\"{text}\"}}}}");
        if let Ok(read) = read::<specs::EditBody>(body.as_bytes()) {
            let value: Value = read.output.decode().map_err(|error| {
                TestCaseError::fail(format!("{body}: {error}"))
            })?;
            let text = value["a"].as_str().unwrap_or_default();
            prop_assert!(!text.contains('\0'), "{body}");
        }
    }

    #[test]
    fn any_header_is_read_or_refused(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            "[\"*, 0-9W/]{0,24}".prop_map(String::into_bytes),
        ],
    ) {
        let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
        let mut headers = HeaderMap::new();
        for name in [IF_MATCH, HeaderName::from_static(IDEMPOTENCY_KEY), CONTENT_TYPE] {
            headers.insert(name, value.clone());
        }
        if let Ok(Some(version)) = expected(&headers) {
            let text = String::from_utf8_lossy(&bytes);
            let digits = text.trim().trim_matches('"').trim_start_matches('0');
            prop_assert!(version.to_string() == digits || version == 0, "{text}");
        }
        if let Ok(Some(key)) = key(&headers) {
            prop_assert_eq!(key.as_bytes(), &bytes[..]);
            prop_assert!(!key.contains(|c: char| c.is_whitespace() || c.is_control()));
        }
        let _ = is_json(&headers);
    }
}

fn code<T>(read: Result<T, Refusal>) -> String {
    let Err(refusal) = read else { return "none".to_owned() };
    format!("{refusal:?}").split("code: \"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn escapes_that_no_store_takes_are_found_wherever_they_stand() {
    let of = |text: &str| {
        code(read::<specs::EditBody>(format!("{{\"output\":[\"{text}\"]}}").as_bytes()))
    };
    for (text, expected) in [
        (r"\u0000", "invalid_input"),
        (r"\\\u0000", "invalid_input"),
        (r"\\u0000", "none"),
        (r"\ud800", "invalid_json"),
        (r"\uDC00", "invalid_json"),
        (r"\ud800\ud800", "invalid_json"),
        (r"\ud800\\udc00", "invalid_json"),
        (r"\uD83D\uDE00", "none"),
        (r"\u00e9\n", "none"),
    ] {
        assert_eq!(of(text), expected, "{text}");
    }
}

#[test]
fn depth_ends_in_a_refusal_and_not_in_the_stack() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    for n in [200, 100_000] {
        let notes = format!("{{\"events\":[{{\"kind\":\"k\",\"body\":{}}}]}}", deep(n));
        assert_eq!(code(read::<protocol::Notes>(notes.as_bytes())), "invalid_json");
        assert_eq!(code(read::<tasks::CommentBody>(deep(n).as_bytes())), "invalid_json");
    }
    let output = |n: usize| format!("{{\"output\":{}}}", deep(n));
    assert_eq!(code(read::<specs::EditBody>(output(MAX_DEPTH - 1).as_bytes())), "none");
    assert_eq!(code(read::<specs::EditBody>(output(MAX_DEPTH).as_bytes())), "invalid_json");
    let text = format!("{{\"output\":[{}\"[\\\"[{}\"]}}", "[],".repeat(200), "{[".repeat(200));
    assert_eq!(code(read::<specs::EditBody>(text.as_bytes())), "none", "wide is not deep");
    read_all(deep(100_000).as_bytes());
    read_all(deep(100_000).trim_end_matches(']').as_bytes());
}

#[test]
fn numbers_are_those_that_readers_have() {
    let of =
        |text: &str| code(read::<specs::EditBody>(format!("{{\"output\":{text}}}").as_bytes()));
    for good in
        ["-0.0", "1e308", "18446744073709551616", "123456789012345678901234567890", "1e-999"]
    {
        assert_eq!(of(good), "none", "{good}");
    }
    assert_eq!(of("\"1e400\""), "none");
    for bad in ["1e400", "[-1e400]", "1e999999999999", &"9".repeat(400), "01", "1.", "+1", "--1"] {
        assert_eq!(of(bad), "invalid_json", "{bad}");
    }
}

#[test]
fn only_json_that_is_sent_as_it_is() {
    let with = |pairs: &[(&'static str, &'static str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        is_json(&headers).is_ok()
    };
    let json = ("content-type", "application/json");
    assert!(with(&[json]));
    assert!(with(&[("content-type", "Application/JSON; charset=\"UTF-8\"")]));
    assert!(with(&[json, ("content-encoding", "identity")]));
    assert!(!with(&[]));
    for kind in ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        assert!(!with(&[("content-type", kind)]), "{kind}");
    }
    assert!(!with(&[("content-type", "application/json; charset=utf-16")]));
    assert!(!with(&[json, ("content-encoding", "gzip")]));
    assert!(!with(&[json, ("content-type", "text/plain")]));
}
