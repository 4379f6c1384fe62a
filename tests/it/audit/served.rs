//! An engine whose duties rest, over real HTTP: the log may hold whatever a test appends.

use std::sync::Arc;

use serde_json::Value;
use specline::engine::{Engine, Leave, Settings};
use specline::http::{Access, Api, serve};
use specline::sandbox::isolation::Isolation;
use specline::sandbox::process::{LocalMachine, Options};
use specline::store::{Clock, EventLog, PgLog, SideTables, SqliteLog, postgres};
use tokio_util::sync::CancellationToken;

pub struct Served {
    pub engine: Engine,
    pub log: Arc<dyn EventLog>,
    pub http: reqwest::Client,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Served {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = SqliteLog::open(&folder.path().join("log.db"), Clock::system()).unwrap();
        let models = specline_projections::Place::File(folder.path().join("read.db"));
        Self::of(Arc::new(log), models, folder).await
    }

    /// A node on a database that others share.
    pub async fn node(url: &str) -> Self {
        let log = PgLog::open(postgres::Settings::new(url)).await.unwrap();
        let models = specline_projections::Place::Postgres(url.to_owned());
        Self::of(Arc::new(log), models, tempfile::tempdir().unwrap()).await
    }

    async fn of<L: EventLog + SideTables + 'static>(
        log: Arc<L>,
        read_models: specline_projections::Place,
        folder: tempfile::TempDir,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api_url = format!("http://{}", listener.local_addr().unwrap());
        let options = Options::new(folder.path().join("state"), Isolation::Subreaper).unwrap();
        let machine = LocalMachine::new(options).unwrap();
        let snapshots = machine.snapshots().clone();
        let engine = Engine::open(Settings {
            log: log.clone(),
            side: log.clone(),
            read_models,
            provider: Arc::new(machine),
            snapshots,
            api_url,
            hidden: Vec::new(),
            host_key: None,
            max_sandboxes: usize::MAX,
            programs: specline::engine::Programs::default(),
        })
        .await
        .unwrap();
        let access = Access { rate: None, ..Access::default() };
        let api = Api::with(engine.clone(), &engine.operator_token(), access);
        let stop = CancellationToken::new();
        let server = serve(listener, api, stop.clone());
        tokio::spawn(async move { server.await.unwrap() });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { engine, log, http, stop, _folder: folder }
    }

    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/api/v1{path}", self.engine.api_url());
        self.http.get(url).bearer_auth(self.engine.operator_token())
    }

    /// The status and the JSON of an answer.
    pub async fn json(&self, path: &str) -> (u16, Value) {
        let answer = self.get(path).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn listen(&self, path: &str, last: Option<u64>) -> Listening {
        Listening::open(self.get(path), last).await
    }

    pub async fn stop(self) {
        self.engine.stop(Leave::Nothing).await.unwrap();
        self.stop.cancel();
    }
}

/// A client of the stream.
pub struct Listening {
    answer: reqwest::Response,
    text: String,
}

impl Listening {
    pub async fn open(mut request: reqwest::RequestBuilder, last: Option<u64>) -> Self {
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { answer, text: String::new() }
    }

    /// The next block: fields and comments up to an empty line. None at the end.
    pub async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let rest = self.text.split_off(end + 2);
                return Some(std::mem::replace(&mut self.text, rest));
            }
            // A connection that is cut ends with an error; both are the end.
            let chunk = self.answer.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event: its id, and its data.
    pub async fn event(&mut self) -> Option<(u64, Value)> {
        loop {
            let block = self.block().await?;
            let Some(rest) = block.strip_prefix("id: ") else { continue };
            let (id, data) = rest.split_once('\n').unwrap();
            let data = data.strip_prefix("data: ").unwrap();
            return Some((id.parse().unwrap(), serde_json::from_str(data).unwrap()));
        }
    }
}
