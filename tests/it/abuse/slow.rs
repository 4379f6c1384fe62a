//! Callers who take their time: to ask, to send, to read.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{Reply, Target, closes_within};
use crate::support::{DEADLINE, wait_until};

const PATIENCE: Duration = Duration::from_secs(2);

/// When nobody can have lost it yet: clocks and timers are not exact.
const EARLY: Duration = Duration::from_millis(1_500);

const ENV: [(&str, &str); 1] = [("SPECLINE_PATIENCE_SECONDS", "2")];

const JSON: &str = "content-type: application/json\r\n";

/// Writes a byte now and then until the other end has had enough, or for too long.
fn drip(stream: &mut TcpStream, bytes: &[u8]) -> Duration {
    let begin = Instant::now();
    stream.set_read_timeout(Some(PATIENCE / 10)).unwrap();
    for byte in bytes.iter().cycle() {
        assert!(begin.elapsed() < DEADLINE, "it goes on for ever");
        let mut nothing = [0; 1];
        let gone = stream.write_all(&[*byte]).is_err();
        // An answer, or the end; a time-out is the pause between two bytes.
        if gone || stream.peek(&mut nothing).is_ok() {
            break;
        }
    }
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    begin.elapsed()
}

#[test]
fn a_head_that_does_not_end_is_not_waited_for() {
    let mut target = Target::sqlite(&ENV);
    let mut silent = target.connect();
    let mut stream = target.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nx: ").unwrap();
    let took = drip(&mut stream, b"a");
    assert!(took >= EARLY, "it was given {took:?}");
    closes_within(&mut stream, DEADLINE);
    closes_within(&mut silent, DEADLINE);
    // So ends one that has been served, and asks no more.
    let mut idle = target.connect();
    idle.write_all((target.head("GET", "/health/live") + "\r\n").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut idle).unwrap().status, 200);
    closes_within(&mut idle, DEADLINE);
    target.still_serves();
}

#[test]
fn a_body_that_does_not_come_is_answered_with_408() {
    let mut target = Target::sqlite(&ENV);
    let before = target.head_position();
    let head = target.head("POST", "/api/v1/specs") + JSON;
    for framing in ["content-length: 1000\r\n\r\n", "transfer-encoding: chunked\r\n\r\n"] {
        let mut stream = target.connect();
        stream.write_all(format!("{head}{framing}").as_bytes()).unwrap();
        let began = Instant::now();
        let reply = Reply::read(&mut stream).expect("an answer");
        reply.is(408, "body_too_slow");
        assert!(reply.closes(), "{reply:?}");
        assert!(began.elapsed() >= EARLY, "{:?}", began.elapsed());
        closes_within(&mut stream, DEADLINE);
    }
    let mut stream = target.connect();
    stream.write_all(format!("{head}content-length: 100000\r\n\r\n").as_bytes()).unwrap();
    drip(&mut stream, b" ");
    Reply::read(&mut stream).expect("an answer").is(408, "body_too_slow");
    assert_eq!(target.head_position(), before, "nothing was written");
    target.still_serves();
}

/// Who has no key does not get as far as the body.
#[test]
fn nobody_waits_for_the_body_of_a_stranger() {
    let mut target = Target::sqlite(&[]);
    let (address, begin) = (&target.address, Instant::now());
    let head = format!("POST /api/v1/specs HTTP/1.1\r\nhost: {address}\r\n{JSON}");
    let reply = target.raw(format!("{head}content-length: 1000\r\n\r\n").as_bytes());
    reply.expect("an answer").is(401, "unauthorized");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    target.still_serves();
}

/// An answer of some megabytes that nobody reads: the connection ends, and its memory is free.
#[test]
fn an_answer_that_is_not_read_is_given_up() {
    let mut target = Target::sqlite(&ENV);
    let mut drafts = target.draft("Long");
    drafts["description"] = "x".repeat(250_000).into();
    for _ in 0..36 {
        assert_eq!(target.post_json("/api/v1/specs", &drafts).status, 201);
    }
    let request = target.head("GET", "/api/v1/audit/events?limit=1000") + "\r\n";
    let answer = target.raw(request.as_bytes()).expect("an answer");
    assert!(answer.body.len() > 6_000_000, "{}", answer.body.len());
    let streams: Vec<_> = (0..10).map(|_| target.connect()).collect();
    for mut stream in &streams {
        stream.write_all(request.as_bytes()).unwrap();
    }
    wait_until("all of them to be held", || target.n_connections() >= streams.len());
    // Not one of them is read, and not one of them is closed from this side.
    target.until_left(0);
    drop(streams);
    // One that reads at its leisure gets everything.
    let mut slow = target.connect();
    slow.write_all(
        (target.head("GET", "/api/v1/audit/events?limit=1000") + "connection: close\r\n\r\n")
            .as_bytes(),
    )
    .unwrap();
    let (mut n, mut piece, begin) = (0, vec![0; 64 * 1024], Instant::now());
    loop {
        let due = PATIENCE.mul_f64(2.0 * f64::from(n) / 6_000_000.0);
        wait_until("the next piece to be due", || begin.elapsed() >= due);
        match slow.read(&mut piece).unwrap() {
            0 => break,
            read => n += i32::try_from(read).unwrap(),
        }
    }
    assert!(n > 6_000_000 && begin.elapsed() > PATIENCE, "{n} bytes in {:?}", begin.elapsed());
    target.still_serves();
}

/// A listener that never reads holds its queue and no more, and is cut off.
#[test]
fn a_stream_that_is_not_read_ends() {
    let mut target = Target::sqlite(&ENV);
    let mut stream = target.connect();
    let request = target.head("GET", "/api/v1/events/stream?after=0") + "\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut begun = [0; 12];
    stream.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    let before = target.memory_kib();
    let mut draft = target.draft("Much");
    draft["description"] = "x".repeat(250_000).into();
    for _ in 0..160 {
        assert_eq!(target.post_json("/api/v1/specs", &draft).status, 201);
    }
    target.until_left(0);
    let grown = target.memory_kib().saturating_sub(before);
    println!("{grown} KiB more after 40 MB of events for a listener that reads none");
    assert!(grown < 300 * 1024, "{grown} KiB");
    target.still_serves();
}
