//! A throw-away PostgreSQL server for tests: one a process, one database a test, or one of its own
//! for a test that ends it. It goes away, with its folder, however the test process ends: a small
//! `sh` waits for the end of a pipe that only this process holds open.
//!
//! Started by root, the server runs as `postgres` or `nobody`. Its collation is that of a language
//! where it can be, so that what needs bytewise order shows that it asks for it.

#![allow(dead_code, reason = "each test binary uses its part of it")]
#![allow(clippy::unwrap_used, reason = "a test without its server has failed")]

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Longest that a start or an end may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(90);

const LOOK: Duration = Duration::from_millis(5);

/// What ends the server and removes its folder when the pipe's other end is gone. It tries again,
/// as `initdb` or a starting server may still write.
const REAPER: &str = r#"
while read -r _; do :; done
for _ in 1 2 3 4 5 6 7 8 9 10; do
    pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
    if [ -n "$pid" ]; then
        kill -QUIT "$pid" 2>/dev/null
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null
    fi
    rm -rf "$1" 2>/dev/null
    [ -e "$1" ] || exit 0
    sleep 0.3
done
"#;

/// The server that the tests of this process share. Nobody may stop it.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

/// A running server, and whom to ask to end it.
pub struct Server {
    bin: PathBuf,
    folder: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    postmaster: Mutex<Option<Child>>,
    reaper: Mutex<Child>,
    databases: AtomicU64,
}

/// A database of its own on a server.
pub struct Database {
    url: String,
}

impl Database {
    /// As `--store` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Server {
    /// Starts a server that is the caller's alone.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("specline-pg-").tempdir().unwrap().keep();
        // The reaper comes first: from here on the folder is removed in any case.
        let reaper = reaper(&folder);
        let user = unprivileged();
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let mut server = Self {
            bin: bin(),
            folder,
            user,
            port: 0,
            postmaster: Mutex::new(None),
            reaper: Mutex::new(reaper),
            databases: AtomicU64::new(0),
        };
        server.init();
        for _ in 0..10 {
            server.port = free_port();
            if server.launch() {
                return server;
            }
        }
        panic!("PostgreSQL does not start:\n{}", server.log());
    }

    /// A fresh, empty database.
    pub fn database(&self) -> Database {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.psql(&format!("CREATE DATABASE {name}"));
        Database { url: format!("postgres://postgres@127.0.0.1:{}/{name}", self.port) }
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Folder of the server's programs (`pgbench`, `pg_dump`).
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Folder of its data and its log.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs `sql` in the database `postgres`; the rows, one a line, columns divided by `|`.
    pub fn psql(&self, sql: &str) -> String {
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", self.port);
        self.psql_at(&url, sql)
    }

    /// The same in the database at `url`.
    pub fn psql_at(&self, url: &str, sql: &str) -> String {
        self.try_psql_at(url, sql).unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    /// The same, or what the server said against it.
    pub fn try_psql_at(&self, url: &str, sql: &str) -> Result<String, String> {
        let out = Command::new(self.bin.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql])
            .output()
            .unwrap();
        if !out.status.success() {
            return Err(String::from_utf8_lossy(&out.stderr).into_owned());
        }
        Ok(String::from_utf8(out.stdout).unwrap().trim_end().to_owned())
    }

    /// The postmaster's process.
    pub fn pid(&self) -> u32 {
        self.child().as_ref().expect("the server runs").id()
    }

    /// Processes that serve a client now.
    pub fn backend_pids(&self) -> Vec<u32> {
        let rows = self.psql(
            "SELECT pid FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        );
        rows.lines().map(|pid| pid.parse().unwrap()).collect()
    }

    /// Ends the server at once, as a crash does: no client is told, nothing is checkpointed.
    pub fn stop_immediate(&self) {
        let taken = self.child().take();
        let Some(mut child) = taken else { return };
        signal(child.id(), "QUIT");
        child.wait().unwrap();
    }

    /// Starts the server again on its port, ending it first where it runs.
    pub fn restart(&self) {
        self.stop_immediate();
        // The port may be in use for a moment by a connection that is going away.
        for _ in 0..20 {
            if self.launch() {
                return;
            }
        }
        panic!("PostgreSQL does not start again:\n{}", self.log());
    }

    /// What the server has written to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.postmaster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(&self.folder).stdin(Stdio::null()).process_group(0);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn init(&self) {
        let data = self.folder.join("data");
        let language: &[&str] = &["--locale-provider=icu", "--icu-locale=en-US"];
        let mut said = String::new();
        for locale in [language, &[]] {
            let mut init = self.command("initdb");
            init.arg("-D").arg(&data).args(locale);
            init.args(["--no-sync", "--auth=trust", "-U", "postgres", "-E", "UTF8"]);
            let out = init.arg("--locale=C").output().unwrap();
            if out.status.success() {
                return;
            }
            said = String::from_utf8_lossy(&out.stderr).into_owned();
        }
        panic!("initdb failed: {said}");
    }

    /// False: it ended again.
    fn launch(&self) -> bool {
        let path = self.folder.join("log");
        let log = std::fs::File::options().create(true).append(true).open(path).unwrap();
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.folder.join("data"));
        command.args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        command.args(["-c", "unix_socket_directories=", "-c", "max_connections=300"]);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().unwrap();
        let end = Instant::now() + DEADLINE;
        while !self.ready(child.id()) {
            assert!(Instant::now() < end, "waited too long for PostgreSQL:\n{}", self.log());
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        *self.child() = Some(child);
        true
    }

    /// Whether the server of this process says of itself that it is.
    fn ready(&self, pid: u32) -> bool {
        let said = std::fs::read_to_string(self.folder.join("data/postmaster.pid"));
        let said = said.unwrap_or_default();
        let mut lines = said.lines();
        lines.next() == Some(&pid.to_string()) && lines.nth(6).is_some_and(|s| s.trim() == "ready")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_immediate();
        let mut reaper = self.reaper.lock().unwrap_or_else(PoisonError::into_inner);
        drop(reaper.stdin.take());
        let _ = reaper.wait();
    }
}

/// Sends `signal`, such as `KILL`, to a process.
pub fn signal(pid: u32, signal: &str) {
    let _ = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status();
}

fn reaper(folder: &Path) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", REAPER, "sh"]).arg(folder).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.process_group(0).spawn().unwrap()
}

/// Whom the server runs as where this process is root: PostgreSQL refuses to be root.
fn unprivileged() -> Option<(u32, u32)> {
    let id = |args: &[&str]| {
        let out = Command::new("id").args(args).output().ok()?;
        String::from_utf8(out.stdout).ok()?.trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let user = |name| Some((id(&["-u", name])?, id(&["-g", name])?));
    Some(user("postgres").or_else(|| user("nobody")).expect("there is a user that is not root"))
}

/// Where the server's programs are: what `pg_config` says, or the newest under Debian's folder.
fn bin() -> PathBuf {
    let has_server = |folder: &PathBuf| folder.join("initdb").is_file();
    let said = Command::new("pg_config").arg("--bindir").output().ok();
    let said = said.and_then(|out| String::from_utf8(out.stdout).ok());
    let told = said.map(|folder| PathBuf::from(folder.trim())).filter(has_server);
    let newest = || {
        let folders = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        let version = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u32>().ok();
        let folders = folders.filter_map(|entry| Some(entry.ok()?.path()));
        let newest = folders.filter(|f| has_server(&f.join("bin"))).max_by_key(version)?;
        Some(newest.join("bin"))
    };
    told.or_else(newest).expect("PostgreSQL's server is installed (initdb, postgres, psql)")
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
