//! The configuration of a command: read before it runs, and shown by `config show`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Subcommand};
use serde_json::json;

use super::args::{Cli, Command, ReadyArgs};
use super::place::FOLDER;
use super::{Exit, Failure, print};
use crate::config::{self, Config, File, Source, Sources, Whose};
use crate::telemetry::{self, Format};

/// The lines of a server or a worker.
const SPEAKING: &str = "info,sqlx=warn,hyper=warn";

/// The lines of a command that a person runs.
const QUIET: &str = "error";

/// Where settings come from, beside the environment.
#[derive(Args, Clone)]
pub struct SettingsArgs {
    /// A TOML file with settings; without it, ~/.config/specline/config.toml. Flags and the
    /// environment go before it.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How log lines are written: text or json.
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<Format>,
}

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Print every setting, its value, and where that comes from. Secrets are hidden.
    Show {
        #[arg(long)]
        json: bool,
    },
}

/// Reads the configuration for `cli`, puts it where the command looks, and starts the log lines.
pub(super) fn prepare(cli: &mut Cli, matches: &ArgMatches) -> Result<(), Failure> {
    let refused = |error: config::Error| match &error {
        config::Error::Flag { .. } => Failure::usage(error.to_string()),
        config::Error::Unreadable { .. }
        | config::Error::Malformed { .. }
        | config::Error::Unknown { .. }
        | config::Error::OfARepository { .. }
        | config::Error::Invalid { .. } => Failure::new(Exit::Configuration, error.to_string()),
    };
    let env = |name: &str| std::env::var(name).ok();
    // What runs in a sandbox has its orders, and stands among files that it must not trust.
    let files = if matches!(cli.command, Command::Worker | Command::Supervise { .. }) {
        Vec::new()
    } else {
        let files = files_of(cli, &env).into_iter();
        let files = files.map(|(path, whose)| File::open(&path, whose)).collect::<Result<_, _>>();
        files.map_err(refused)?
    };
    let config = Config::read(Sources { flags: flags(cli, matches), env: &env, files });
    let config = config.map_err(refused)?;
    start_logging(cli, &config);
    cli.place.store.clone_from(&config.store.url);
    if let Command::Serve(serve) = &mut cli.command {
        let server = &config.server;
        serve.listen = server.listen.to_string();
        serve.advertise.clone_from(&server.advertise);
        (serve.tls_cert, serve.tls_key) = server.tls.clone().unzip();
        serve.rate_limit = server.rate_limit;
        serve.max_connections = server.max_connections;
        serve.patience_seconds = server.patience_seconds;
        serve.failed_logins_per_minute = server.failed_logins_per_minute;
        serve.max_streams = server.max_streams;
        serve.insecure_no_auth = server.insecure_no_auth;
        serve.cors_origin = server.cors_origins.iter().map(ToString::to_string).collect();
    }
    config.install();
    Ok(())
}

/// The flags that were given, by key.
fn flags(cli: &Cli, matches: &ArgMatches) -> BTreeMap<&'static str, String> {
    let mut flags = BTreeMap::new();
    let mut put = |key: &'static str, value: Option<String>| {
        if let Some(value) = value {
            flags.insert(key, value);
        }
    };
    put("store.url", cli.place.store.clone());
    put("log.format", cli.settings.log_format.map(|format| format.to_string()));
    if let Command::Serve(serve) = &cli.command {
        let given = |name: &str| {
            let matches = matches.subcommand_matches("serve");
            matches.and_then(|m| m.value_source(name)) == Some(ValueSource::CommandLine)
        };
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        put("server.listen", given("listen").then(|| serve.listen.clone()));
        put("server.advertise", serve.advertise.clone());
        put("server.tls_cert", path(&serve.tls_cert));
        put("server.tls_key", path(&serve.tls_key));
        put("server.rate_limit", given("rate_limit").then(|| serve.rate_limit.to_string()));
        let number = |name, n: NonZeroU32| given(name).then(|| n.to_string());
        put("server.max_connections", number("max_connections", serve.max_connections));
        put("server.patience_seconds", number("patience_seconds", serve.patience_seconds));
        let failed = serve.failed_logins_per_minute;
        let failed = given("failed_logins_per_minute").then(|| failed.to_string());
        put("server.failed_logins_per_minute", failed);
        put("server.max_streams", given("max_streams").then(|| serve.max_streams.to_string()));
        put("server.insecure_no_auth", serve.insecure_no_auth.then(|| true.to_string()));
        put_ready(&serve.ready, &given, &mut put);
        put("server.cors_origins", given("cors_origin").then(|| serve.cors_origin.join(",")));
    }
    flags
}

