//! What no well-behaved client does, against the real program over raw sockets: every answer is a
//! clean refusal, the log does not move, memory is bounded, and others are served meanwhile.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]
#![expect(clippy::print_stdout, reason = "figures are told")]

mod bodies;
mod crowd;
mod injected;
mod literal;
mod slow;
mod tricks;
mod worker;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{DEADLINE, Project, Running, postgres, wait_for, wait_until};

/// A running `specline serve`.
struct Target {
    running: Running,
    /// `HOST:PORT`.
    address: String,
    token: String,
    project: Project,
}

/// An answer as it came.
#[derive(Debug, Clone)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Target {
    fn sqlite(env: &[(&str, &str)]) -> Self {
        Self::start(Project::new(), env)
    }

    fn postgres(env: &[(&str, &str)]) -> Self {
        Self::start(Project::on_store(postgres::server().database().url()), env)
    }

    fn start(project: Project, env: &[(&str, &str)]) -> Self {
        let mut command = project.command(&["serve"]);
        command.envs(env.iter().copied());
        let mut running = project.start(command);
        let file: PathBuf = wait_for("an engine that serves", || {
            assert!(!running.has_ended(), "it has ended: {}", running.stderr());
            let said = running.stderr();
            let (_, rest) = said.split_once("the operator's token is in ")?;
            rest.split_once('\n').map(|(path, _)| PathBuf::from(path))
        });
        let file: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let address = file["api_url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        let token = file["operator_token"].as_str().unwrap().to_owned();
        let target = Self { running, address, token, project };
        wait_for("it to be ready", || (target.get("/health/ready").status == 200).then_some(()));
        target
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// The lines of a head that every good request has.
    fn head(&self, method: &str, path: &str) -> String {
        let (address, token) = (&self.address, &self.token);
        format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n")
    }

    /// Sends `bytes` on a connection of their own; none when it is closed without an answer.
    fn raw(&self, bytes: &[u8]) -> Option<Reply> {
        let mut stream = self.connect();
        // The other end may close before all is sent: what it said first counts.
        drop(stream.write_all(bytes));
        Reply::read(&mut stream)
    }

    fn get(&self, path: &str) -> Reply {
        let head = self.head("GET", path) + "connection: close\r\n\r\n";
        self.raw(head.as_bytes()).expect("an answer")
    }

    /// With these more lines of the head.
    fn post(&self, path: &str, lines: &str, body: &[u8]) -> Reply {
        let mut bytes = self.head("POST", path).into_bytes();
        let length = body.len();
        bytes.extend(format!("content-length: {length}\r\n{lines}\r\n").into_bytes());
        bytes.extend(body);
        self.raw(&bytes).expect("an answer")
    }

    fn post_json(&self, path: &str, body: &Value) -> Reply {
        self.post(path, "content-type: application/json\r\n", body.to_string().as_bytes())
    }

    fn draft(&self, title: &str) -> Value {
        json!({ "title": title, "description": "It.", "repository": self.project.repo() })
    }

    /// The position of the last event.
    fn head_position(&self) -> u64 {
        let page = self.get("/api/v1/audit/events?order=desc&limit=1").json();
        page["events"][0]["position"].as_u64().unwrap_or(0)
    }

    /// It lives, and does what it is for.
    fn still_serves(&mut self) {
        assert!(!self.running.has_ended(), "{}", self.running.stderr());
        let drafted = self.post_json("/api/v1/specs", &self.draft("Still there"));
        assert_eq!(drafted.status, 201, "{drafted:?}");
        let ready = self.get("/health/ready");
        assert_eq!(ready.status, 200, "{ready:?}");
        assert!(!self.running.stderr().contains("panicked"), "{}", self.running.stderr());
    }

    /// Resident memory, in KiB.
    fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.pid()));
        let status = status.unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Connections that it holds: those that still wait for it in the kernel do not count.
    fn n_connections(&self) -> usize {
        let (_, port) = self.address.rsplit_once(':').unwrap();
        let local = format!(":{:04X}", port.parse::<u16>().unwrap());
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let held = |line: &&str| {
            let words: Vec<_> = line.split_whitespace().take(10).collect();
            // An established connection, or one whose other end has said goodbye; with an owner.
            words.len() == 10
                && words[1].ends_with(&local)
                && matches!(words[3], "01" | "08")
                && words[9] != "0"
        };
        table.lines().filter(held).count()
    }

    /// Waits until it holds so many connections, or fewer.
    fn until_left(&self, n: usize) {
        wait_until(&format!("no more than {n} connections"), || self.n_connections() <= n);
    }
}

impl Reply {
    /// Reads one answer; none when the connection ends before it.
    fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut piece = [0; 16 * 1024];
        loop {
            if let Some(reply) = Self::whole(&bytes) {
                return Some(reply);
            }
            match stream.read(&mut piece) {
                Ok(0) => return Self::closed(&bytes),
                Ok(n) => bytes.extend_from_slice(&piece[..n]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Self::closed(&bytes);
                }
                Err(error) => panic!("{error}, after {:?}", String::from_utf8_lossy(&bytes)),
            }
        }
    }

    fn parts(bytes: &[u8]) -> Option<(u16, String, String)> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, head.to_ascii_lowercase(), body.to_owned()))
    }

    fn whole(bytes: &[u8]) -> Option<Self> {
        let (status, head, body) = Self::parts(bytes)?;
        let length = head.split("content-length: ").nth(1)?.lines().next()?.trim();
        (body.len() >= length.parse().ok()?).then_some(Self { status, head, body })
    }

    /// What there was when the connection ended.
    fn closed(bytes: &[u8]) -> Option<Self> {
        let (status, head, body) = Self::parts(bytes)?;
        Some(Self { status, head, body })
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The stable code of a problem document.
    fn code(&self) -> String {
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        problem["code"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn is(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self:?}");
    }

    fn closes(&self) -> bool {
        self.head.contains("connection: close")
    }
}

/// Each byte with its percent.
fn encoded(text: &str) -> String {
    let bytes: Vec<_> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    bytes.concat()
}

/// Whether the other end has closed; fails when it has not after `within`.
fn closes_within(stream: &mut TcpStream, within: Duration) {
    stream.set_read_timeout(Some(within)).unwrap();
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("it is still open: {error}"),
    }
}
