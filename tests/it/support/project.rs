//! A repository in a temporary folder, with everything that the real binary writes beside it.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{Agent, Log, process, wait_for, wait_until};

/// What is asked for in every test that does not care.
const REQUEST: &str = "Limit how many links an API key may create";

pub struct Project {
    root: TempDir,
    pub agent: Agent,
    /// The store's URL, where it is not the repository's own file.
    store: Option<String>,
    n_outputs: AtomicU32,
}

/// What a program that has ended said.
#[derive(Debug)]
pub struct Said {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// A program that runs; it is killed with the test.
pub struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Project {
    /// The repository that the prompts' examples speak of, in git.
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("specline-it-").tempdir().unwrap();
        let project = Self {
            agent: Agent::new(root.path().join("agent")),
            root,
            store: None,
            n_outputs: AtomicU32::new(0),
        };
        for folder in ["home", "state", "tmp"] {
            fs::create_dir(project.root.path().join(folder)).unwrap();
        }
        let explored = Agent::answer("explore")["explored_files"].clone();
        for path in explored.as_array().unwrap() {
            let path = project.repo().join(path.as_str().unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("// {}\n", path.display())).unwrap();
        }
        project.git(&["init", "--quiet"]);
        project.git(&["add", "."]);
        project.git(&["commit", "--quiet", "-m", "Begin"]);
        project
    }

    /// The same, with its log in the store at `url`.
    pub fn on_store(url: &str) -> Self {
        let mut project = Self::new();
        project.store = Some(url.to_owned());
        project
    }

    /// Runs git in the repository, as its owner does.
    pub fn git(&self, args: &[&str]) {
        let name = ["-c", "user.name=Test", "-c", "user.email=test@example.com"];
        let mut command = Command::new("git");
        command.args(name).args(args).current_dir(self.repo()).env("HOME", self.path("home"));
        assert!(command.status().unwrap().success(), "git {args:?}");
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    /// `specline ARGS --repo REPO`, with a clean environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_specline"));
        command.args(args).arg("--repo").arg(self.repo()).current_dir(self.root());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp"));
        command.env("SPECLINE_STATE_DIR", self.path("state")).env("USER", "tester");
        // Where the scripted agent keeps account of its calls.
        command.env("SPECLINE_SANDBOX_WRITABLE", self.path("agent"));
        // More than a small machine would take, as some tests have many that wait.
        command.env("SPECLINE_SANDBOX_MAX_RUNNING", "64");
        if let Some(url) = &self.store {
            command.env("SPECLINE_STORE", url);
        }
        command.stdin(Stdio::null());
        command
    }

    /// The arguments of a run with the scripted agent.
    pub fn run_args(&self, more: &[&str]) -> Vec<String> {
        let line = self.agent.line();
        let args = ["run", REQUEST, "--agent", &line, "--json"];
        args.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
    }

    /// Runs a command to its end.
    pub fn specline(&self, args: &[&str]) -> Said {
        self.start(self.command(args)).wait()
    }

    /// The same, and it must end with code 0.
    pub fn ok(&self, args: &[&str]) -> Said {
        let said = self.specline(args);
        assert_eq!(said.code(), 0, "{args:?}: {said:?}");
        said
    }

    /// Has a log that a test wrote by itself obeyed.
    pub fn adopt(&self, log: &Path) {
        self.ok(&["log", "adopt", "--store", &format!("sqlite:{}", log.display())]);
    }

    /// Starts a run with the scripted agent.
    pub fn start_run(&self, more: &[&str]) -> Running {
        let args = self.run_args(more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.start(self.command(&args))
    }

    /// A whole run with the scripted agent.
    pub fn run(&self, more: &[&str]) -> Said {
        self.start_run(more).wait()
    }

    /// Starts `command` in a process group of its own, its output in files.
    pub fn start(&self, mut command: Command) -> Running {
        let n = self.n_outputs.fetch_add(1, Ordering::Relaxed);
        let (out, err) = (self.path(&format!("stdout.{n}")), self.path(&format!("stderr.{n}")));
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let child = command.process_group(0).spawn().unwrap();
        Running { child, out, err }
    }

    /// A file with this policy.
    pub fn policy(&self, policy: &Value) -> String {
        let n = self.n_outputs.fetch_add(1, Ordering::Relaxed);
        let path = self.path(&format!("policy.{n}.json"));
        fs::write(&path, policy.to_string()).unwrap();
        path.display().to_string()
    }

    /// The whole log, read beside whoever writes it.
    pub fn log(&self) -> Log {
        Log::parse(&self.ok(&["events", "--json"]).stdout)
    }

    /// The log once it holds an event for which `wanted` is true.
    pub fn log_when(&self, what: &str, wanted: impl Fn(&Log) -> bool) -> Log {
        wait_for(what, || {
            let said = self.specline(&["events", "--json"]);
            let log = (said.code() == 0).then(|| Log::parse(&said.stdout))?;
            wanted(&log).then_some(log)
        })
    }

    pub fn show(&self, spec: &str) -> Value {
        serde_json::from_str(&self.ok(&["show", spec, "--json"]).stdout).unwrap()
    }

    /// The id of the only spec.
    pub fn spec(&self) -> String {
        let specs = self.log().specs();
        assert_eq!(specs.len(), 1, "{specs:?}");
        specs[0].clone()
    }

    /// Waits until the agent has been called in `phase`.
    pub fn wait_for_call(&self, phase: &str) {
        wait_until(&format!("a call in {phase}"), || {
            self.agent.phases().iter().any(|called| called == phase)
        });
    }

    /// Nothing of this project runs any more.
    pub fn nothing_is_left(&self) {
        wait_until("the last process to end", || process::all(self.root()).is_empty());
    }

    /// The log is whole, and the last run left what a run leaves, once.
    pub fn is_sound(&self) {
        let said = self.specline(&["log", "verify"]);
        assert_eq!(said.code(), 0, "{said:?}");
        let log = self.log();
        for (n, event) in log.0.iter().enumerate() {
            assert_eq!(event.position, n as u64 + 1, "positions have no gap");
        }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        for pid in process::all(self.root()) {
            process::signal(pid, Signal::KILL);
        }
    }
}

impl Said {
    /// The exit code; 128 + n after signal n.
    pub fn code(&self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or_default())
    }

    /// The last object on stdout.
    pub fn json(&self) -> Value {
        let all = serde_json::Deserializer::from_str(&self.stdout).into_iter::<Value>();
        let last = all.last().map(|last| last.unwrap_or_else(|e| panic!("{e}: {self:?}")));
        last.unwrap_or_else(|| panic!("no object on stdout: {self:?}"))
    }
}

impl Running {
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        process::signal(self.pid(), signal);
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What it said on stdout so far.
    pub fn stdout(&self) -> String {
        fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// What it said on stderr so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }

    /// Kills it, and waits for its end.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        drop(self.child.wait());
    }

    /// Waits for its end, bounded.
    pub fn wait(mut self) -> Said {
        let (out, err) = (self.out.clone(), self.err.clone());
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let status = wait_for("a program to end", || self.child.try_wait().unwrap());
        Said { status, stdout: read(&out), stderr: read(&err) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.signal(Signal::KILL);
            drop(self.child.wait());
        }
    }
}
