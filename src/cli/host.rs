//! The engine that a command speaks to: its own, when the log is free; else the one that holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cqrs_es::Aggregate;
use serde::{Deserialize, Serialize};
use specline_aggregates::SpecId;
use specline_aggregates::spec::Spec;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::admission::{Doors, Outside};
use super::location::{Location, Opened, join, take_files};
use super::place::state_folder;
use super::{Api, Exit, Failure, Place, adopted, hidden, host_key};
use crate::engine::{Engine, EngineError, Fatal, Leave, Settings, StartError};
use crate::http;
use crate::sandbox::Provider;
use crate::sandbox::files::{private_folder, write_whole};
use crate::sandbox::isolation;
use crate::sandbox::process::{LocalMachine, Options};
use crate::store::Position;
use crate::untrusted::read_regular;

/// How long a held log is tried again: its engine may be starting or stopping.
const BUSY_PATIENCE: Duration = Duration::from_secs(5);

/// More than an engine's file has.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Events read at a time.
const PAGE: usize = 1_000;

/// Pause between looks at a condition.
const LOOK: Duration = Duration::from_millis(20);

/// Longest wait for an engine's loose ends.
const SETTLE: Duration = Duration::from_secs(10);

/// Whether an engine of ours works, or only answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duties {
    Run,
    /// One command is carried out, and nothing is started.
    Rest,
}

/// What a running engine leaves in its file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct EngineFile {
    api_url: String,
    operator_token: String,
    pid: u32,
    /// False for the short life of an engine that carries out one command and starts nothing.
    #[serde(default)]
    runs_duties: bool,
}

/// An engine to speak to.
pub struct Host {
    pub api: Api,
    local: Option<Local>,
}

struct Local {
    engine: Engine,
    stop: CancellationToken,
    servers: tokio::task::JoinSet<io::Result<()>>,
    /// Where others reach it, when that is not where this machine does.
    outside: Option<String>,
    duties: Duties,
    /// The log's end before any duty of this process ran.
    opened_at: Position,
    /// The file that names this engine, and whether it stays when the engine stops: the next one
    /// on the same files takes up its port.
    left: Option<(PathBuf, bool)>,
}

/// Where an engine listens.
#[derive(Clone, Default)]
pub struct Listen {
    pub address: Option<SocketAddr>,
    /// What starts the sandboxes, where it is not this machine: a benchmark's are in its own hands.
    pub provider: Option<Arc<dyn Provider>>,
    /// Where workers reach it, when that is not where it listens: a load balancer, say.
    pub advertise: Option<String>,
    /// How callers are let in, where more than this command shall be served.
    pub doors: Option<Doors>,
}

impl Host {
    /// Takes the log if it is free, else finds the engine that holds it. A log that engines share
    /// is always free.
    pub async fn connect(place: &Location, duties: Duties) -> Result<Self, Failure> {
        Self::listen(place, duties, Listen::default()).await
    }

