//! A node at its borders: few file descriptors, and what is said where others may read it.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Http, Lab, Project, Running, Said, Start, process, wait_for};

/// A real `serve`, and how to call it.
pub struct Served {
    pub running: Running,
    pub url: String,
    pub operator: String,
    http: Http,
}

impl Served {
    pub fn start(project: &Project, command: Command) -> Self {
        let mut running = project.start(command);
        let url = wait_for("the address", || {
            assert!(!running.has_ended(), "{}", running.stderr());
            running.stdout().lines().next().map(str::to_owned)
        });
        wait_for("it to serve", || running.stderr().contains("serving").then_some(()));
        let file = std::fs::read_to_string(project.repo().join(".specline/engine.json")).unwrap();
        let file: Value = serde_json::from_str(&file).unwrap();
        let operator = file["operator_token"].as_str().unwrap().to_owned();
        Self { running, url, operator, http: Http::new() }
    }

    pub fn get(&self, path: &str, token: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.url);
        let answer = self.http.call(Method::GET, &url, token, None).unwrap();
        (answer.status, answer.body)
    }

    pub fn post(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.url);
        let answer = self.http.call(Method::POST, &url, token, Some((body, None))).unwrap();
        (answer.status, answer.body)
    }

    /// A new key.
    pub fn key(&self, name: &str, scope: &str, project: Option<&str>) -> String {
        let mut grant = json!({ "name": name, "scopes": [scope] });
        if let Some(project) = project {
            grant["project"] = json!(project);
        }
        let (status, made) = self.post("/api/v1/keys", &self.operator, &grant);
        assert_eq!(status, 201, "{made}");
        made["key"].as_str().unwrap().to_owned()
    }

    pub fn stop(self) -> Said {
        self.running.signal(Signal::TERM);
        let said = self.running.wait();
        assert_eq!(said.code(), 0, "{said:?}");
        said
    }
}

/// `specline ARGS` with at most `n` open files, hard and soft.
fn limited(project: &Project, n: u32, args: &[&str]) -> Command {
    let inner = project.command(args);
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("ulimit -n {n}; exec \"$0\" \"$@\""));
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(project.root());
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(std::process::Stdio::null());
    command
}

/// Its sandbox dies while they are there, so that another has to be started beside them.
#[test]
fn idle_connections_cost_no_sandbox_where_files_are_few() {
    let project = Project::new();
    project.agent.on("explore", "once held hold go");
    let mut command = limited(&project, 64, &["serve"]);
    // Nobody is kept waiting for long by those who say nothing.
    command.env("SPECLINE_PATIENCE_SECONDS", "2");
    let served = Served::start(&project, command);
    let body = json!({
        "title": "Limit links", "description": "Limit how many links an API key may create.",
        "repository": project.repo(), "policy": { "agent": project.agent.line() },
    });
    let launched = served.post("/api/v1/specs/launch", &served.operator, &body);
    assert_eq!(launched.0, 202, "{launched:?}");
    project.wait_for_call("explore");
    let address = served.url.strip_prefix("http://").unwrap().to_owned();
    let idle: Vec<TcpStream> = (0..120).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for pid in process::workers(project.root()) {
        process::signal(pid, Signal::KILL);
    }
    let log = wait_for("the end", || {
        let log = crate::support::Log::parse(&events(&project)?);
        (log.count("SpecCompleted") + log.count("SpecFailed") > 0).then_some(log)
    });
    let lost = log.named("SandboxLost");
    assert_eq!(lost.len(), 1, "only the one that was killed: {lost:?}");
    assert_eq!(log.count("SpecCompleted"), 1, "{:?}", log.named("SpecFailed"));
    drop(idle);
    let said = served.stop();
    assert!(said.stderr.contains("connections at a time, not 12000"), "it is said: {said:?}");
}

/// More often than a phase may lose a sandbox.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_is_short_of_files_loses_no_sandbox() {
    let lab = Lab::new(Start::ShortOfFiles).await;
    let spec = lab.execute(specline_aggregates::Policy::default()).await;
    lab.spawned(1).await;
    assert_eq!(lab.n_events(spec, "SandboxLost").await, 0);
    assert_eq!(lab.all_spawned().len(), 1);
}

/// The log as it stands; none while the engine has no room to answer.
fn events(project: &Project) -> Option<String> {
    let said = project.specline(&["events", "--json"]);
    (said.code() == 0).then_some(said.stdout)
}

/// Where stderr is a file, so is what is written there, and for all to read.
#[test]
fn the_first_key_is_for_a_terminal_or_a_file_of_the_users_own() {
    let project = Project::new();
    let served = Served::start(&project, project.command(&["serve"]));
    let said = served.stop();
    assert!(!said.stderr.contains("sl_") && !said.stdout.contains("sl_"), "{said:?}");
    let named = said.stderr.lines().find(|line| line.contains("first access key"));
    let named = named.unwrap_or_else(|| panic!("{said:?}"));
    let path = named.split_whitespace().find(|word| word.starts_with('/')).unwrap();
    let path = std::path::Path::new(path.trim_end_matches([';', ',', ':']));
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    let key = std::fs::read_to_string(path).unwrap();
    let served = Served::start(&project, project.command(&["serve"]));
    assert_eq!(served.get("/api/v1/keys", key.trim()).0, 200, "it is the key");
    let again = served.stop();
    assert!(!again.stderr.contains("first access key"), "{again:?}");
}
