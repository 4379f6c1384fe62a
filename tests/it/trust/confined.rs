//! An agent that tries to get out: with bubblewrap and with Landlock, as root and as somebody else,
//! wherever the log lies.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::{AGENT_PHASES, Project, postgres, process, wait_until};

/// What group and others may do.
const OTHERS: u32 = 0o077;

/// Somebody who is not root.
const OTHER: u32 = 65_534;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum User {
    /// Whoever runs the tests.
    Self_,
    Other,
}

/// Whether this is root, who may become somebody else.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Every user that these tests can be, on every isolation.
fn all() -> Vec<(User, &'static str)> {
    let users = if is_root() { vec![User::Self_, User::Other] } else { vec![User::Self_] };
    users.into_iter().flat_map(|user| [(user, "bubblewrap"), (user, "landlock")]).collect()
}

/// The same command as another user, who owns all of the project.
fn by(user: User, project: &Project, command: Command) -> Command {
    if user == User::Self_ {
        return command;
    }
    let mut other = as_other();
    other.arg(reachable(command.get_program()));
    other.args(command.get_args()).current_dir(project.root()).env_clear();
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let owner = format!("{OTHER}:{OTHER}");
    let changed = Command::new("chown").args(["-R", &owner]).arg(project.root()).status();
    assert!(changed.unwrap().success());
    other
}

/// Begins a command of the other user's.
fn as_other() -> Command {
    let mut other = Command::new("setpriv");
    other.args([format!("--reuid={OTHER}"), format!("--regid={OTHER}")]);
    other.args(["--clear-groups", "--inh-caps=-all"]);
    other
}

/// A program that the other user can start: the tree may lie below a folder that is closed to them.
fn reachable(program: &OsStr) -> PathBuf {
    static COPY: OnceLock<PathBuf> = OnceLock::new();
    let specline = OsStr::new(env!("CARGO_BIN_EXE_specline"));
    if program != specline {
        return program.into();
    }
    let reached = || {
        // Through a shell: the first program is found with the rights of before.
        let tried = as_other().args(["sh", "-c", "exec \"$0\" version"]).arg(specline).output();
        if tried.unwrap().status.success() {
            return specline.into();
        }
        let folder = tempfile::Builder::new().prefix("specline-it-").tempdir().unwrap().keep();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let copy = folder.join("specline");
        std::fs::copy(specline, &copy).unwrap();
        copy
    };
    COPY.get_or_init(reached).clone()
}

/// Runs with the scripted agent, as `user`, under `isolation`.
fn run(project: &Project, (user, isolation): (User, &str), more: &[&str]) {
    let args = project.run_args(more);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = project.command(&args);
    command.env("SPECLINE_ISOLATION", isolation);
    let said = project.start(by(user, project, command)).wait();
    assert_eq!(said.code(), 0, "{user:?} {isolation}: {said:?}");
    assert_eq!(project.agent.phases(), AGENT_PHASES);
}

/// What the agent tries; each line of `broke` in its folder is a way that was open.
fn attack(project: &Project, log: &Path) -> String {
    let (repo, state) = (project.repo(), project.path("state"));
    let (repo, state, home) = (repo.display(), state.display(), project.path("home"));
    let (home, log) = (home.display(), log.display());
    format!(
        r#"
        broke() {{ echo "$1" >> "$here/broke"; }}
        try() {{ way=$1; shift; if sh -c "$*" > /dev/null 2>&1; then broke "$way"; fi; }}
        see() {{ if [ -n "$(cat "$@" 2>/dev/null | head -c 1)" ]; then broke "reads $*"; fi; }}
        try 'writes a file into the repository' 'echo x > {repo}/planted'
        try 'makes a tag in the repository' 'git -c safe.directory=* -C {repo} tag planted'
        try 'writes into .git' 'echo x > {repo}/.git/planted'
        try 'writes into the home' 'echo x > {home}/.profile'
        try 'unmounts what hides' 'umount -l {repo}/.specline || umount -l {state}'
        try 'makes the root writable' 'mount -o remount,rw / && touch {repo}/remounted'
        try 'mounts over' 'mount --bind /etc {repo}/.specline'
        try 'has a disk' 'ls /dev/vda /dev/sda /dev/nvme0n1 | grep -q . && head -c 1 /dev/vda'
        see {log} {log}-wal
        see {repo}/.specline/engine.json {repo}/.specline/log.db
        see $(find {state} -name '*.json' -not -path '*/told/*' -not -path '*/work/*' 2>/dev/null) \
            /dev/null
        see $(find {state} \( -name 'secret*' -o -name 'engine*' -o -name config \) 2>/dev/null |
            grep -v agent/work/.git/config) /dev/null
        try 'writes the private repository' \
            'f=$(ls -d {state}/*/snapshots.git/config) && echo x >> $f'
        try 'writes an object' 'd=$(ls -d {state}/*/snapshots.git/objects) && touch $d/planted'
        try 'tells the worker where the engine is' 'echo x > $SPECLINE_API_FILE'
        try 'signals a process outside' "kill -9 $(cat $here/victim)"
        for pid in $(pgrep -f 'specline run'); do see /proc/$pid/environ; done
        ln -s {repo} "$SPECLINE_OUTBOX/link"
        "#
    )
}

/// A process of the same user that is none of the sandbox's business.
fn victim(project: &Project, user: User) -> crate::support::Running {
    let mut command = Command::new("sleep");
    command.arg("31536000").env("VICTIMS_SECRET", "x").envs([("HOME", "/"), ("PATH", "/bin")]);
    let running = project.start(by(user, project, command));
    std::fs::write(project.path("agent/victim"), running.pid().to_string()).unwrap();
    running
}

