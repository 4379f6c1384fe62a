//! Bodies that are too large, too deep, or no JSON at all: a problem document each, and nothing
//! written.

use std::io::Write;

use super::{Reply, Target};

const LIMIT: usize = 17 * 1024 * 1024;

const JSON: &str = "content-type: application/json\r\n";

/// A body, the lines of its head, and what it is answered with.
struct Case {
    what: &'static str,
    lines: &'static str,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
}

fn case(what: &'static str, body: impl Into<Vec<u8>>, status: u16, code: &'static str) -> Case {
    Case { what, lines: JSON, body: body.into(), status, code }
}

fn of_kind(lines: &'static str, body: impl Into<Vec<u8>>) -> Case {
    let (status, code) = (415, "unsupported_media_type");
    Case { what: lines, lines, body: body.into(), status, code }
}

/// A draft with this text, as it stands, for its title.
fn titled(title: &str) -> Vec<u8> {
    format!("{{\"title\":{title},\"description\":\"d\",\"repository\":\"/r\"}}").into_bytes()
}

fn nested(n: usize) -> String {
    format!("{}{}", "[".repeat(n), "]".repeat(n))
}

fn cases() -> Vec<Case> {
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xabV*.)*MUP\xaa\x05\0\x06\xae\xa1\x8b\x09\0\0\0";
    let twice = "{\"title\":\"a\",\"title\":\"b\",\"description\":\"d\",\"repository\":\"/r\"}";
    let objects = "{\"a\":".repeat(100_000) + "1" + &"}".repeat(100_000);
    vec![
        case("empty", "", 422, "invalid_input"),
        case("only white", " \n", 400, "invalid_json"),
        case("null", "null", 422, "invalid_input"),
        case("a list", "[]", 422, "invalid_input"),
        case("a number", "1", 422, "invalid_input"),
        case("cut off", &b"{\"title\":\"a\""[..], 400, "invalid_json"),
        case("trailing garbage", [titled("\"a\""), b"x".to_vec()].concat(), 400, "invalid_json"),
        case("two bodies", [titled("\"a\""), titled("\"a\"")].concat(), 400, "invalid_json"),
        case("the same key twice", twice, 422, "invalid_input"),
        case("an unknown key", &b"{\"titel\":\"a\"}"[..], 422, "invalid_input"),
        case("100,000 lists deep", nested(100_000), 400, "invalid_json"),
        case("100,000 objects deep", objects, 400, "invalid_json"),
        case("a deep title", titled(&nested(100_000)), 400, "invalid_json"),
        case("100,000 open lists", "[".repeat(100_000), 400, "invalid_json"),
        case("not UTF-8", titled("\"\u{7f}\"").replace_byte(0x7f, 0xff), 400, "invalid_json"),
        case("overlong UTF-8", &b"{\"title\":\"\xc0\xaf\"}"[..], 400, "invalid_json"),
        case("not UTF-8 where nobody looks", &b"{\"x\":\"\xff\"}"[..], 400, "invalid_json"),
        case("a NUL", titled("\"a\\u0000b\""), 422, "invalid_input"),
        case("a NUL in a name", &b"{\"a\\u0000\":1}"[..], 422, "invalid_input"),
        case("a raw NUL", titled("\"a\0b\""), 400, "invalid_json"),
        case("a lone surrogate", titled("\"\\ud800\""), 400, "invalid_json"),
        case("a lone second surrogate", titled("\"\\udc00\""), 400, "invalid_json"),
        case("surrogates in the wrong order", titled("\"\\udc00\\ud800\""), 400, "invalid_json"),
        case("a huge exponent", titled("1e999999999"), 400, "invalid_json"),
        case("a huge number", titled(&"9".repeat(100_000)), 400, "invalid_json"),
        case("NaN", titled("NaN"), 400, "invalid_json"),
        case("a byte order mark", [b"\xef\xbb\xbf".to_vec(), titled("\"a\"")].concat(), 400, {
            "invalid_json"
        }),
        case("gzip that is not said", &gzip[..], 400, "invalid_json"),
        of_kind("content-type: application/json\r\ncontent-encoding: gzip\r\n", &gzip[..]),
        of_kind("", titled("\"a\"")),
        of_kind("content-type: text/plain\r\n", titled("\"a\"")),
        of_kind("content-type: application/x-www-form-urlencoded\r\n", "title=a"),
        of_kind("content-type: application/json; charset=utf-16\r\n", titled("\"a\"")),
        of_kind("content-type: multipart/form-data; boundary=x\r\n", "--x--"),
    ]
}

