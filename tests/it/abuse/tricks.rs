//! Heads of requests that are made to confuse: paths, headers, framing, and other protocols.

use std::io::Write;

use super::{Reply, Target, closes_within};
use crate::support::DEADLINE;

const JSON: &str = "content-type: application/json\r\n";

fn is_refused(what: &str, reply: &Reply, allowed: &[u16]) {
    assert!(allowed.contains(&reply.status), "{what}: {reply:?}");
    assert!(!reply.head.contains("injected"), "{what}: {reply:?}");
}

#[test]
fn no_path_leads_anywhere_else() {
    let mut target = Target::sqlite(&[]);
    let long = format!("/api/v1/specs/{}", "a".repeat(20_000));
    let huge = format!("/api/v1/specs/{}", "a".repeat(70_000));
    let query = format!("/api/v1/specs?q={}", "a".repeat(20_000));
    for (path, status, code) in [
        ("/..", 404, "no_such_route"),
        ("/../../../etc/passwd", 404, "no_such_route"),
        ("/api/docs/../../etc/passwd", 404, "no_such_route"),
        ("/api/docs/errors/..%2f..%2f..%2fetc%2fpasswd", 404, "not_found"),
        ("/api/docs/errors/%2e%2e", 404, "not_found"),
        ("/api/v1/specs/%2e%2e/keys", 404, "no_such_route"),
        ("/api/v1/specs/..;/keys", 404, "no_such_route"),
        ("/api/v1//specs", 404, "no_such_route"),
        ("//api/v1/specs", 404, "no_such_route"),
        ("/api/v1/specs//", 404, "no_such_route"),
        ("/API/v1/specs", 404, "no_such_route"),
        ("/api/v1/specs/%00", 400, "invalid_path"),
        ("/api/v1/specs?q=a%00b", 400, "invalid_query"),
        ("/api/v1/audit/events?actor=%00", 400, "invalid_query"),
        ("/api/v1/specs/%zz", 400, "invalid_path"),
        ("/api/v1/specs/%", 400, "invalid_path"),
        ("/api/v1/specs/%ff%fe", 400, "invalid_path"),
        ("/api/v1/specs/%c0%ae%c0%ae", 400, "invalid_path"),
        ("/api/v1/specs?limit=%", 400, "invalid_query"),
        ("/api/v1/specs?limit=1&limit=2", 400, "invalid_query"),
        (long.as_str(), 414, "uri_too_long"),
        (query.as_str(), 414, "uri_too_long"),
    ] {
        let reply = target.get(path);
        let shown: String = path.chars().take(60).collect();
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{shown}: {reply:?}");
        assert!(!reply.body.contains("root:"), "{shown}: {reply:?}");
    }
    is_refused("huge", &target.get(&huge), &[414, 431]);
    // As a proxy is asked: it is still this engine that answers, for its own path.
    let absolute = target.get("http://elsewhere.example/api/v1/nothing");
    absolute.is(404, "no_such_route");
    for odd in ["*", "elsewhere.example:443", "api/v1/specs", "/a b", "/\u{7f}", "/é"] {
        if let Some(reply) = target.raw((target.head("GET", odd) + "\r\n").as_bytes()) {
            is_refused(odd, &reply, &[400, 404]);
        }
    }
    for method in ["CONNECT", "TRACE", "PROPFIND", "get", "X\u{1}"] {
        let head = target.head(method, "/api/v1/specs") + "\r\n";
        if let Some(reply) = target.raw(head.as_bytes()) {
            is_refused(method, &reply, &[400, 404, 405]);
        }
    }
    target.still_serves();
}

