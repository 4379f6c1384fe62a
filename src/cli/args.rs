//! The command line's grammar.

use std::ffi::OsString;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use specline_aggregates::access_key::Scope;
use specline_aggregates::{Phase, ProjectId};

use super::audit::AuditCommand;
use super::config::{ConfigCommand, SettingsArgs};
use super::gates::GatesCommand;
use crate::bench::BenchCommand;
use crate::config::{Ready, Source, Streams};
use crate::http::{FailedLogins, Limits};
use crate::sandbox::confine;

/// A durable workflow engine for spec-driven development with AI coding agents.
///
/// `specline run "Add rate limiting to the public API"` takes a request through explore,
/// requirements, design, tasks and sync, each judged by a gate, and loses nothing when anything
/// dies: `specline resume` goes on where it was.
#[derive(Parser)]
#[command(name = "specline", version, max_term_width = 100)]
pub(super) struct Cli {
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub settings: SettingsArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// Where the log is.
#[derive(Args, Clone)]
pub struct PlaceArgs {
    /// The repository; its log is in .specline/ there. Without it, the nearest .specline/ from here
    /// upwards is used.
    #[arg(long, global = true, value_name = "DIR")]
    pub repo: Option<PathBuf>,
    /// The log itself: sqlite:FILE, or postgres://USER@HOST/DB, which any number of engines share;
    /// SPECLINE_STORE says it too.
    #[arg(long, global = true, value_name = "URL")]
    pub store: Option<String>,
}

impl PlaceArgs {
    /// The flags that lead a next command to the same log; a password is left out. Nothing where
    /// the environment or the folder says it.
    #[must_use]
    pub fn flags(&self) -> String {
        let mut settings = crate::config::effective().entries.iter();
        let by_flag =
            settings.any(|it| it.key == "store.url" && matches!(it.source, Source::Flag(_)));
        match (&self.store, &self.repo) {
            (Some(store), _) if by_flag => {
                format!(" --store {}", super::copy::shown(store))
            }
            (None, Some(repo)) => format!(" --repo {}", repo.display()),
            _ => String::new(),
        }
    }
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Take a request through all phases, and follow it to its end.
    Run(RunArgs),
    /// Go on with a spec, or with every unfinished one, and follow to the end.
    Resume {
        spec: Option<String>,
        #[arg(long)]
        json: bool,
    },
    /// List the specs, newest first.
    List(ListArgs),
    /// Show a spec: phases, attempts, verdicts, checkpoints, usage.
    Show {
        spec: String,
        #[arg(long)]
        json: bool,
    },
    /// Print the log, of one spec or of everything.
    Events {
        spec: Option<String>,
        /// Keep printing what comes.
        #[arg(long)]
        follow: bool,
        #[arg(long)]
        json: bool,
    },
    /// What happened to a spec, and what its agents said on the way, by time.
    Timeline {
        spec: String,
        #[arg(long)]
        json: bool,
    },
    /// List the tasks that the specs left in the queue.
    Tasks(TaskArgs),
    /// List a spec's requirements, and what covers them.
    Requirements {
        spec: String,
        #[arg(long)]
        json: bool,
    },
    /// List a spec's checkpoints.
    Checkpoints {
        spec: String,
        #[arg(long)]
        json: bool,
    },
    /// Approve the output that waits for a person.
    Approve(ApproveArgs),
    /// Send the output that waits back, with feedback for the next attempt.
    Reject(RejectArgs),
    /// Put a person's own output in the place of a phase's; later phases are done again.
    Edit(EditArgs),
    /// End a spec for good.
    Cancel {
        spec: String,
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let the running attempt finish, and start no other.
    Pause {
        spec: String,
        #[arg(long)]
        reason: Option<String>,
    },
    /// Do a phase and all later ones again.
    Retry(RetryArgs),
    /// Start a new spec from a past event of another.
    Fork {
        spec: String,
        /// Sequence of the event after which the fork begins.
        #[arg(long, value_name = "SEQUENCE")]
        at: u64,
        #[arg(long)]
        json: bool,
    },
    /// Show a spec as it was after an event, by replay.
    Replay {
        spec: String,
        #[arg(long, value_name = "SEQUENCE")]
        to: Option<u64>,
        #[arg(long)]
        json: bool,
    },
    /// Show what is different between two versions of a spec.
    Diff(DiffArgs),
    /// Write a spec in the folder shape of another tool.
    Export(ExportArgs),
    /// The read models: where they stand, or rebuild one from the log.
    Projections {
        #[command(subcommand)]
        command: Option<ProjectionsCommand>,
        #[arg(long, global = true)]
        json: bool,
    },
    /// Whether the log can be trusted: chains, seals, proofs.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// The log itself.
    Log {
        #[command(subcommand)]
        command: LogCommand,
    },
    /// Copy the log into one file, verified, while engines may run.
    Backup(BackupArgs),
    /// Put a backup in the place of the log.
    Restore(RestoreArgs),
    /// Serve the API.
    Serve(ServeArgs),
    /// The gates: try a changed one on everything that was judged.
    Gates {
        #[command(subcommand)]
        command: GatesCommand,
    },
    /// The settings of this machine.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Access keys of the API: made, listed, revoked.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// What runs inside a sandbox; its orders come by environment.
    Worker,
    /// Say what works on this machine and what does not; with --agent, run that agent once.
    Doctor {
        #[arg(long, value_name = "AGENT")]
        agent: Option<String>,
        /// Variables of yours that the agent may see.
        #[arg(long, value_name = "NAME")]
        agent_env: Vec<String>,
    },
    /// Measure this machine's durable steps and recovery.
    Bench {
        #[command(subcommand)]
        command: BenchCommand,
    },
    /// Print shell completions.
    Completions { shell: clap_complete::Shell },
    /// Print the version.
    Version,
    #[command(hide = true)]
    Supervise { folder: PathBuf },
    #[command(hide = true)]
    Confine(ConfineArgs),
}

/// How a program is held to what it may see and use.
#[derive(Args)]
pub struct ConfineArgs {
    #[arg(long)]
    view: Option<String>,
    #[arg(long)]
    limits: Option<String>,
    #[arg(long)]
    reap: bool,
    program: OsString,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl From<&ConfineArgs> for confine::Order {
    fn from(args: &ConfineArgs) -> Self {
        Self {
            view: args.view.clone(),
            limits: args.limits.clone(),
            reap: args.reap,
            program: args.program.clone(),
            args: args.args.clone(),
        }
    }
}

#[derive(Args)]
pub struct ServeArgs {
    /// Address and port. Others than loopback need an access key first, and should have TLS.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: String,
    /// Where workers reach this engine, when that is not where it listens: a load balancer
    /// before several engines, say.
    #[arg(long, value_name = "URL")]
    pub advertise: Option<String>,
    /// The certificate (PEM, with its chain) by which callers know this engine.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Calls that one access key may make in a second; 0 is as many as it likes.
    #[arg(long, value_name = "CALLS", default_value_t = crate::http::RateLimit::default().0)]
    pub rate_limit: u32,
    /// Connections at a time; the next ones wait.
    #[arg(long, value_name = "N", default_value_t = Limits::CONNECTIONS)]
    pub max_connections: NonZeroU32,
    /// Longest that a caller may pause within a request, or leave a connection idle.
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::PATIENCE_SECONDS)]
    pub patience_seconds: NonZeroU32,
    /// An origin whose pages may call, such as https://board.example.com; none by default.
    #[arg(long, value_name = "ORIGIN")]
    pub cors_origin: Vec<String>,
    /// Logins that may fail from one address in a minute; 0 is as many as it likes.
    #[arg(long, value_name = "LOGINS", default_value_t = FailedLogins::default().0)]
    pub failed_logins_per_minute: u32,
    /// Streams of events that may be open at a time.
    #[arg(long, value_name = "N", default_value_t = Streams::default())]
    pub max_streams: Streams,
    /// Let everybody in. Only on loopback addresses.
    #[arg(long)]
    pub insecure_no_auth: bool,
    #[command(flatten)]
    pub ready: ReadyArgs,
}

/// When `/health/ready` says no.
#[derive(Args)]
#[expect(clippy::struct_field_names, reason = "they name their flags")]
pub struct ReadyArgs {
    /// Events that a read model may be behind.
    #[arg(long, value_name = "EVENTS", default_value_t = Ready::default().max_lag_events)]
    pub ready_max_lag_events: u64,
    /// Longest that a duty may not have looked around; each does every half minute at least.
    #[arg(long, value_name = "SECONDS",
        default_value_t = Ready::default().max_duty_silence_seconds)]
    pub ready_max_duty_silence_seconds: NonZeroU64,
    /// Longest that a write to the log's store may take.
    #[arg(long, value_name = "SECONDS", default_value_t = Ready::default().max_write_seconds)]
    pub ready_max_write_seconds: NonZeroU64,
}

