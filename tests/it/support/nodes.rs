//! Several nodes of one database, each a real `specline serve`, and a client for their API.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use specline::http::IDEMPOTENCY_KEY;
use uuid::Uuid;

use super::engine::Answer;
use super::postgres::{self, Database, Server};
use super::{Project, Running, Said, wait_for};

/// Pause between two looks that cost a statement.
const SLOW_LOOK: Duration = Duration::from_millis(50);

/// Longest that a call may take before the caller tries elsewhere.
const CALL: Duration = Duration::from_secs(15);

/// A project on a database, with the API of its nodes.
pub struct Cluster {
    pub project: Project,
    pub http: Http,
    server: &'static Server,
    url: String,
    /// The operator's: the same on every node.
    token: OnceLock<String>,
    /// Stands before every key, since ids are derived from keys: no two tests share a sandbox's id.
    run: Uuid,
}

/// A node that runs.
pub struct Node {
    pub running: Running,
    pub port: u16,
    state: PathBuf,
}

/// How a node is started.
#[derive(Debug, Clone, Default)]
pub struct Served {
    /// None is a free one.
    pub port: Option<u16>,
    /// The machine it stands for: nodes of one name share a state folder.
    pub machine: &'static str,
    pub advertise: Option<String>,
    /// None is the program that was built.
    pub program: Option<PathBuf>,
    /// More variables.
    pub env: Vec<(&'static str, String)>,
}

impl Cluster {
    /// On a database of the server that all tests share.
    pub fn new() -> Self {
        Self::on(postgres::server())
    }

    /// On a server of the test's own, which it may stop.
    pub fn on(server: &'static Server) -> Self {
        let database: Database = server.database();
        let url = database.url().to_owned();
        Self {
            project: Project::on_store(&url),
            http: Http::new(),
            server,
            url,
            token: OnceLock::new(),
            run: Uuid::now_v7(),
        }
    }

    /// Where the log is, as `--store` takes it.
    pub fn store(&self) -> &str {
        &self.url
    }

    /// The operator's token, once a node is ready.
    pub fn token(&self) -> &str {
        self.token.get().map_or("", String::as_str)
    }

    /// The rows of a query, one a line.
    pub fn sql(&self, sql: &str) -> String {
        self.server.psql_at(&self.url, sql)
    }

    /// The one number that a query brings.
    pub fn number(&self, sql: &str) -> u64 {
        let text = self.sql(sql);
        text.parse().unwrap_or_else(|_| panic!("{sql}: {text}"))
    }

    /// Events of a type in the log.
    pub fn n_events(&self, event_type: &str) -> u64 {
        self.number(&format!("SELECT count(*) FROM events WHERE event_type = '{event_type}'"))
    }

    /// A node, ready to be called.
    pub fn node(&self) -> Node {
        self.serve(&Served::default())
    }

    pub fn serve(&self, served: &Served) -> Node {
        self.begin(served).ready(self)
    }

    /// Starts a node and does not wait for it.
    pub fn begin(&self, served: &Served) -> Node {
        let port = served.port.unwrap_or_else(postgres::free_port);
        let listen = format!("127.0.0.1:{port}");
        let mut args = vec!["serve", "--listen", &listen];
        if let Some(url) = &served.advertise {
            args.extend(["--advertise", url]);
        }
        let mut command = self.project.command(&args);
        if let Some(program) = &served.program {
            let mut other = std::process::Command::new(program);
            other.args(command.get_args()).current_dir(self.project.root()).env_clear();
            other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            other.stdin(std::process::Stdio::null());
            command = other;
        }
        let state = self.project.path("state").join(served.machine);
        std::fs::create_dir_all(&state).unwrap();
        command.env("SPECLINE_STATE_DIR", &state).env("RUST_LOG", "info,sqlx=warn,hyper=warn");
        command.envs(served.env.iter().map(|(name, value)| (name, value)));
        let running = self.project.start(command);
        Node { running, port, state }
    }

    /// Looks until `look` is true, not too often.
    #[expect(clippy::unused_self, reason = "what is waited for is the cluster's")]
    pub fn until(&self, what: &str, within: Duration, mut look: impl FnMut() -> bool) {
        let end = Instant::now() + within;
        while !look() {
            assert!(Instant::now() < end, "waited too long for: {what}");
            std::thread::sleep(SLOW_LOOK);
        }
    }

    /// Waits until so many specs have completed.
    pub fn until_completed(&self, n: u64, within: Duration) {
        self.until(&format!("{n} specs to complete"), within, || {
            let ended = self.n_events("SpecFailed");
            assert_eq!(ended, 0, "a spec has failed");
            self.n_events("SpecCompleted") >= n
        });
    }