fn put_ready(
    ready: &ReadyArgs,
    given: &dyn Fn(&str) -> bool,
    put: &mut dyn FnMut(&'static str, Option<String>),
) {
    let lag = ready.ready_max_lag_events.to_string();
    put("ready.max_lag_events", given("ready_max_lag_events").then_some(lag));
    let silence = ready.ready_max_duty_silence_seconds.to_string();
    let silence = given("ready_max_duty_silence_seconds").then_some(silence);
    put("ready.max_duty_silence_seconds", silence);
    let write = ready.ready_max_write_seconds.to_string();
    put("ready.max_write_seconds", given("ready_max_write_seconds").then_some(write));
}

/// The file that is named; else the user's own, and the one in the nearest `.specline/`, which may
/// say little.
fn files_of(cli: &Cli, env: &dyn Fn(&str) -> Option<String>) -> Vec<(PathBuf, Whose)> {
    let by_environment = || std::env::var_os(config::FILE_VARIABLE).filter(|name| !name.is_empty());
    if let Some(path) = cli.settings.config.clone().or_else(|| by_environment().map(PathBuf::from))
    {
        return vec![(path, Whose::User)];
    }
    let is_there = |path: &PathBuf| path.symlink_metadata().is_ok();
    let own = config::users_file(env).filter(is_there).map(|path| (path, Whose::User));
    let repositorys = in_repository(cli).filter(is_there).map(|path| (path, Whose::Repository));
    own.into_iter().chain(repositorys).collect()
}

/// The file in the nearest `.specline/`. Above the folder where a person stands, only folders of
/// their own are looked at: in /tmp, say, anybody could leave one.
fn in_repository(cli: &Cli) -> Option<PathBuf> {
    let in_folder = |folder: &Path| folder.join(FOLDER).join(config::FILE_NAME);
    if let Some(repo) = &cli.place.repo {
        return Some(in_folder(repo));
    }
    let here = std::env::current_dir().ok()?;
    let me = rustix::process::geteuid().as_raw();
    let own = |folder: &&Path| folder.metadata().is_ok_and(|meta| meta.uid() == me);
    let above = here.ancestors().skip(1).take_while(own);
    let mut all = std::iter::once(here.as_path()).chain(above).map(in_folder);
    all.find(|path| path.symlink_metadata().is_ok())
}

/// Without a level of Specline's own, `RUST_LOG` says it.
fn start_logging(cli: &Cli, config: &Config) {
    let speaks = matches!(cli.command, Command::Serve(_) | Command::Worker);
    let default = if speaks { SPEAKING } else { QUIET };
    let level = config.log.level.as_ref().map(|level| level.as_str().to_owned());
    let level = level.or_else(|| std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty()));
    let filter = telemetry::filter(level.as_deref().unwrap_or(default));
    if let Ok(filter) = filter.or_else(|_| telemetry::filter(default)) {
        telemetry::start(filter, config.log.format);
    }
}

pub(super) fn config(command: &ConfigCommand) -> Exit {
    let ConfigCommand::Show { json } = command;
    let entries = &config::effective().entries;
    if *json {
        let rows = entries.iter().map(|entry| {
            let source = match &entry.source {
                Source::Flag(at) => json!({ "kind": "flag", "at": at }),
                Source::Environment(at) => json!({ "kind": "environment", "at": at }),
                Source::File(at) => json!({ "kind": "file", "at": at }),
                Source::Default => json!({ "kind": "default" }),
            };
            json!({ "key": entry.key, "value": entry.value, "source": source })
        });
        print::json(&rows.collect::<Vec<_>>());
    } else {
        let row = |entry: &config::Entry| {
            let value = entry.value.clone().unwrap_or_else(|| "-".to_owned());
            vec![entry.key.to_string(), value, entry.source.to_string()]
        };
        let rows: Vec<_> = entries.iter().map(row).collect();
        print::table(&["KEY", "VALUE", "FROM"], &rows);
    }
    Exit::Completed
}
