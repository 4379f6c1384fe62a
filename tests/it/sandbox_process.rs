//! The provider `process` with real processes: a shell as worker, the real supervisor around it, in
//! every isolation that works on this machine.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a test that fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use specline::sandbox::isolation::{self, Isolation};
use specline::sandbox::process::{BUSY, LocalMachine, Options, Program};
use specline::sandbox::provider::{Adopted, Cause, Life, OrderError, Outbox};
use specline::sandbox::{Exit, Exited, Handle, Provider, SpawnError, SpawnRequest};
use specline_aggregates::{Epoch, SandboxId};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::Receiver;
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(20);

/// In a worker's script: never ends by itself, and is found by its arguments.
const FOR_EVER: &str = "sleep 31536000.$MARK";

/// A user's repository and a state folder; engines come and go.
struct Bench {
    root: TempDir,
    isolation: Isolation,
    commit: String,
    sandbox: SandboxId,
}

/// One engine's provider, with what it reports.
struct Engine {
    machine: LocalMachine,
    exits: Receiver<Exited>,
}

impl Bench {
    fn new(isolation: &Isolation) -> Self {
        let root = tempfile::tempdir().unwrap();
        let repo = root.path().join("repo");
        fs::create_dir_all(repo.join(".specline")).unwrap();
        fs::write(repo.join("file.txt"), "as it is\n").unwrap();
        fs::write(repo.join(".specline/engine.json"), "operator token\n").unwrap();
        let sandbox = SandboxId::new(Uuid::now_v7());
        let isolation = isolation.clone();
        let mut bench = Self { root, isolation, commit: String::new(), sandbox };
        let engine = bench.engine("true");
        bench.commit = engine.machine.snapshots().take(&repo, "run").unwrap().commit;
        bench
    }

    fn options(&self, script: &str) -> Options {
        let state = self.root.path().join("state");
        let mut options = Options::new(state, self.isolation.clone()).unwrap();
        options.worker = Program::new(PathBuf::from("/bin/sh"), &["-c", script]);
        options.supervise = supervise();
        options.end_grace = Duration::from_millis(300);
        options
    }

    fn engine(&self, script: &str) -> Engine {
        Engine::new(self.options(script))
    }

    fn request(&self) -> SpawnRequest {
        let env = [("MARK", self.mark()), ("SPECLINE_TOKEN", "token-of-this-sandbox".to_owned())];
        SpawnRequest {
            sandbox: self.sandbox,
            owner: Uuid::now_v7(),
            epoch: Epoch(1),
            commit: self.commit.clone(),
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
            pass_env: Vec::new(),
            lease_ms: 60_000,
            hide: vec![self.root.path().join("repo/.specline")],
            protect: vec![self.root.path().join("repo")],
        }
    }

    /// Digits that no other test has.
    fn mark(&self) -> String {
        self.sandbox.uuid().as_u128().to_string()
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("state/sandboxes").join(self.sandbox.to_string())
    }

    fn outbox(&self, name: &str) -> String {
        fs::read_to_string(self.folder().join("agent/outbox").join(name)).unwrap_or_default()
    }

    fn n_sleepers(&self) -> usize {
        let argument = format!("31536000.{}", self.mark());
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| line.split(|b| *b == 0).any(|arg| arg == argument.as_bytes())).count()
    }
}

impl Engine {
    fn new(options: Options) -> Self {
        let machine = LocalMachine::new(options).unwrap();
        let exits = machine.exits().expect("a new provider has its receiver");
        assert!(machine.exits().is_none());
        Self { machine, exits }
    }

    async fn spawn(&self, bench: &Bench) -> Handle {
        self.machine.spawn(bench.request()).await.unwrap()
    }

    async fn exited(&mut self) -> Exited {
        tokio::time::timeout(DEADLINE, self.exits.recv()).await.expect("an exit").unwrap()
    }

    async fn run(&mut self, bench: &Bench) -> Exited {
        self.spawn(bench).await;
        self.exited().await
    }
}

fn supervise() -> Program {
    Program::new(PathBuf::from(env!("CARGO_BIN_EXE_specline")), &["supervise"])
}

fn isolations() -> Vec<Isolation> {
    let mut all = vec![Isolation::Subreaper, landlock()];
    all.extend(isolation::choose(isolation::Choice::Bubblewrap));
    all
}

/// Every kernel that this project is tested on has it.
fn landlock() -> Isolation {
    Isolation::Landlock { program: PathBuf::from(env!("CARGO_BIN_EXE_specline")) }
}

