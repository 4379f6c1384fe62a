//! SIGTERM: no new request is taken, what is being answered is finished, and the engine ends with
//! code 0 within ten seconds; a second one ends it at once.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::Serving;
use crate::support::{DEADLINE, Project, wait_until};

/// What a stop may take.
const STOP: Duration = Duration::from_secs(10);

/// A draft whose head has been read by its handler, and whose body is still to come.
struct Half {
    stream: TcpStream,
    rest: String,
}

impl Half {
    fn begin(project: &Project, serving: &Serving) -> Self {
        let body = json!({
            "title": "Limit links",
            "description": "Limit how many links an API key may create.",
            "repository": project.repo(),
        })
        .to_string();
        let address = serving.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let head = format!(
            "POST /api/v1/specs HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
            serving.token,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut continued = [0; 25];
        stream.read_exact(&mut continued).unwrap();
        assert_eq!(&continued, b"HTTP/1.1 100 Continue\r\n\r\n");
        Self { stream, rest: body }
    }

    /// Sends the body; the whole answer.
    fn finish(mut self) -> String {
        self.stream.write_all(self.rest.as_bytes()).unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn until_it_takes_no_more(serving: &Serving) {
    let address = serving.url.strip_prefix("http://").unwrap().to_owned();
    wait_until("the engine to take no more requests", || TcpStream::connect(&address).is_err());
}

#[test]
fn a_request_under_way_is_answered_and_none_is_begun() {
    let project = Project::new();
    let serving = Serving::start(&project, &[]);
    let half = Half::begin(&project, &serving);
    let asked = Instant::now();
    serving.running.signal(Signal::TERM);
    until_it_takes_no_more(&serving);
    let answer = half.finish();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let said = serving.running.wait();
    assert_eq!(said.code(), 0, "{said:?}");
    assert!(asked.elapsed() < STOP, "{:?}", asked.elapsed());
    assert_eq!(project.log().count("SpecDrafted"), 1, "what was answered is in the log");
}

#[test]
fn a_request_that_never_ends_does_not_keep_it() {
    let project = Project::new();
    let serving = Serving::start(&project, &[]);
    let half = Half::begin(&project, &serving);
    let asked = Instant::now();
    serving.running.signal(Signal::TERM);
    let said = serving.running.wait();
    assert_eq!(said.code(), 0, "{said:?}");
    assert!(asked.elapsed() < STOP, "{:?}", asked.elapsed());
    drop(half);
    assert_eq!(project.specline(&["log", "verify"]).code(), 0);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let project = Project::new();
    let serving = Serving::start(&project, &[]);
    let half = Half::begin(&project, &serving);
    serving.running.signal(Signal::TERM);
    until_it_takes_no_more(&serving);
    let asked = Instant::now();
    serving.running.signal(Signal::TERM);
    let said = serving.running.wait();
    assert_eq!(said.code(), 130, "{said:?}");
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    drop(half);
    project.is_sound();
}

#[test]
fn a_long_poll_is_let_go() {
    let project = Project::new();
    let serving = Serving::start(&project, &[]);
    let body = json!({
        "title": "Limit links",
        "description": "Limit how many links an API key may create.",
        "repository": project.repo(),
    });
    let (_, text) = serving.post("/api/v1/specs", &body);
    let drafted: serde_json::Value = serde_json::from_str(&text).unwrap();
    let path = format!("/api/v1/specs/{}/events?after=1&wait=60", drafted["id"].as_str().unwrap());
    let (url, token) = (serving.url.clone(), serving.token.clone());
    let poll = std::thread::spawn(move || super::call(&url, ("GET", &path), Some(&token), None));
    let (begun, asked) = (serving.get("/metrics").0, Instant::now());
    assert_eq!(begun, 200);
    serving.running.signal(Signal::TERM);
    let said = serving.running.wait();
    assert_eq!(said.code(), 0, "{said:?}");
    assert!(asked.elapsed() < STOP, "{:?}", asked.elapsed());
    // Taken before the signal: answered with nothing; after it: refused.
    let answer = poll.join().unwrap();
    assert!(answer.is_none_or(|(status, text)| status == 200 && text == "[]"));
}