#[derive(Subcommand)]
pub enum KeysCommand {
    /// Make a key. It is shown this once.
    Create(KeyArgs),
    /// List the keys that open something.
    List {
        /// Also those that are revoked or have expired.
        #[arg(long)]
        all: bool,
        #[arg(long)]
        json: bool,
    },
    /// Take a key back.
    Revoke {
        /// Its id, or its name.
        key: String,
        #[arg(long)]
        reason: Option<String>,
        #[arg(long)]
        json: bool,
    },
    /// Draw a new secret for the tokens of the operator and of sandboxes; no engine may run.
    RotateSecret,
}

#[derive(Args)]
pub struct KeyArgs {
    /// Whose it is, or what for; events name it.
    pub name: String,
    /// What it allows: admin, operator, approver, reader; several with commas. Without it: reader.
    #[arg(long, value_delimiter = ',')]
    pub scope: Vec<Scope>,
    /// The only project that it sees.
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<ProjectId>,
    /// When it ends: a number of days such as 90d, or a time.
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<String>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct RunArgs {
    /// What is asked for.
    #[arg(value_name = "TEXT", conflicts_with = "file")]
    pub text: Option<String>,
    /// A Markdown file with what is asked for.
    #[arg(long, value_name = "REQUEST.md")]
    pub file: Option<PathBuf>,
    #[arg(long)]
    pub title: Option<String>,
    /// `builtin` (offline, no model), a name of your config.toml, or `command:PROGRAM ARG…`.
    #[arg(long, value_name = "AGENT")]
    pub agent: Option<String>,
    /// Variables of yours that the agent may see; only their names are recorded.
    #[arg(long, value_name = "NAME")]
    pub agent_env: Vec<String>,
    /// Phases whose output a person must approve.
    #[arg(long, value_name = "PHASE", value_delimiter = ',')]
    pub approve: Vec<Phase>,
    /// A JSON file with the spec's policy: limits, backoff, gate, budget.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// End with the object of `show --json` on stdout.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ListArgs {
    #[arg(long)]
    pub status: Option<String>,
    #[arg(long)]
    pub phase: Option<Phase>,
    /// Part of the title.
    #[arg(long, value_name = "TEXT")]
    pub query: Option<String>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct TaskArgs {
    /// Only the tasks of this spec.
    #[arg(long)]
    pub spec: Option<String>,
    #[arg(long)]
    pub status: Option<String>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ApproveArgs {
    pub spec: String,
    pub phase: Phase,
    /// Digest of the output that you looked at. Without it the output is shown and you are asked.
    #[arg(long)]
    pub digest: Option<String>,
    #[arg(long)]
    pub comment: Option<String>,
}

#[derive(Args)]
pub struct RejectArgs {
    pub spec: String,
    pub phase: Phase,
    #[arg(long)]
    pub feedback: String,
    /// Digest of the output that you looked at; without it, the one that waits now.
    #[arg(long)]
    pub digest: Option<String>,
}

#[derive(Args)]
pub struct EditArgs {
    pub spec: String,
    pub phase: Phase,
    /// A JSON file with the output. Without it, $EDITOR opens the output as it is.
    #[arg(long, value_name = "FILE", conflicts_with = "from_repo")]
    pub file: Option<PathBuf>,
    /// Take what was changed by hand in the spec's Markdown files.
    #[arg(long)]
    pub from_repo: bool,
}

#[derive(Args)]
pub struct RetryArgs {
    pub spec: String,
    #[arg(long, value_name = "PHASE")]
    pub from: Phase,
    /// A new bound on tokens for the whole spec.
    #[arg(long, value_name = "TOKENS")]
    pub budget_tokens: Option<u64>,
    /// A new bound on cost for the whole spec, in US dollars.
    #[arg(long, value_name = "USD")]
    pub budget_usd: Option<f64>,
}

#[derive(Args)]
pub struct DiffArgs {
    pub spec: String,
    /// Version (sequence of the last event) to begin from.
    #[arg(long, value_name = "VERSION")]
    pub from: u64,
    /// Version to end with; the current one, without.
    #[arg(long, value_name = "VERSION")]
    pub to: Option<u64>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ExportArgs {
    pub spec: String,
    /// json, markdown, spec-kit, kiro or openspec.
    #[arg(long)]
    pub format: crate::export::Format,
    /// The root of a repository to write into; printed, without.
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// The spec as it was after this event.
    #[arg(long, value_name = "VERSION")]
    pub at: Option<u64>,
}

#[derive(Subcommand)]
pub enum ProjectionsCommand {
    /// Where each stands.
    List,
    /// Build one anew beside the live one, and swap it in.
    Rebuild { name: String },
}

#[derive(Subcommand)]
pub enum LogCommand {
    /// Recompute every hash, and name the first event that differs.
    Verify {
        #[arg(long)]
        json: bool,
    },
    /// Obey a log that was not made by you on this machine: cloned, unpacked, or copied.
    Adopt(AdoptArgs),
    /// Move the log into another store; stopped, the same command goes on with it.
    Copy(CopyArgs),
}

#[derive(Args)]
pub struct AdoptArgs {
    /// Make it a log of its own, apart from the one that it was copied from.
    #[arg(long)]
    pub as_copy: bool,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct CopyArgs {
    /// Where the log is: sqlite:FILE or postgres://USER@HOST/DB. No engine may run on it.
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// Where it shall be: a place that is empty, or holds an unfinished copy of this log.
    #[arg(long, value_name = "URL")]
    pub to: String,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct BackupArgs {
    /// The file; it must not be there yet. Without it, a name with the time, in this folder.
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct RestoreArgs {
    /// The backup.
    #[arg(value_name = "FILE", required_unless_present = "in_place")]
    pub file: Option<PathBuf>,
    /// Move a log that has events aside, and end sandboxes of it that live.
    #[arg(long)]
    pub force: bool,
    /// The log was put back by another program (pg_restore, a recovery, a copied file): end the
    /// time that is lost, and begin anew.
    #[arg(long, conflicts_with = "file")]
    pub in_place: bool,
    #[arg(long)]
    pub json: bool,
}