fn pid(handle: &Handle, whose: &str) -> i32 {
    let json: serde_json::Value = serde_json::from_str(handle.as_json()).unwrap();
    i32::try_from(json[whose]["pid"].as_i64().unwrap()).unwrap()
}

fn kill(signal: &str, pid: i32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_worker_sees_the_snapshot_and_a_clean_environment() {
    for isolation in isolations() {
        let bench = Bench::new(&isolation);
        // CARGO_MANIFEST_DIR and CARGO_PKG_NAME stand for the engine's secrets: cargo sets both.
        let script = "env > $SPECLINE_OUTBOX/env; cat file.txt > $SPECLINE_OUTBOX/file; \
                      pwd > $SPECLINE_OUTBOX/pwd; cat $SPECLINE_API_FILE > $SPECLINE_OUTBOX/api";
        let mut engine = bench.engine(script);
        let mut request = bench.request();
        request.pass_env = vec!["CARGO_PKG_NAME".to_owned(), "NOT_SET_ANYWHERE".to_owned()];
        request.env.insert("OMOIOS_API_URL".to_owned(), "http://127.0.0.1:1".to_owned());
        engine.machine.spawn(request).await.unwrap();
        assert_eq!(engine.exited().await.exit, Exit::Code(0));
        assert_eq!(bench.outbox("file"), "as it is\n");
        assert_eq!(
            bench.outbox("pwd").trim_end(),
            bench.folder().join("agent/work").to_str().unwrap()
        );
        assert_eq!(bench.outbox("api"), r#"{"api_url":"http://127.0.0.1:1"}"#);
        let env = bench.outbox("env");
        let env: BTreeMap<&str, &str> = env.lines().filter_map(|l| l.split_once('=')).collect();
        assert_eq!(env["CARGO_PKG_NAME"], "specline");
        assert_eq!(env["SPECLINE_SANDBOX_ID"], bench.sandbox.to_string());
        assert_eq!(env["HOME"], bench.folder().join("agent/home").to_str().unwrap());
        assert!(!env.contains_key("CARGO_MANIFEST_DIR"), "{isolation}: {env:?}");
        assert!(!env.contains_key("NOT_SET_ANYWHERE"));
    }
}

#[tokio::test]
async fn no_secret_is_in_an_argument_a_log_or_a_file() {
    for isolation in isolations() {
        let bench = Bench::new(&isolation);
        let script = format!("echo out $SPECLINE_TOKEN; echo err $SPECLINE_TOKEN >&2; {FOR_EVER}");
        let mut engine = bench.engine(&script);
        let handle = engine.spawn(&bench).await;
        let log = bench.folder().join("worker.log");
        eventually("both lines are in the log", || {
            fs::read_to_string(&log).is_ok_and(|text| text.lines().count() == 2)
        })
        .await;
        for whose in ["supervisor", "worker"] {
            let arguments = fs::read(format!("/proc/{}/cmdline", pid(&handle, whose))).unwrap();
            assert!(!String::from_utf8_lossy(&arguments).contains("token-of"));
        }
        let environ = fs::read(format!("/proc/{}/environ", pid(&handle, "supervisor"))).unwrap();
        assert!(!String::from_utf8_lossy(&environ).contains("CARGO_"));
        engine.machine.terminate(bench.sandbox, &handle).await.unwrap();
        assert_eq!(engine.exited().await.last_lines, "err ***");
        for entry in fs::read_dir(bench.folder()).unwrap().flatten() {
            let text = fs::read(entry.path()).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            assert!(!text.contains("token-of"), "{}", entry.path().display());
        }
    }
}

#[tokio::test]
async fn an_exit_is_reported_with_code_signal_and_last_lines() {
    for isolation in isolations() {
        let bench = Bench::new(&isolation);
        let exited = bench.engine("echo why >&2; exit 78").run(&bench).await;
        let expected = Exited {
            sandbox: bench.sandbox,
            exit: Exit::Code(78),
            cause: Cause::WorkerEnded,
            last_lines: "why".to_owned(),
        };
        assert_eq!(exited, expected, "{isolation}");
        // The same id again, once it has ended: a new worker in a new working copy.
        let exited = bench.engine("kill -KILL $$").run(&bench).await;
        assert_eq!(exited.exit, Exit::Signal(9), "{isolation}");
    }
}

#[tokio::test]
async fn a_killed_worker_is_reported_at_once() {
    for isolation in isolations() {
        let bench = Bench::new(&isolation);
        let mut engine = bench.engine(&format!("exec {FOR_EVER}"));
        let handle = engine.spawn(&bench).await;
        let start = Instant::now();
        kill("-KILL", pid(&handle, "worker"));
        assert_eq!(engine.exited().await.exit, Exit::Signal(9));
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
}

/// A daemon in every disguise: a new session, two forks, no environment, deaf to SIGTERM.
fn daemons() -> String {
    format!(
        "(setsid sh -c '(trap \"\" TERM; {FOR_EVER}) & ' &) ; \
         (setsid env -i sh -c 'sleep 31536000.'$MARK' & exec sleep 31536000.'$MARK &) ; \
         while [ $(pgrep -cf 31536000.$MARK) -lt 3 ]; do :; done"
    )
}

#[tokio::test]
async fn a_daemon_does_not_outlive_its_worker() {
    for isolation in isolations() {
        let bench = Bench::new(&isolation);
        let exited = bench.engine(&daemons()).run(&bench).await;
        assert_eq!((exited.exit, exited.cause), (Exit::Code(0), Cause::WorkerEnded));
        assert_eq!(bench.n_sleepers(), 0, "{isolation}");
    }
}

#[tokio::test]
async fn terminate_ends_daemons_and_stopped_workers_and_may_be_repeated() {
    for isolation in isolations() {
        let bench = Bench::new(&isolation);
        let script = format!("{}; touch $SPECLINE_OUTBOX/up; {FOR_EVER}", daemons());
        let mut engine = bench.engine(&script);
        let handle = engine.spawn(&bench).await;
        eventually("the daemons run", || bench.n_sleepers() >= 4).await;
        kill("-STOP", pid(&handle, "worker"));
        engine.machine.terminate(bench.sandbox, &handle).await.unwrap();
        assert_eq!(bench.n_sleepers(), 0, "{isolation}");
        assert_eq!(engine.exited().await.cause, Cause::Ordered);
        engine.machine.terminate(bench.sandbox, &handle).await.unwrap();
    }
}

#[tokio::test]
async fn a_worker_that_is_asked_to_end_may_tidy_up() {
    for isolation in isolations() {
        let bench = Bench::new(&isolation);
        let script = "trap 'echo tidy > $SPECLINE_OUTBOX/end; exit 5' TERM; \
                      touch $SPECLINE_OUTBOX/up; while :; do sleep 0.01; done";
        let mut engine = bench.engine(script);
        let handle = engine.spawn(&bench).await;
        eventually("it is up", || bench.folder().join("agent/outbox/up").exists()).await;
        engine.machine.terminate(bench.sandbox, &handle).await.unwrap();
        assert_eq!(engine.exited().await.exit, Exit::Code(5), "{isolation}");
        assert_eq!(bench.outbox("end"), "tidy\n");
    }
}

#[tokio::test]
async fn a_killed_supervisor_leaves_nothing_behind() {
    for isolation in isolations() {
        let bench = Bench::new(&isolation);
        let daemon = format!("(setsid sh -c '{FOR_EVER} & {FOR_EVER}' &)");
        let script = format!("echo last words >&2; {daemon}; {FOR_EVER}");
        let mut engine = bench.engine(&script);
        let handle = engine.spawn(&bench).await;
        eventually("all run", || bench.n_sleepers() >= 3).await;
        kill("-KILL", pid(&handle, "supervisor"));
        engine.machine.terminate(bench.sandbox, &handle).await.unwrap();
        assert_eq!(bench.n_sleepers(), 0, "{isolation}");
        let exited = engine.exited().await;
        assert_eq!((exited.exit, exited.cause), (Exit::Unknown, Cause::SupervisorLost));
        assert_eq!(exited.last_lines, "last words");
    }
}

#[test]
fn a_restarted_engine_adopts_what_lives_and_hears_of_what_has_ended() {
    for isolation in isolations() {
        let bench = Bench::new(&isolation);
        let script =
            format!("while [ ! -e $SPECLINE_OUTBOX/go ]; do sleep 0.01; done; exit 9 # {FOR_EVER}");
        let first = Runtime::new().unwrap();
        let handle = first.block_on(async { bench.engine(&script).spawn(&bench).await });
        drop(first);

        let second = Runtime::new().unwrap();
        second.block_on(async {
            let mut engine = bench.engine("true");
            let listed = engine.machine.list().await.unwrap();
            assert_eq!(listed.len(), 1);
            assert_eq!((listed[0].life, &listed[0].handle), (Life::Alive, &Some(handle.clone())));
            let adopted = engine.machine.adopt(bench.sandbox, &handle).await.unwrap();
            assert_eq!(adopted, Adopted::Alive, "{isolation}");
            engine.machine.announce("http://127.0.0.1:2").unwrap();
            let api = fs::read_to_string(bench.folder().join("told/api.json")).unwrap();
            assert_eq!(api, r#"{"api_url":"http://127.0.0.1:2"}"#);
            fs::write(bench.folder().join("agent/outbox/go"), "").unwrap();
            assert_eq!(engine.exited().await.exit, Exit::Code(9), "{isolation}");
            let again = engine.machine.adopt(bench.sandbox, &handle).await.unwrap();
            let Adopted::Gone(exited) = again else { panic!("it has ended") };
            assert_eq!(exited.exit, Exit::Code(9));
            let listed = engine.machine.list().await.unwrap();
            assert_eq!(listed[0].life, Life::Ended);
        });
    }
}

#[tokio::test]
async fn a_second_spawn_of_one_sandbox_leaves_one_worker() {
    for isolation in isolations() {
        let bench = Bench::new(&isolation);
        let script = format!("echo started >> $SPECLINE_OUTBOX/starts; {FOR_EVER}");
        let (mut engine, other) = (bench.engine(&script), bench.engine(&script));
        let (first, second, third) =
            tokio::join!(engine.spawn(&bench), other.spawn(&bench), engine.spawn(&bench));
        assert!(first == second && second == third, "{isolation}");
        eventually("it runs", || bench.n_sleepers() >= 1).await;
        assert_eq!(bench.outbox("starts"), "started\n");
        let by_hand = Command::new(supervise().program)
            .arg("supervise")
            .arg(bench.folder())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(by_hand.status.code(), Some(i32::from(BUSY)));
        engine.machine.terminate(bench.sandbox, &first).await.unwrap();
        assert_eq!(engine.exited().await.cause, Cause::Ordered);
        assert!(engine.exits.try_recv().is_err(), "an exit is reported once");
    }
}

#[tokio::test]
async fn logs_are_bounded_and_removal_keeps_them() {
    for isolation in isolations() {
        let bench = Bench::new(&isolation);
        let script = format!("yes a line | head -c 1000000; echo end; {FOR_EVER}");
        let mut options = bench.options(&script);
        options.log_bytes = 64 * 1024;
        let mut engine = Engine::new(options);
        let handle = engine.spawn(&bench).await;
        let log = bench.folder().join("worker.log");
        eventually("all is written", || {
            fs::read_to_string(&log).is_ok_and(|text| text.ends_with("end\n"))
        })
        .await;
        let refused = engine.machine.remove(bench.sandbox, Outbox::Kept).await.unwrap_err();
        assert!(matches!(refused, OrderError::Running { .. }));
        engine.machine.terminate(bench.sandbox, &handle).await.unwrap();
        engine.exited().await;
        engine.machine.remove(bench.sandbox, Outbox::Kept).await.unwrap();
        engine.machine.remove(bench.sandbox, Outbox::Kept).await.unwrap();
        let size = |name: &str| fs::metadata(bench.folder().join(name)).map_or(0, |m| m.len());
        assert!(size("worker.log") + size("worker.log.1") <= 128 * 1024);
        assert!(size("worker.log") > 0);
        assert!(!bench.folder().join("work").exists());
        assert!(bench.folder().join("agent/outbox").exists());
    }
}

#[tokio::test]
async fn a_sandbox_that_no_engine_answers_ends_and_one_that_is_answered_goes_on() {
    for isolation in isolations() {
        let bench = Bench::new(&isolation);
        let mut request = bench.request();
        request.lease_ms = 500;
        let engine = |script: &str| {
            let mut options = bench.options(script);
            options.lease_grace = Duration::from_millis(500);
            Engine::new(options)
        };
        let answered =
            "for i in $(seq 40); do touch $SPECLINE_LEASE_FILE; sleep 0.05; done; exit 3";
        let mut alive = engine(answered);
        alive.machine.spawn(request.clone()).await.unwrap();
        assert_eq!(alive.exited().await.exit, Exit::Code(3), "{isolation}");
        let mut silent = engine(FOR_EVER);
        silent.machine.spawn(request).await.unwrap();
        assert_eq!(silent.exited().await.cause, Cause::LeaseRanOut, "{isolation}");
        assert_eq!(bench.n_sleepers(), 0);
    }
}

#[tokio::test]
async fn a_failed_spawn_says_what_failed_and_leaves_nothing() {
    for isolation in isolations() {
        let bench = Bench::new(&isolation);
        let mut options = bench.options("true");
        options.worker.program = PathBuf::from("/nowhere/agent");
        let error = Engine::new(options).machine.spawn(bench.request()).await.unwrap_err();
        let SpawnError::Worker { message } = error else { panic!("{error:?}") };
        assert_eq!(message, "/nowhere/agent: no such program");

        let mut options = bench.options("true");
        options.supervise.program = PathBuf::from("/nowhere/specline");
        let error = Engine::new(options).machine.spawn(bench.request()).await.unwrap_err();
        assert!(matches!(error, SpawnError::Program { .. }), "{error:?}");

        let mut request = bench.request();
        request.commit = "0".repeat(40);
        let error = bench.engine("true").machine.spawn(request).await.unwrap_err();
        assert!(matches!(error, SpawnError::Snapshot(_)), "{error:?}");

        let mut request = bench.request();
        request.env.insert("PHASE_CONTEXT_B64".to_owned(), "x".repeat(130 * 1024));
        let error = bench.engine("true").machine.spawn(request).await.unwrap_err();
        assert!(matches!(error, SpawnError::VariableTooLong { .. }), "{error:?}");
        let listed = bench.engine("true").machine.list().await.unwrap();
        assert!(listed.iter().all(|listed| listed.life == Life::Ended));
    }
}

/// Ids are derived: two logs on one machine may have a spec, and so a sandbox, of the same id.
#[tokio::test]
async fn a_sandbox_of_the_same_id_in_another_state_folder_is_left_alone() {
    for isolation in isolations() {
        let (ours, mut theirs) = (Bench::new(&isolation), Bench::new(&isolation));
        theirs.sandbox = ours.sandbox;
        let (our_engine, their_engine) = (ours.engine(FOR_EVER), theirs.engine(FOR_EVER));
        let handle = our_engine.spawn(&ours).await;
        let other = their_engine.spawn(&theirs).await;
        eventually("one each", || ours.n_sleepers() == 2).await;
        their_engine.machine.terminate(theirs.sandbox, &other).await.unwrap();
        assert_eq!(ours.n_sleepers(), 1, "{isolation}");
        let adopted = ours.engine("true").machine.adopt(ours.sandbox, &handle).await.unwrap();
        assert_eq!(adopted, Adopted::Alive, "{isolation}");
        our_engine.machine.terminate(ours.sandbox, &handle).await.unwrap();
        assert_eq!(ours.n_sleepers(), 0, "{isolation}");
    }
}

#[tokio::test]
async fn bubblewrap_hides_what_is_not_the_sandbox_s_business() {
    let Ok(isolation) = isolation::choose(isolation::Choice::Bubblewrap) else { return };
    let bench = Bench::new(&isolation);
    let repo = bench.root.path().join("repo");
    let siblings = bench.root.path().join("state/sandboxes");
    fs::create_dir_all(siblings.join("another")).unwrap();
    let see = |path: &Path, name: &str| format!("ls {} > $SPECLINE_OUTBOX/{name};", path.display());
    let script = see(&repo.join(".specline"), "engine") + &see(&siblings, "siblings");
    bench.engine(&script).run(&bench).await;
    assert_eq!(bench.outbox("engine"), "");
    assert_eq!(bench.outbox("siblings").trim_end(), bench.sandbox.to_string());
    assert!(repo.join(".specline/engine.json").exists());
}

#[tokio::test]
async fn a_terminal_s_ctrl_c_does_not_reach_a_sandbox() {
    for isolation in isolations() {
        let bench = Bench::new(&isolation);
        let engine = bench.engine(FOR_EVER);
        let handle = engine.spawn(&bench).await;
        let session = |pid: String| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            let (_, rest) = stat.rsplit_once(") ").unwrap();
            rest.split(' ').nth(3).unwrap().to_owned()
        };
        let own = session("self".to_owned());
        assert_ne!(session(pid(&handle, "worker").to_string()), own);
        assert_ne!(session(pid(&handle, "supervisor").to_string()), own);
        engine.machine.terminate(bench.sandbox, &handle).await.unwrap();
    }
}