fn nothing_broke(project: &Project, who: &(User, &str)) {
    let broke = std::fs::read_to_string(project.path("agent/broke")).unwrap_or_default();
    // Landlock leaves the view of processes as it is, and root may look into each.
    let roots = |line: &&str| line.contains("/environ") && who == &(User::Self_, "landlock");
    let broke: Vec<&str> = broke.lines().filter(|line| !(is_root() && roots(line))).collect();
    assert_eq!(broke, Vec::<&str>::new(), "{who:?}");
    assert!(project.repo().join("README.md").exists() || project.repo().join("src").exists());
}

#[test]
fn an_agent_does_not_get_out_of_its_sandbox() {
    for who in all() {
        let project = Project::new();
        let mut victim = victim(&project, who.0);
        project.agent.on("explore", &attack(&project, &project.repo().join(".specline/log.db")));
        run(&project, who, &[]);
        nothing_broke(&project, &who);
        assert!(!victim.has_ended(), "{who:?}");
    }
}

#[test]
fn nor_where_the_log_lies_elsewhere() {
    for who in all() {
        let project = Project::new();
        let log = project.path("elsewhere/log.db");
        std::fs::create_dir(project.path("elsewhere")).unwrap();
        let _victim = victim(&project, who.0);
        project.agent.on("explore", &attack(&project, &log));
        run(&project, who, &["--store", &format!("sqlite:{}", log.display())]);
        nothing_broke(&project, &who);
    }
}

#[test]
fn nor_where_the_log_is_in_postgresql() {
    let database = postgres::server().database();
    for who in all() {
        let project = Project::on_store(database.url());
        let _victim = victim(&project, who.0);
        project.agent.on("explore", &attack(&project, Path::new("/dev/null")));
        run(&project, who, &[]);
        nothing_broke(&project, &who);
    }
}

/// Without isolation an agent may do what its user may. What the engine does for it is another
/// matter: records and links that it leaves lead the engine nowhere.
#[test]
fn forged_records_and_links_lead_the_engine_nowhere() {
    let project = Project::new();
    let mut victim = victim(&project, User::Self_);
    let precious = project.path("precious");
    std::fs::create_dir_all(precious.join("work/inner")).unwrap();
    for file in ["note", "work/file", "work/inner/file"] {
        std::fs::write(precious.join(file), "dear").unwrap();
    }
    let forge = format!(
        r#"
        if mkdir "$here/once.forged" 2> /dev/null; then
        mine=$(dirname $(dirname "$SPECLINE_OUTBOX"))
        test -e $mine/supervisor.json || mine=$(dirname "$SPECLINE_OUTBOX")
        pid=$(cat $here/victim)
        ticks=$(sed 's/.*) //' /proc/$pid/stat | cut -d ' ' -f 20)
        super=$(grep -o '"supervisor":{{"pid":[0-9]*' $mine/supervisor.json | grep -o '[0-9]*$')
        sed "s/\"worker\":{{[^}}]*}}/\"worker\":{{\"pid\":$pid,\"started\":$ticks}}/" \
            $mine/supervisor.json > $mine/forged
        mv $mine/forged $mine/supervisor.json
        for pid in $(seq $((super - 50)) $((super + 4000))); do
            ln -s {precious}/note $mine/exit.json.$pid.tmp 2>/dev/null
        done
        rm -r "$SPECLINE_OUTBOX"
        ln -s {precious} "$SPECLINE_OUTBOX"
        kill -9 $super
        fi
        "#,
        precious = precious.display()
    );
    project.agent.on("explore", &forge);
    let args = project.run_args(&[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = project.command(&args);
    command.env("SPECLINE_ISOLATION", "subreaper");
    let said = project.start(command).wait();
    assert_eq!(said.code(), 0, "{said:?}");
    assert!(!victim.has_ended(), "a forged record got it killed");
    for file in ["note", "work/file", "work/inner/file"] {
        let text = std::fs::read_to_string(precious.join(file)).unwrap_or_default();
        assert_eq!(text, "dear", "{file}");
    }
}

/// Nothing of an attempt lives on in the next, in whatever session it hides.
#[test]
fn what_an_agent_leaves_behind_ends_with_its_attempt() {
    for isolation in ["bubblewrap", "landlock", "subreaper"] {
        let project = Project::new();
        project.agent.on(
            "explore",
            "(setsid sh -c 'sleep 31536000.77 & sleep 31536000.77' > /dev/null 2>&1 &)\n\
             while [ $(pgrep -cf 31536000.77) -lt 2 ]; do :; done\n",
        );
        project.agent.on("requirements", "pgrep -f 'sleep 31536000.77' > $here/left\n");
        let args = project.run_args(&[]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = project.command(&args);
        command.env("SPECLINE_ISOLATION", isolation);
        let said = project.start(command).wait();
        assert_eq!(said.code(), 0, "{isolation}: {said:?}");
        assert_eq!(std::fs::read_to_string(project.path("agent/left")).unwrap(), "", "{isolation}");
    }
}

/// Every file and folder of the state is its owner's alone.
#[test]
fn nobody_else_reads_what_a_run_leaves() {
    let project = Project::new();
    assert_eq!(project.run(&[]).code(), 0);
    let mut open = Vec::new();
    let mut folders = vec![project.path("state"), project.repo().join(".specline")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let metadata = entry.path().symlink_metadata().unwrap();
            // A private folder keeps all that lies in it.
            let closed = metadata.permissions().mode() & OTHERS == 0;
            if !closed && !metadata.is_symlink() {
                open.push(entry.path());
            }
        }
    }
    assert_eq!(open, Vec::<std::path::PathBuf>::new());
    wait_until("the end of all processes", || process::all(project.root()).is_empty());
}
