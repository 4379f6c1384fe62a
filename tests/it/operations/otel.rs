//! Traces that leave the process: the real program sends them by OTLP over HTTP to a collector of
//! the test's own, which reads as much of protobuf as it takes to see names and trace ids. Only in
//! a build with the feature `otel`; `scripts/test-otel` makes one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::{Serving, TRACE};
use crate::support::{Project, wait_for};

/// A span, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    trace: String,
    parent: String,
    name: String,
}

/// What listens where traces are sent.
struct Collector {
    url: String,
    /// Paths that were called, and the spans that came.
    got: Arc<Mutex<(Vec<String>, Vec<Span>)>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let got: Arc<Mutex<(Vec<String>, Vec<Span>)>> = Arc::default();
        let shared = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(stream);
                    while let Some((path, body)) = request(&mut stream) {
                        let mut got = shared.lock().unwrap();
                        got.0.push(path);
                        got.1.extend(spans(&body));
                    }
                });
            }
        });
        Self { url, got }
    }

    fn spans(&self) -> Vec<Span> {
        self.got.lock().unwrap().1.clone()
    }
}

/// The next request on a connection: path and body. It is answered.
fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_ascii_lowercase());
    }
    let path = head.first()?.split(' ').nth(1)?.to_owned();
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length?.parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n\
                  content-length: 0\r\n\r\n";
    stream.get_mut().write_all(answer.as_bytes()).ok()?;
    Some((path, body))
}

/// The fields of a message that hold bytes: text, bytes, other messages.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        match tag & 7 {
            0 => drop(varint(&mut message)),
            1 => message = &message[8..],
            2 => {
                let length = usize::try_from(varint(&mut message)).unwrap();
                let (value, rest) = message.split_at(length);
                found.push((tag >> 3, value));
                message = rest;
            }
            5 => message = &message[4..],
            other => panic!("no wire type {other}"),
        }
    }
    found
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}

fn of(message: &[u8], number: u64) -> Vec<&[u8]> {
    let all = fields(message).into_iter();
    all.filter(|(field, _)| *field == number).map(|(_, value)| value).collect()
}

/// The spans of an `ExportTraceServiceRequest`: `resource_spans` 1, `scope_spans` 2, `spans` 2; of
/// a span, `trace_id` 1, `parent_span_id` 4, `name` 5.
fn spans(request: &[u8]) -> Vec<Span> {
    let resources = of(request, 1);
    let scopes = resources.iter().flat_map(|resource| of(resource, 2));
    let spans = scopes.flat_map(|scope| of(scope, 2));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let first = |span: &[u8], number| of(span, number).first().map(|v| v.to_vec());
    spans
        .map(|span| Span {
            trace: hex(&first(span, 1).unwrap_or_default()),
            parent: hex(&first(span, 4).unwrap_or_default()),
            name: String::from_utf8(first(span, 5).unwrap_or_default()).unwrap(),
        })
        .collect()
}

#[test]
fn a_request_is_a_span_of_its_callers_trace() {
    let (project, collector) = (Project::new(), Collector::start());
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let serving = Serving::start(&project, &env);
    assert_eq!(serving.get("/api/v1/specs").0, 200);
    let [_, trace, parent, _] = TRACE.split('-').collect::<Vec<_>>()[..] else { unreachable!() };
    let joined =
        Span { trace: trace.to_owned(), parent: parent.to_owned(), name: "request".to_owned() };
    wait_for("the span of a request to be sent", || {
        collector.spans().contains(&joined).then_some(())
    });
    let client = called_without_trace(&serving.url);
    assert_eq!(client, 200);
    let own = wait_for("a span that has no caller's trace", || {
        collector.spans().into_iter().find(|span| span.trace != trace)
    });
    assert_eq!((own.trace.len(), own.name.as_str(), own.parent.as_str()), (32, "request", ""));
    let paths = collector.got.lock().unwrap().0.clone();
    assert!(paths.iter().all(|path| path == "/v1/traces"), "{paths:?}");
}

/// What still waits to be sent when the program ends, is sent.
#[test]
fn nothing_is_lost_when_the_program_stops() {
    let (project, collector) = (Project::new(), Collector::start());
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let serving = Serving::start(&project, &env);
    let before = collector.spans().len();
    assert_eq!(serving.get("/api/v1/specs").0, 200);
    serving.running.signal(rustix::process::Signal::TERM);
    let said = serving.running.wait();
    assert_eq!(said.code(), 0, "{said:?}");
    let spans = collector.spans();
    assert!(spans.len() > before, "{spans:?}");
    assert!(spans.iter().any(|span| span.trace == TRACE[3..35]), "{spans:?}");
}

fn called_without_trace(url: &str) -> u16 {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}