    /// The same, at a given address.
    pub async fn listen(place: &Location, duties: Duties, listen: Listen) -> Result<Self, Failure> {
        let files = match place {
            Location::Files(files) => files,
            Location::Postgres(url) => {
                let opened = join(url).await?;
                return Self::start(place, opened, duties, listen).await;
            }
        };
        adopted::check_folder(files)?;
        files.make()?;
        let end = tokio::time::Instant::now() + BUSY_PATIENCE;
        loop {
            if let Some(opened) = take_files(files).await? {
                return Self::start(place, opened, duties, listen).await;
            }
            if let Some(api) = running(files).await {
                return Ok(Self { api, local: None });
            }
            if tokio::time::Instant::now() >= end {
                return Err(Failure::new(
                    Exit::Busy,
                    format!(
                        "another engine holds {}, and does not answer; stop it, or try again",
                        files.log.display()
                    ),
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn start(
        place: &Location,
        opened: Opened,
        duties: Duties,
        listen: Listen,
    ) -> Result<Self, Failure> {
        let log_id = opened.log.identity().log_id.to_string();
        let state = state_folder(&log_id);
        let serves = listen.doors.is_some();
        let listener = bind(listen.address, place).await?;
        let address = listener.local_addr().map_err(|e| Failure::failed(e.to_string()))?;
        let own_url = format!("http://{address}");
        let api_url = listen.advertise.unwrap_or_else(|| own_url.clone());
        let doors = listen.doors.unwrap_or_default();
        let outside = match &doors.outside {
            Some(outside) => Some(open_outside(outside).await?),
            None => None,
        };
        let machine = (state.clone(), listen.provider);
        let host_key = match place {
            Location::Files(_) => Some(host_key::load_or_draw(&log_id)?),
            // Nodes on other machines must know the same tokens: the database has it all.
            Location::Postgres(_) => None,
        };
        let engine = open_engine(place, opened, machine, (&api_url, host_key)).await?;
        if serves {
            doors.check(&engine, &state).await?;
        }
        let token = engine.operator_token();
        let left = match place {
            Location::Files(files) => Some(files.engine_file.clone()),
            // Each node of this machine leaves a file of its own, for as long as it runs.
            Location::Postgres(_) if duties == Duties::Run => {
                Some(state.join(format!("engine-{}.json", address.port())))
            }
            Location::Postgres(_) => None,
        };
        if let Some(path) = &left {
            let file = EngineFile {
                api_url: own_url.clone(),
                operator_token: token.clone(),
                pid: std::process::id(),
                runs_duties: duties == Duties::Run,
            };
            leave_file(path, &file)?;
        }
        let opened_at = *engine.log().watch_head().borrow();
        if duties == Duties::Run {
            super::ahead::warn(&engine);
            engine.start().await.map_err(|e| match e {
                StartError::Engine(error) => unstarted(&error),
                other @ (StartError::Log(_) | StartError::ReadModels(_)) => {
                    Failure::failed(chain(&other))
                }
            })?;
        } else {
            engine.catch_up().await.map_err(|e| unstarted(&e))?;
        }
        let stop = CancellationToken::new();
        let app = http::Api::with(engine.clone(), &token, doors.access);
        let mut serving = tokio::task::JoinSet::new();
        let outside = outside.map(|(listener, tls, url)| {
            serving.spawn(http::serve_with(listener, tls, app.clone(), stop.clone()));
            url
        });
        serving.spawn(http::serve(listener, app, stop.clone()));
        let api = Api::new(&own_url, &token)?;
        let kept = matches!(place, Location::Files(_));
        let left = left.map(|path| (path, kept));
        let local = Local { engine, stop, servers: serving, outside, duties, opened_at, left };
        Ok(Self { api, local: Some(local) })
    }

    /// Where this engine's file is, which has the operator's token.
    #[must_use]
    pub fn engine_file(&self) -> Option<&Path> {
        self.local.as_ref()?.left.as_ref().map(|(path, _)| path.as_path())
    }

    /// Where others reach this engine, when that is not where this machine does.
    #[must_use]
    pub fn outside(&self) -> Option<&str> {
        self.local.as_ref()?.outside.as_deref()
    }

    /// The engine, when it runs in this process.
    #[must_use]
    pub fn engine(&self) -> Option<&Engine> {
        self.local.as_ref().map(|local| &local.engine)
    }

    /// Resolves when the engine of this process stopped by itself, and says why.
    pub async fn fatal(&self) -> Failure {
        let Some(local) = &self.local else { return std::future::pending().await };
        let mut fatal = local.engine.fatal();
        match fatal.wait_for(Option::is_some).await.map(|fatal| fatal.clone()) {
            Ok(Some(Fatal::NewerPeer(cause))) => Failure::new(
                Exit::Busy,
                format!("a newer specline wrote to this log: {cause}; use that version"),
            ),
            Ok(Some(Fatal::Corrupt(cause))) => Failure::failed(cause),
            Ok(Some(Fatal::Ended(what))) => Failure::failed(format!(
                "{what} has ended by a fault of this program, which its log lines tell; start it \
                 again, and it goes on where it was"
            )),
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Specs that were there before this process's duties ran, and have moved since. Its duties may
    /// bring one to its end before anybody has asked how it stands.
    pub async fn moved(&self) -> Result<BTreeSet<SpecId>, Failure> {
        let Some(Local { engine, opened_at, .. }) = &self.local else { return Ok(BTreeSet::new()) };
        let (mut after, mut first) = (*opened_at, BTreeMap::new());
        loop {
            let page = engine.log().read_all(after, PAGE).await;
            let page = page.map_err(|error| Failure::failed(error.to_string()))?;
            let Some(last) = page.last() else { break };
            after = last.position;
            for event in page.iter().filter(|event| event.stream.aggregate_type == Spec::TYPE) {
                let id = SpecId::new(event.stream.aggregate_id);
                first.entry(id).or_insert(event.sequence);
            }
        }
        Ok(first.into_iter().filter(|(_, sequence)| *sequence > 1).map(|(id, _)| id).collect())
    }

    /// Waits, bounded, until what follows from every event is recorded, and in every read model.
    pub async fn catch_up(&self) {
        let Some(Local { engine, duties: Duties::Run, .. }) = &self.local else { return };
        let caught_up = async {
            while !engine.has_caught_up().await {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(SETTLE, caught_up).await.is_err() {
            tracing::warn!("some follow-ups are left for the next engine");
        }
    }

    /// Waits, bounded, until nothing is left to do for `spec`: its sandbox is gone, and everything
    /// that follows from its events is recorded.
    pub async fn settle(&self, spec: SpecId) {
        let Some(Local { engine, duties: Duties::Run, .. }) = &self.local else { return };
        let settled = async {
            while !engine.is_settled(spec).await {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(SETTLE, settled).await.is_err() {
            tracing::warn!("some follow-ups are left for the next engine");
        }
    }

    /// Stops what runs in this process, within ten seconds: no new request is taken, those that
    /// are being answered are finished, and what a duty does not finish is done again by the next
    /// engine.
    pub async fn stop(self, leave: Leave) {
        let Some(mut local) = self.local else { return };
        // Sandboxes that are ended have something to say until they are.
        if leave == Leave::Sandboxes {
            local.stop.cancel();
        }
        let servers = &mut local.servers;
        let engine = async {
            if let Err(error) = local.engine.stop(leave).await {
                tracing::warn!(cause = %error, "the engine did not stop cleanly");
            }
            local.stop.cancel();
        };
        let answered = async { while servers.join_next().await.is_some() {} };
        tokio::join!(engine, answered);
        local.engine.close().await;
        if let Some((path, false)) = local.left {
            drop(std::fs::remove_file(path));
        }
    }
}

/// An older engine gives way to what a newer one wrote.
fn unstarted(error: &EngineError) -> Failure {
    let exit = if error.is_newer() { Exit::Busy } else { Exit::Failed };
    Failure::new(exit, chain(error))
}

async fn open_engine(
    place: &Location,
    opened: Opened,
    (state, provider): (PathBuf, Option<Arc<dyn Provider>>),
    (api_url, host_key): (&str, Option<[u8; 32]>),
) -> Result<Engine, Failure> {
    let machine = tokio::task::spawn_blocking(move || machine(state))
        .await
        .map_err(|error| Failure::failed(error.to_string()))??;
    if let Err(error) = machine.announce(api_url) {
        tracing::warn!(cause = %error, "sandboxes were not told where the engine is");
    }
    let snapshots = machine.snapshots().clone();
    // Another provider has a bound of its own.
    let max_sandboxes = match &provider {
        Some(_) => usize::MAX,
        None => crate::config::effective().sandbox.max_running.get(),
    };
    let settings = Settings {
        log: opened.log,
        side: opened.side,
        read_models: place.read_models(),
        provider: provider.unwrap_or_else(|| Arc::new(machine)),
        snapshots,
        api_url: api_url.to_owned(),
        hidden: hidden::of(place),
        host_key,
        programs: crate::config::effective().programs.clone(),
        max_sandboxes,
    };
    let newer = |error: &StartError| {
        matches!(error, StartError::ReadModels(specline_projections::Error::Newer { .. }))
    };
    Engine::open(settings).await.map_err(|error| {
        let exit = if newer(&error) { Exit::Busy } else { Exit::Configuration };
        Failure::new(exit, chain(&error))
    })
}

/// The address for others, taken before anything is started.
async fn open_outside(
    outside: &Outside,
) -> Result<(TcpListener, Option<http::Tls>, String), Failure> {
    let tls = outside.tls()?;
    let address = outside.address;
    let busy = |error: io::Error| {
        let message = format!("{address} cannot be listened on: {error}");
        Failure::new(Exit::Configuration, message)
    };
    let listener = TcpListener::bind(address).await.map_err(busy)?;
    let url = outside.url(listener.local_addr().map_err(busy)?);
    if tls.is_none() {
        super::print::talk(
            "warning: keys cross the network in the clear; give --tls-cert and --tls-key, or put \
             a proxy with TLS before this address",
        );
    }
    Ok((listener, tls, url))
}

/// The sandbox provider of this machine.
pub(super) fn machine(state: std::path::PathBuf) -> Result<LocalMachine, Failure> {
    let configuration = |message: String| Failure::new(Exit::Configuration, message);
    let host = &crate::config::effective().sandbox;
    let isolation = isolation::choose(host.isolation).map_err(|e| configuration(chain(&e)))?;
    let shown = state.display().to_string();
    let options = Options::new(state, isolation).map_err(|e| configuration(e.to_string()))?;
    let options = Options {
        limits: host.limits,
        writable: host.writable.0.clone(),
        shared: host.shared(),
        ..options
    };
    LocalMachine::new(options).map_err(|error| {
        configuration(format!(
            "sandboxes cannot be kept in {shown}: {}; set SPECLINE_STATE_DIR to a folder that can \
             be written",
            chain(&error)
        ))
    })
}

/// The old port when it is free, so that sandboxes that outlived the last engine find this one.
async fn bind(address: Option<SocketAddr>, place: &Location) -> Result<TcpListener, Failure> {
    let busy = |error: io::Error| {
        Failure::new(Exit::Configuration, format!("the address cannot be listened on: {error}"))
    };
    if let Some(address) = address.filter(|address| address.port() != 0) {
        return TcpListener::bind(address).await.map_err(busy);
    }
    let before = match place {
        Location::Files(files) => read_file(&files.engine_file),
        Location::Postgres(_) => None,
    };
    let before = before.and_then(|file| file.api_url.rsplit(':').next()?.parse().ok());
    if let Some(port) = before
        && let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
    {
        return Ok(listener);
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(busy)
}

fn read_file(path: &Path) -> Option<EngineFile> {
    serde_json::from_slice(&read_regular(path, MAX_FILE_BYTES).ok()?).ok()
}

/// Written aside and renamed: a reader finds the old file or the new one.
fn leave_file(path: &Path, file: &EngineFile) -> Result<(), Failure> {
    let write = || -> io::Result<()> {
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            private_folder(folder)?;
        }
        write_whole(path, &serde_json::to_vec(file)?)
    };
    write().map_err(|error| {
        Failure::new(Exit::Configuration, format!("{} cannot be written: {error}", path.display()))
    })
}

/// The engine that the file names, if it answers. One that carries out a single command is about to
/// end: the log is free in a moment.
async fn running(place: &Place) -> Option<Api> {
    let file = read_file(&place.engine_file).filter(|file| file.runs_duties)?;
    let api = Api::new(&file.api_url, &file.operator_token).ok()?;
    let live = api.get::<serde_json::Value>("/api/v1/projections");
    let answered = tokio::time::timeout(Duration::from_secs(2), live).await;
    matches!(answered, Ok(Ok(_))).then_some(api)
}

/// An error with everything that led to it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