    /// The body that asks for a spec with the scripted agent.
    pub fn request(&self, title: &str, policy: &Value) -> Value {
        let mut policy = policy.clone();
        policy["agent"] = json!(self.project.agent.line());
        json!({
            "title": title,
            "description": "Limit how many links an API key may create.",
            "repository": self.project.repo(),
            "policy": policy,
        })
    }

    /// Launches a spec on `node`; its id.
    pub fn launch(&self, node: &Node, title: &str, policy: &Value) -> String {
        let answer = self.post(node, "/specs/launch", &self.request(title, policy), Some(title));
        let answer = answer.unwrap_or_else(|| panic!("no answer: {}", node.running.stderr()));
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// A write by the operator; none when nobody answers.
    pub fn post(&self, node: &Node, path: &str, body: &Value, key: Option<&str>) -> Option<Answer> {
        let key = key.map(|key| format!("{}/{key}", self.run));
        let body = Some((body, key.as_deref()));
        self.http.call(Method::POST, &node.url(path), self.token(), body)
    }

    /// A read by the operator; none when nobody answers.
    pub fn get(&self, node: &Node, path: &str) -> Option<Answer> {
        self.http.call(Method::GET, &node.url(path), self.token(), None)
    }

    /// What every row of every read model is, in no order of the tables' own.
    pub fn read_models(&self) -> Vec<String> {
        let tables = self.sql(
            "SELECT table_name FROM information_schema.tables \
             WHERE table_schema = 'specline_read' AND table_type = 'BASE TABLE' \
             AND table_name NOT LIKE '%cursor%' ORDER BY 1",
        );
        let rows = |table: &str| {
            self.sql(&format!(
                "SELECT '{table} ' || t::TEXT FROM specline_read.\"{table}\" t ORDER BY 1"
            ))
        };
        tables
            .lines()
            .flat_map(|t| rows(t).lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }
}

impl Node {
    /// Waits until it answers, and learns its operator's token.
    pub fn ready(mut self, cluster: &Cluster) -> Self {
        let url = format!("http://127.0.0.1:{}/health/ready", self.port);
        wait_for("a node to be ready", || {
            let ended = self.running.has_ended();
            assert!(!ended, "the node has ended: {}", self.running.stderr());
            let answer = cluster.http.call(Method::GET, &url, "", None)?;
            (answer.status == 200).then_some(())
        });
        let token = wait_for("the node's file", || self.read_token());
        assert_eq!(*cluster.token.get_or_init(|| token.clone()), token, "one token for all nodes");
        self
    }

    fn read_token(&self) -> Option<String> {
        let name = format!("engine-{}.json", self.port);
        let logs = std::fs::read_dir(&self.state).ok()?.flatten();
        let files = logs.map(|log| log.path().join(&name)).filter(|path| path.is_file());
        let text = std::fs::read_to_string(files.into_iter().next()?).ok()?;
        let file: Value = serde_json::from_str(&text).ok()?;
        Some(file["operator_token"].as_str()?.to_owned())
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/api/v1{path}", self.port)
    }

    /// The id by which the others know it.
    pub fn id(&self, cluster: &Cluster) -> String {
        let sql = "SELECT id FROM nodes WHERE api_url LIKE";
        cluster.sql(&format!("{sql} '%:{}' ORDER BY started_at DESC LIMIT 1", self.port))
    }

    pub fn stop(&self) {
        self.running.signal(Signal::STOP);
    }

    pub fn wake(&self) {
        self.running.signal(Signal::CONT);
    }

    /// Asks it to end, and waits until it has; what it said.
    pub fn end(self) -> Said {
        self.running.signal(Signal::CONT);
        self.running.signal(Signal::TERM);
        self.running.wait()
    }
}

/// A client that waits for its answers.
pub struct Http {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

impl Http {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(CALL).build().unwrap();
        Self { runtime, client }
    }

    /// What its calls run on, for tests that have something else to wait for.
    pub const fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }

    /// None when nobody answers, or not in time.
    pub fn call(
        &self,
        method: Method,
        url: &str,
        token: &str,
        body: Option<(&Value, Option<&str>)>,
    ) -> Option<Answer> {
        let text = body.map(|(body, key)| (body.to_string(), key));
        self.send(method, url, token, text)
    }

    /// The same with a body as it stands.
    pub fn send(
        &self,
        method: Method,
        url: &str,
        token: &str,
        body: Option<(String, Option<&str>)>,
    ) -> Option<Answer> {
        let mut request = self.client.request(method, url).bearer_auth(token);
        if let Some((body, key)) = body {
            request = request.header("content-type", "application/json").body(body);
            if let Some(key) = key {
                // A title may stand for a key; a key has no blanks.
                request = request.header(IDEMPOTENCY_KEY, key.replace(' ', "-"));
            }
        }
        self.runtime.block_on(async {
            let response = request.send().await.ok()?;
            let status = response.status().as_u16();
            let text = response.text().await.ok()?;
            Some(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
        })
    }
}
