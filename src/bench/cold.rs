//! `bench cold`: how long `serve` takes to its first answer, what memory it holds, and what it
//! costs when nothing is to do; with an empty log, and with one of many specs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use specline_aggregates::SpecId;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::cli::{Exit, Failure, Place, print};
use crate::commands::Commands;
use crate::store::{Clock, SqliteLog};

use super::measure::{cpu_ticks, memory_mb, percentile_ms, rounded, to_f64};
use super::scratch::Scratch;
use super::workflow::Driver;
use super::{failed, snapshot_key};

/// Starts of which the median is given.
const STARTS: usize = 5;

/// Callers that fill the log.
const CALLERS: u64 = 64;

/// Longest that a server may take to come to rest.
const SETTLE: Duration = Duration::from_mins(3);

/// A tick of the processor time in `/proc`: 100 a second on every Linux that this runs on.
const TICK_MS: f64 = 10.0;

#[derive(Args)]
pub struct ColdArgs {
    /// Specs in the large log; 0 leaves that part out.
    #[arg(long, default_value_t = 10_000)]
    specs: u64,
    /// How long the idle server is watched.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    idle_s: u64,
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    binary_mb: f64,
    empty: Served,
    /// Read models there are none yet: they are built from the log.
    large_first: Option<Served>,
    /// The same log again, with its read models.
    large_again: Option<Served>,
    specs: u64,
}

/// What one server was like.
#[derive(Serialize)]
struct Served {
    /// From the start of the process to the first byte of an answer.
    first_byte_ms: f64,
    /// Until it came to rest.
    settled_ms: f64,
    rss_mb: Option<f64>,
    peak_rss_mb: Option<f64>,
    idle_cpu_ms: f64,
    idle_s: u64,
}

pub(super) async fn cold(args: &ColdArgs) -> Result<Exit, Failure> {
    let scratch = Scratch::new()?;
    let program = std::env::current_exe().map_err(|error| failed("this program's path", error))?;
    let bytes = std::fs::metadata(&program).map_err(|error| failed("this program", error))?.len();
    let small = Arc::new(Site::make(&scratch, "small", &program)?);
    let idle_s = args.idle_s;
    let mut starts = Vec::new();
    for start in 0..STARTS {
        let site = Site::make(&scratch, &format!("start-{start}"), &program)?;
        starts.push(blocking(move || site.start_once()).await?);
    }
    let mut empty = blocking(move || small.serve(idle_s)).await?;
    empty.first_byte_ms = percentile_ms(&mut starts, 0.5);
    let (mut large_first, mut large_again) = (None, None);
    if args.specs > 0 {
        let site = Arc::new(Site::make(&scratch, "large", &program)?);
        fill(&site.repo, args.specs).await?;
        site.adopt()?;
        let again = Arc::clone(&site);
        large_first = Some(blocking(move || site.serve(idle_s)).await?);
        large_again = Some(blocking(move || again.serve(idle_s)).await?);
    }
    let binary_mb = rounded(to_f64(bytes) / 1_048_576.0);
    show(&Report { binary_mb, empty, large_first, large_again, specs: args.specs }, args.json);
    Ok(Exit::Completed)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| failed("a measurement", error))?
}