#[test]
fn headers_are_read_or_refused_and_never_repeated() {
    let mut target = Target::sqlite(&[]);
    let before = target.head_position();
    let draft = target.draft("Limit").to_string();
    let long = "a".repeat(10_000);
    let header = |name: &str, value: &str| format!("{JSON}{name}: {value}\r\n");
    for (name, value, status, code) in [
        ("idempotency-key", "", 422, "invalid_input"),
        ("idempotency-key", "two words", 422, "invalid_input"),
        ("idempotency-key", "é", 422, "invalid_input"),
        ("idempotency-key", "a\tb", 422, "invalid_input"),
        ("idempotency-key", &long, 422, "invalid_input"),
        ("idempotency-key", "a\r\nidempotency-key: b", 400, "invalid_header"),
        ("if-match", "", 400, "invalid_header"),
        ("if-match", "\"", 400, "invalid_header"),
        ("if-match", "-1", 400, "invalid_header"),
        ("if-match", "W/\"1\"", 400, "invalid_header"),
        ("if-match", "\"1\", \"2\"", 400, "invalid_header"),
        ("if-match", "99999999999999999999999", 400, "invalid_header"),
        ("if-match", "é", 400, "invalid_header"),
        ("if-match", &long, 400, "invalid_header"),
        ("if-match", "\"1\"\r\nif-match: \"2\"", 400, "invalid_header"),
        ("host", "elsewhere.example", 400, "invalid_header"),
        ("content-type", "application/json", 400, "invalid_header"),
    ] {
        let reply = target.post("/api/v1/specs", &header(name, value), draft.as_bytes());
        let shown: String = value.chars().take(30).collect();
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{name}: {shown}");
        is_refused(name, &reply, &[status]);
    }
    for value in ["é", "-1", "one", "18446744073709551616", "1\r\nlast-event-id: 2", &long] {
        let head = target.head("GET", "/api/v1/events/stream");
        let reply = target.raw(format!("{head}last-event-id: {value}\r\n\r\n").as_bytes());
        is_refused("last-event-id", &reply.expect("an answer"), &[400, 422]);
    }
    // What a line break in a header brings is another header, which is not answered with.
    for value in ["a b", &long, "<script>", "é", "\"", "x\r\nset-cookie: injected=1"] {
        let head = target.head("GET", "/api/v1/nothing");
        let reply = target.raw(format!("{head}x-request-id: {value}\r\n\r\n").as_bytes());
        let reply = reply.expect("an answer");
        is_refused("x-request-id", &reply, &[404]);
        assert!(!reply.head.contains("<script>") && reply.head.len() < 2_000, "{reply:?}");
    }
    // A line break by itself ends nothing, and a NUL is in no header.
    for value in ["a\rset-cookie: injected=1", "a\0b", "a\u{1}b"] {
        let head = target.head("GET", "/api/v1/nothing");
        if let Some(reply) = target.raw(format!("{head}x-request-id: {value}\r\n\r\n").as_bytes()) {
            is_refused("a control character", &reply, &[400]);
        }
    }
    let (odd, none) = ("authorization: Bearer \u{e9}\r\n", "authorization: Bearer \r\n");
    for (hostile, status) in
        [(odd.to_owned(), 401), (none.into(), 401), ([odd, none].concat(), 400)]
    {
        let head = format!("GET /api/v1/specs HTTP/1.1\r\nhost: x\r\n{hostile}\r\n");
        is_refused("authorization", &target.raw(head.as_bytes()).expect("an answer"), &[status]);
    }
    assert_eq!(target.head_position(), before, "nothing was written");
    target.still_serves();
}

#[test]
fn a_flood_of_headers_ends_in_431() {
    let mut target = Target::sqlite(&[]);
    let head = target.head("GET", "/health/live");
    let many: Vec<_> = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let large = format!("x: {}\r\n", "a".repeat(40_000));
    let floods = [many.concat(), large.clone(), large.repeat(100)];
    for flood in floods {
        let reply = target.raw(format!("{head}{flood}\r\n").as_bytes());
        // A caller that goes on sending may see the connection end instead of the answer.
        if let Some(reply) = reply {
            assert_eq!(reply.status, 431, "{reply:?}");
        }
    }
    let mut stream = target.connect();
    stream.write_all(head.as_bytes()).unwrap();
    let endless = (0..100_000).take_while(|_| stream.write_all(large.as_bytes()).is_ok()).count();
    assert!(endless * large.len() < 64 * 1024 * 1024, "{endless} headers were taken");
    target.still_serves();
}

/// Two readers of one connection have to see the same requests.
#[test]
fn no_request_hides_in_another() {
    let mut target = Target::sqlite(&[]);
    let before = target.head_position();
    let draft = target.draft("Smuggled").to_string();
    let inner = format!(
        "{}{JSON}content-length: {}\r\n\r\n{draft}",
        target.head("POST", "/api/v1/specs"),
        draft.len()
    );
    let head = target.head("POST", "/api/v1/gates/backtest") + JSON;
    for framing in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5, 6\r\n",
        "content-length: +5\r\n",
        "content-length: 0x5\r\n",
        "content-length: -5\r\n",
        "content-length: 18446744073709551616\r\n",
        "content-length: 5\r\ntransfer-encoding: chunked, identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: identity\r\n",
        "content-length : 5\r\n",
        " content-length: 5\r\n",
        "transfer-encoding\u{b}: chunked\r\n",
    ] {
        let reply = target.raw(format!("{head}{framing}\r\n0\r\n\r\n{inner}").as_bytes());
        if let Some(reply) = reply {
            is_refused(framing, &reply, &[400]);
        }
    }
    // Both ways of framing at once: the chunks count (RFC 9112, 6.3), and nothing follows them.
    let both = "content-length: 3\r\ntransfer-encoding: chunked\r\n";
    let mut stream = target.connect();
    stream.write_all(format!("{head}{both}\r\n0\r\n\r\n{inner}").as_bytes()).unwrap();
    if let Some(reply) = Reply::read(&mut stream) {
        assert!(reply.status == 400 || reply.status == 200, "{reply:?}");
    }
    closes_within(&mut stream, DEADLINE);
    assert_eq!(target.head_position(), before, "nothing was written");
    target.still_serves();
}

#[test]
fn what_is_no_http_is_not_answered_as_if_it_were() {
    let mut target = Target::sqlite(&[]);
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage garbage garbage garbage";
    let garbage: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for bytes in [
        &b"GET /api/v1/specs\r\n"[..],
        b"GET /\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1 \r\n\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"HELO example.com\r\n\r\n",
        hello,
        &garbage,
    ] {
        let mut stream = target.connect();
        drop(stream.write_all(bytes));
        drop(stream.shutdown(std::net::Shutdown::Write));
        if let Some(reply) = Reply::read(&mut stream) {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(30)]).into_owned();
            is_refused(&shown, &reply, &[400, 404, 431, 505]);
        }
        closes_within(&mut stream, DEADLINE);
    }
    target.still_serves();
}
