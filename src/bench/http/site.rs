//! The server under load as its parent sees it: a repository of its own, the process, and what it
//! says.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

use super::client::Client;
use super::waiting::{Line, Started};
use crate::bench::failed;
use crate::bench::scratch::Scratch;
use crate::cli::Failure;
use crate::git::{Git, GitError};

/// Longest wait for the next thing that a starting server says.
const PATIENCE: Duration = Duration::from_mins(2);

/// Longest that a server may take to stop.
const STOP: Duration = Duration::from_secs(30);

/// Characters of the server's log that a failure shows.
const LAST_CHARS: usize = 2_000;

/// Name of the specs' repository in the folder of a measurement.
pub(super) const REPOSITORY: &str = "accounts";

/// What the specs are about: small, and enough for an agent to find something.
const FILES: [(&str, &str); 5] = [
    ("README.md", "# Accounts\n\nA small HTTP service that keeps accounts.\n"),
    ("Cargo.toml", "[package]\nname = \"accounts\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
    ("src/main.rs", "mod api;\nmod limits;\n\nfn main() {\n    api::serve();\n}\n"),
    ("src/api.rs", "//! The public API.\n\npub fn serve() {}\n\npub fn answer(_client: &str) {}\n"),
    ("src/limits.rs", "//! Limits of clients.\n\npub struct Limit {\n    pub rate: u32,\n}\n"),
];

/// A running server.
pub(super) struct Site {
    pub url: String,
    /// The operator's token.
    pub token: String,
    pub drafts: Vec<Uuid>,
    /// Those that the server has started; it starts more only when these have attached.
    started: Mutex<mpsc::UnboundedReceiver<Started>>,
    pub store: &'static str,
    child: Child,
    scratch: Scratch,
}

impl Site {
    /// Starts a server, and waits until it was asked for `sandboxes` and has drafted `drafts`.
    pub(super) async fn start(
        store: Option<&str>,
        (sandboxes, drafts): (u32, u32),
    ) -> Result<Self, Failure> {
        more_files();
        let scratch = Scratch::new()?;
        let repo = scratch.path().join(REPOSITORY);
        make_repository(&repo).await?;
        let mut child = spawn(&scratch, &repo, (store, sandboxes, drafts))?;
        let out = child.stdout.take().ok_or_else(|| Failure::failed("the server is mute"))?;
        let postgres = store.is_some_and(|url| url.starts_with("postgres"));
        let (starts, started) = mpsc::unbounded_channel();
        let mut site = Self {
            url: String::new(),
            token: String::new(),
            drafts: Vec::new(),
            started: Mutex::new(started),
            store: if postgres { "postgres" } else { "sqlite" },
            child,
            scratch,
        };
        let listened = site.listen(BufReader::new(out).lines(), starts).await;
        listened.map_err(|failure| site.with_last_lines(&failure))?;
        Ok(site)
    }

    /// Until the server is ready; what it says later is heard in the background, so that it never
    /// waits for us.
    async fn listen(
        &mut self,
        mut lines: Lines<BufReader<ChildStdout>>,
        starts: mpsc::UnboundedSender<Started>,
    ) -> Result<(), Failure> {
        while self.url.is_empty() {
            let said = tokio::time::timeout(PATIENCE, lines.next_line()).await;
            let said = said.map_err(|_| Failure::failed("the server says nothing"))?;
            let said = said.map_err(|error| failed("the server cannot be read", error))?;
            let said = said.ok_or_else(|| Failure::failed("the server has ended"))?;
            match serde_json::from_str(&said).map_err(|error| failed(&said, error))? {
                Line::Ready { url, token, drafts } => {
                    (self.url, self.token, self.drafts) = (url, token, drafts);
                }
                Line::Sandbox(sandbox) => drop(starts.send(sandbox)),
            }
        }
        tokio::spawn(async move {
            while let Ok(Some(said)) = lines.next_line().await {
                if let Ok(Line::Sandbox(sandbox)) = serde_json::from_str(&said) {
                    drop(starts.send(sandbox));
                }
            }
        });
        Ok(())
    }

    /// The next sandbox that the server has started.
    pub(super) async fn next_started(&self) -> Result<Started, Failure> {
        let mut started = self.started.lock().await;
        let next = tokio::time::timeout(PATIENCE, started.recv()).await;
        let next = next.map_err(|_| Failure::failed("the server starts no more sandboxes"))?;
        next.ok_or_else(|| Failure::failed("the server has ended"))
    }

    /// A caller with a connection of its own.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.url)
    }

    /// The folder of this measurement, with the specs' repository in it.
    pub(super) fn folder(&self) -> &Path {
        self.scratch.path()
    }

    pub(super) fn process(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    pub(super) fn with_last_lines(&self, failure: &Failure) -> Failure {
        let text = std::fs::read_to_string(log_of(&self.scratch)).unwrap_or_default();
        let skipped = text.chars().count().saturating_sub(LAST_CHARS);
        let last: String = text.chars().skip(skipped).collect();
        Failure::new(failure.exit, format!("{}\nthe server's last lines:\n{last}", failure.message))
    }

    /// Closes the server's input, and waits for its end.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        drop(self.child.stdin.take());
        let ended = tokio::time::timeout(STOP, self.child.wait()).await;
        let ended = ended.map_err(|_| Failure::failed("the server does not stop"))?;
        let status = ended.map_err(|error| failed("the server's end", error))?;
        if status.success() {
            return Ok(());
        }
        Err(self.with_last_lines(&Failure::failed(format!("the server ended with {status}"))))
    }
}

fn log_of(scratch: &Scratch) -> std::path::PathBuf {
    scratch.path().join("server.log")
}

fn spawn(
    scratch: &Scratch,
    repo: &Path,
    (store, sandboxes, drafts): (Option<&str>, u32, u32),
) -> Result<Child, Failure> {
    let program = std::env::current_exe().map_err(|error| failed("this program's path", error))?;
    let log = std::fs::File::create(log_of(scratch)).map_err(|e| failed("the server's log", e))?;
    let mut command = Command::new(program);
    command.arg("--repo").arg(repo).env_remove("SPECLINE_STORE");
    if let Some(store) = store {
        command.args(["--store", store]);
    }
    command
        .args(["bench", "http-server", "--sandboxes", &sandboxes.to_string()])
        .args(["--drafts", &drafts.to_string()])
        .env("SPECLINE_STATE_DIR", scratch.path().join("state"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed("the server cannot be started", error))
}

async fn make_repository(repo: &Path) -> Result<(), Failure> {
    let unmade = |error: std::io::Error| failed("the repository cannot be made", error);
    std::fs::create_dir_all(repo.join("src")).map_err(unmade)?;
    for (path, text) in FILES {
        std::fs::write(repo.join(path), text).map_err(unmade)?;
    }
    let repo = repo.to_owned();
    let committed = tokio::task::spawn_blocking(move || {
        let commit = ["commit", "--quiet", "-m", "Begin"];
        for arguments in [&["init", "--quiet"][..], &["add", "-A"], &commit] {
            Git::plain("make the repository").arg("-C").arg(&repo).args(arguments).run()?;
        }
        Ok::<_, GitError>(())
    });
    let committed =
        committed.await.map_err(|error| failed("the repository cannot be made", error))?;
    committed.map_err(|error| failed("the repository cannot be made", error))
}

/// Thousands of connections are more than many shells allow; the server inherits it.
fn more_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(cause = %error, "the limit of open files stays");
    }
}
