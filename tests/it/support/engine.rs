//! An engine in this process, reached over real HTTP, with a provider that starts nothing (or a
//! real worker) and never kills: what a sandbox may still do after it was given up can be seen.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::{Value, json};
use specline::engine::{Asked, DraftRequest, Engine, Programs, Settings};
use specline::http::{self, Access, Api, IDEMPOTENCY_KEY};
use specline::sandbox::provider::{Adopted, Listed, OrderError, Outbox};
use specline::sandbox::{Exited, Handle, Provider, Snapshots, SpawnError, SpawnRequest};
use specline::store::{Clock, Recorded, SqliteLog, StreamId};
use specline_aggregates::{Policy, SandboxId, SpecId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{DEADLINE, LOOK, Project};

/// What the provider does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Nothing,
    Worker,
    /// Nothing, and not before there were files to open again.
    ShortOfFiles,
}

/// Times that a machine has no files for a sandbox.
const SHORTAGES: u32 = 7;

/// A provider that withholds every kill.
pub struct Withheld {
    project: PathBuf,
    snapshots: Snapshots,
    start: Start,
    shortages: std::sync::atomic::AtomicU32,
    spawned: Mutex<Vec<SpawnRequest>>,
    workers: Mutex<Vec<Child>>,
    exits: Mutex<Option<mpsc::Receiver<Exited>>>,
    report: mpsc::Sender<Exited>,
}

impl Withheld {
    fn new(project: &Project, start: Start) -> Self {
        let snapshots = project.path("lab");
        std::fs::create_dir_all(&snapshots).unwrap();
        let (report, exits) = mpsc::channel(16);
        Self {
            project: project.root().to_owned(),
            snapshots: Snapshots::open(&snapshots).unwrap(),
            start,
            shortages: std::sync::atomic::AtomicU32::new(0),
            spawned: Mutex::default(),
            workers: Mutex::default(),
            exits: Mutex::new(Some(exits)),
            report,
        }
    }