/// A log of `specs` specs of six steps that have ended, so that nothing is left to do.
async fn fill(repo: &Path, specs: u64) -> Result<(), Failure> {
    let place = Place::of_repository(repo);
    place.make()?;
    let log = SqliteLog::open(&place.log, Clock::system());
    let log = Arc::new(log.map_err(|error| failed("the log cannot be opened", error))?);
    let key = snapshot_key(&*log).await?;
    let driver = Driver::new(Arc::new(Commands::new(log).with_snapshots(&key)));
    let mut tasks = JoinSet::new();
    for caller in 0..CALLERS {
        let driver = driver.clone();
        let share = specs / CALLERS + u64::from(caller < specs % CALLERS);
        tasks.spawn(async move {
            for _ in 0..share {
                let id = SpecId::new(Uuid::now_v7());
                driver.workflow(id, 6, &mut Vec::new()).await?;
                driver.cancel(id).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|error| failed("a caller", error))??;
    }
    Ok(())
}

/// A repository with its own state folder, and the program that serves it.
struct Site {
    program: PathBuf,
    repo: PathBuf,
    state: PathBuf,
}

impl Site {
    fn make(scratch: &Scratch, name: &str, program: &Path) -> Result<Self, Failure> {
        let repo = scratch.path().join(name);
        std::fs::create_dir(&repo).map_err(|error| failed("a folder cannot be made", error))?;
        let state = scratch.path().join(format!("{name}-state"));
        Ok(Self { program: program.to_owned(), repo, state })
    }

    /// Has the log obeyed that this program wrote without an engine.
    fn adopt(&self) -> Result<(), Failure> {
        let mut command = Command::new(&self.program);
        command.arg("--repo").arg(&self.repo).args(["log", "adopt"]);
        command.env("SPECLINE_STATE_DIR", &self.state).env_remove("SPECLINE_STORE");
        let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let done = done.map_err(|error| failed("the log cannot be adopted", error))?;
        if done.success() { Ok(()) } else { Err(failed("the log cannot be adopted", done)) }
    }

    fn start(&self) -> Result<(Server, Duration), Failure> {
        let begun = Instant::now();
        let child = Command::new(&self.program)
            .arg("--repo")
            .arg(&self.repo)
            .arg("serve")
            .env("SPECLINE_STATE_DIR", &self.state)
            .env_remove("SPECLINE_STORE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed("the server cannot be started", error))?;
        let mut server = Server(child);
        server.first_byte().map_err(|error| failed("the server does not answer", error))?;
        Ok((server, begun.elapsed()))
    }

    fn start_once(&self) -> Result<Duration, Failure> {
        let (server, first_byte) = self.start()?;
        server.stop();
        Ok(first_byte)
    }

    /// Starts a server, lets it come to rest, watches it, and stops it.
    fn serve(&self, idle_s: u64) -> Result<Served, Failure> {
        let begun = Instant::now();
        let (server, first_byte) = self.start()?;
        let process = server.0.id();
        let settled = server.settle(begun);
        let before = cpu_ticks(process).unwrap_or(0);
        std::thread::sleep(Duration::from_secs(idle_s));
        let used = cpu_ticks(process).unwrap_or(0).saturating_sub(before);
        let name = process.to_string();
        let report = Served {
            first_byte_ms: rounded(first_byte.as_secs_f64() * 1_000.0),
            settled_ms: rounded(settled.as_secs_f64() * 1_000.0),
            rss_mb: memory_mb(&name, "VmRSS"),
            peak_rss_mb: memory_mb(&name, "VmHWM"),
            idle_cpu_ms: to_f64(used) * TICK_MS,
            idle_s,
        };
        server.stop();
        Ok(report)
    }
}

/// A running server. Dropped without `stop`, it is killed.
struct Server(Child);

impl Server {
    /// Waits for the address that it prints, asks it, and waits for the first byte.
    fn first_byte(&mut self) -> std::io::Result<()> {
        let out = self.0.stdout.take().ok_or_else(|| std::io::Error::other("no output"))?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let address = line.trim().trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(&address)?;
        let request = format!("GET /health/live HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        stream.read_exact(&mut [0])
    }

    /// Until it used no processor time for half a second; that half second does not count.
    fn settle(&self, begun: Instant) -> Duration {
        let process = self.0.id();
        let (mut ticks, mut since) = (cpu_ticks(process), Instant::now());
        while since.elapsed() < Duration::from_millis(500) && begun.elapsed() < SETTLE {
            std::thread::sleep(Duration::from_millis(20));
            let now = cpu_ticks(process);
            if now != ticks {
                (ticks, since) = (now, Instant::now());
            }
        }
        since.duration_since(begun)
    }

    fn stop(mut self) {
        if let Ok(id) = i32::try_from(self.0.id())
            && let Some(id) = rustix::process::Pid::from_raw(id)
        {
            // It may have ended by itself; then there is nothing to stop.
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        drop(self.0.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }
}

fn show(report: &Report, json: bool) {
    if json {
        return print::json(report);
    }
    print::data(&format!("the program is {} MB", report.binary_mb));
    let empty = Some(&report.empty);
    let rows = [
        ("an empty log", empty),
        ("a large log, without read models", report.large_first.as_ref()),
        ("a large log, with them", report.large_again.as_ref()),
    ];
    for (what, served) in rows.into_iter().filter_map(|(what, served)| Some((what, served?))) {
        print::data(&format!(
            "{what}: first byte {} ms, at rest after {} ms, {} MB resident (peak {} MB), {} ms of \
             processor in {} s",
            served.first_byte_ms,
            served.settled_ms,
            served.rss_mb.unwrap_or(0.0),
            served.peak_rss_mb.unwrap_or(0.0),
            served.idle_cpu_ms,
            served.idle_s,
        ));
    }
}