trait Replace {
    fn replace_byte(self, from: u8, to: u8) -> Self;
}

impl Replace for Vec<u8> {
    fn replace_byte(mut self, from: u8, to: u8) -> Self {
        for byte in &mut self {
            if *byte == from {
                *byte = to;
            }
        }
        self
    }
}

fn chunked(target: &Target, lines: &str) -> Vec<u8> {
    let head = target.head("POST", "/api/v1/specs");
    format!("{head}transfer-encoding: chunked\r\n{JSON}{lines}\r\n").into_bytes()
}

/// A body of spaces in chunks.
fn chunks(n_bytes: usize) -> Vec<u8> {
    let mut sent = Vec::with_capacity(n_bytes + n_bytes / 1000);
    let mut left = n_bytes;
    while left > 0 {
        let n = left.min(64 * 1024);
        sent.extend(format!("{n:x}\r\n").into_bytes());
        sent.extend(std::iter::repeat_n(b' ', n));
        sent.extend(b"\r\n");
        left -= n;
    }
    sent.extend(b"0\r\n\r\n");
    sent
}

fn odd_bodies_are_refused(mut target: Target) {
    let before = target.head_position();
    for case in cases() {
        let reply = target.post("/api/v1/specs", case.lines, &case.body);
        assert!(
            (reply.status, reply.code().as_str()) == (case.status, case.code),
            "{}: {reply:?}",
            case.what
        );
        assert!(reply.body.len() < 2_000, "{}: {} bytes", case.what, reply.body.len());
    }
    assert_eq!(target.head_position(), before, "nothing was written");
    target.still_serves();
}

#[test]
fn odd_bodies_are_refused_on_sqlite() {
    odd_bodies_are_refused(Target::sqlite(&[]));
}

#[test]
fn odd_bodies_are_refused_on_postgres() {
    odd_bodies_are_refused(Target::postgres(&[]));
}

#[test]
fn a_body_of_one_byte_too_many_is_told_so() {
    let mut target = Target::sqlite(&[]);
    let before = target.head_position();
    let exact = target.post("/api/v1/specs", JSON, &vec![b' '; LIMIT]);
    exact.is(400, "invalid_json");
    target.post("/api/v1/specs", JSON, &vec![b' '; LIMIT + 1]).is(413, "body_too_large");
    for (n, status, code) in [(LIMIT, 400, "invalid_json"), (LIMIT + 1, 413, "body_too_large")] {
        let mut bytes = chunked(&target, "");
        bytes.extend(chunks(n));
        target.raw(&bytes).expect("an answer").is(status, code);
    }
    // Who asks before sending is spared the sending.
    let head = target.head("POST", "/api/v1/specs") + JSON + "expect: 100-continue\r\n";
    let announced = format!("{head}content-length: 99999999999\r\n\r\n");
    target.raw(announced.as_bytes()).expect("an answer").is(413, "body_too_large");
    assert_eq!(target.head_position(), before, "nothing was written");
    target.still_serves();
}

#[test]
fn an_endless_body_is_cut_off_and_nothing_of_it_is_kept() {
    let mut target = Target::sqlite(&[]);
    let before = target.memory_kib();
    for _ in 0..3 {
        let mut stream = target.connect();
        stream.write_all(&chunked(&target, "")).unwrap();
        let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
        let sent = (0..100_000).take_while(|_| stream.write_all(&chunk).is_ok()).count();
        // What is read of it, and what the sockets hold.
        assert!(sent * 0x10000 < 3 * LIMIT, "{sent} chunks were taken");
    }
    let grown = target.memory_kib().saturating_sub(before);
    assert!(grown < 3 * 20 * 1024, "{grown} KiB more than before");
    target.still_serves();
}

/// Bodies whose framing is not what it says it is.
#[test]
fn a_broken_body_is_refused_and_its_connection_ends() {
    let mut target = Target::sqlite(&[]);
    let before = target.head_position();
    for broken in ["zz\r\n", "5\r\nabc", "ffffffffffffffffff\r\n", "-1\r\n", "1\r\nab\r\n"] {
        let mut stream = target.connect();
        stream.write_all(&chunked(&target, "")).unwrap();
        stream.write_all(broken.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        if let Some(reply) = Reply::read(&mut stream) {
            assert_eq!(reply.status, 400, "{broken:?}: {reply:?}");
        }
    }
    assert_eq!(target.head_position(), before, "nothing was written");
    target.still_serves();
}