    fn requests(&self) -> Vec<SpawnRequest> {
        self.spawned.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn workers(&self) -> std::sync::MutexGuard<'_, Vec<Child>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the engine that a sandbox has ended.
    pub async fn report(&self, exited: Exited) {
        self.report.send(exited).await.unwrap();
    }

    fn start_worker(&self, request: &SpawnRequest) {
        let work = self.project.join(format!("lab-work-{}", request.epoch));
        self.snapshots.checkout(&request.commit, &work).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_specline"));
        command.arg("worker").current_dir(work).env_clear().envs(&request.env);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let outbox = self.project.join(format!("lab-outbox-{}", request.epoch));
        command.env("SPECLINE_OUTBOX", outbox).env("TMPDIR", self.project.join("tmp"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.workers().push(command.spawn().unwrap());
    }
}

#[async_trait]
impl Provider for Withheld {
    fn name(&self) -> &'static str {
        "process"
    }

    async fn spawn(&self, request: SpawnRequest) -> Result<Handle, SpawnError> {
        let n = self.shortages.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if self.start == Start::ShortOfFiles && n < SHORTAGES {
            let source = std::io::Error::from_raw_os_error(24);
            let path = self.project.clone();
            return Err(SpawnError::Io { what: "make the folder", path, source });
        }
        if self.start == Start::Worker {
            self.start_worker(&request);
        }
        let handle = Handle::from_json(json!({ "epoch": request.epoch }).to_string());
        self.spawned.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        Ok(handle)
    }

    async fn adopt(&self, _: SandboxId, _: &Handle) -> Result<Adopted, OrderError> {
        Ok(Adopted::Alive)
    }

    async fn terminate(&self, _: SandboxId, _: &Handle) -> Result<(), OrderError> {
        Ok(())
    }

    async fn remove(&self, _: SandboxId, _: Outbox) -> Result<(), OrderError> {
        Ok(())
    }

    fn exits(&self) -> Option<mpsc::Receiver<Exited>> {
        self.exits.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn list(&self) -> Result<Vec<Listed>, std::io::Error> {
        Ok(Vec::new())
    }

    async fn hand_over(&self, _: SandboxId, _: SandboxId) -> std::io::Result<()> {
        Ok(())
    }
}

/// An answer over HTTP.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// The stable code of a refusal.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// The engine, its provider, and a client for the calls of any of its sandboxes.
pub struct Lab {
    pub engine: Engine,
    pub provider: Arc<Withheld>,
    pub project: Project,
    http: reqwest::Client,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<()>,
}

impl Lab {
    pub async fn new(start: Start) -> Self {
        Self::with(start, Access::default()).await
    }

    /// With an API that treats its callers so.
    pub async fn with(start: Start, access: Access) -> Self {
        let project = Project::new();
        let folder = project.repo().join(".specline");
        std::fs::create_dir_all(&folder).unwrap();
        let log = Arc::new(SqliteLog::open(&folder.join("log.db"), Clock::system()).unwrap());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api_url = format!("http://{}", listener.local_addr().unwrap());
        let provider = Arc::new(Withheld::new(&project, start));
        let engine = Engine::open(Settings {
            log: log.clone(),
            side: log,
            read_models: specline_projections::Place::File(folder.join("read.db")),
            provider: provider.clone(),
            snapshots: provider.snapshots.clone(),
            api_url,
            hidden: Vec::new(),
            host_key: None,
            programs: Programs::default(),
            max_sandboxes: usize::MAX,
        })
        .await
        .unwrap();
        engine.start().await.unwrap();
        let api = Api::with(engine.clone(), &engine.operator_token(), access);
        let stop = CancellationToken::new();
        let server = http::serve(listener, api, stop.clone());
        let server = tokio::spawn(async move { server.await.unwrap() });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { engine, provider, project, http, stop, server }
    }

    /// Drafts and executes a spec with the scripted agent.
    pub async fn execute(&self, policy: Policy) -> SpecId {
        let asked = Asked::by("tester".to_owned());
        let request = DraftRequest {
            title: "Limit links".to_owned(),
            description: "Limit how many links an API key may create.".to_owned(),
            repository: self.project.repo().display().to_string(),
            project: None,
            policy: Some(Policy { agent: self.project.agent.line(), ..policy }),
            source_ticket: None,
        };
        let (id, _) = self.engine.draft(request, &asked).await.unwrap();
        self.engine.execute(id, &asked).await.unwrap();
        id
    }

    /// The request for the sandbox of `epoch`, once the engine has made it.
    pub async fn spawned(&self, epoch: u32) -> SpawnRequest {
        self.eventually(&format!("epoch {epoch} to be spawned"), async || {
            self.provider.requests().into_iter().find(|request| request.epoch.0 == epoch)
        })
        .await
    }

    /// Every request for a sandbox so far.
    pub fn all_spawned(&self) -> Vec<SpawnRequest> {
        self.provider.requests()
    }

    /// How often the sandbox of `epoch` was spawned.
    pub fn n_spawned(&self, epoch: u32) -> usize {
        self.provider.requests().iter().filter(|request| request.epoch.0 == epoch).count()
    }

    /// One call of a sandbox, with its own token.
    pub async fn call(&self, sandbox: &SpawnRequest, path: &str, body: &Value) -> Answer {
        self.keyed(sandbox, path, body, None).await
    }

    /// The same under an idempotency key.
    pub async fn keyed(
        &self,
        sandbox: &SpawnRequest,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Answer {
        let url = format!("{}/api/v1/sandboxes/{}{path}", self.engine.api_url(), sandbox.sandbox);
        let mut request = self.http.post(url).bearer_auth(&sandbox.env["SPECLINE_TOKEN"]);
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        let request = request.header("content-type", "application/json").body(body.to_string());
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) }
    }

    /// Attaches as `instance`.
    pub async fn attach(&self, sandbox: &SpawnRequest, instance: uuid::Uuid) -> Answer {
        let body = json!({
            "epoch": sandbox.epoch, "instance": instance, "worker_version": "test",
        });
        self.call(sandbox, "/attach", &body).await
    }

    /// The spec's events.
    pub async fn events(&self, spec: SpecId) -> Vec<Recorded> {
        let stream = StreamId { aggregate_type: "Spec".to_owned(), aggregate_id: spec.uuid() };
        self.engine.log().read_stream(&stream, 0, 10_000).await.unwrap()
    }

    pub async fn n_events(&self, spec: SpecId, event_type: &str) -> usize {
        let events = self.events(spec).await;
        events.iter().filter(|event| event.event_type == event_type).count()
    }

    /// Waits until the spec has `n` events of a type.
    pub async fn until_n(&self, spec: SpecId, event_type: &str, n: usize) {
        self.eventually(&format!("{n} {event_type}"), async || {
            (self.n_events(spec, event_type).await >= n).then_some(())
        })
        .await;
    }

    /// Looks until `look` brings something.
    pub async fn eventually<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let end = tokio::time::Instant::now() + DEADLINE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(tokio::time::Instant::now() < end, "waited too long for: {what}");
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.cancel();
        self.server.abort();
        for worker in self.provider.workers().iter_mut() {
            drop(worker.kill());
            drop(worker.wait());
        }
    }
}
