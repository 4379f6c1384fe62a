//! The command line. Data goes to stdout, talk to stderr; every error says what to do.

mod admission;
mod adopt;
mod adopted;
mod ahead;
mod api;
mod args;
mod audit;
mod backup;
mod cached;
mod config;
mod copy;
mod decide;
mod diff;
mod display;
mod doctor;
mod edit;
mod exit;
mod export;
mod follow;
mod gates;
mod hidden;
mod host;
mod host_key;
mod input;
mod keys;
mod lists;
mod location;
mod log;
mod place;
pub mod print;
mod projections;
mod reads;
mod replay;
mod restore;
mod resume;
mod run;
mod serve;
mod steer;
mod summary;
mod timeline;
mod worker;

pub use api::Api;
pub use args::PlaceArgs;
pub use exit::{Exit, Failure};
pub use host::{Duties, Host, Listen};
pub use location::Location;
pub use place::Place;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use self::args::{Cli, Command};

/// Runs the program. `supervise` and `confine` come first: they must have no async runtime.
#[must_use]
pub fn main() -> ExitCode {
    let parsed = Cli::command().try_get_matches();
    let parsed = parsed.and_then(|found| Ok((Cli::from_arg_matches(&found)?, found)));
    let (mut cli, found) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version go to stdout with code 0, mistakes to stderr with code 2.
            drop(error.print());
            return Exit::from_clap(&error).into();
        }
    };
    if let Command::Supervise { folder } = &cli.command {
        return crate::sandbox::process::supervise(folder);
    }
    if let Command::Confine(args) = &cli.command {
        return crate::sandbox::confine::confine(&args.into());
    }
    if !matches!(cli.command, Command::Worker) {
        keep_to_itself();
    }
    if let Err(failure) = config::prepare(&mut cli, &found) {
        return failed(&failure);
    }
    if matches!(cli.command, Command::Run(_) | Command::Resume { .. } | Command::Serve(_)) {
        crate::descriptors::raise();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            print::talk(&format!("error: the runtime cannot start: {error}"));
            return Exit::Failed.into();
        }
    };
    let result = runtime.block_on(Box::pin(dispatch(cli)));
    // A blocked thread of a dropped call must not keep the program from ending.
    runtime.shutdown_background();
    crate::telemetry::finish();
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => failed(&failure),
    }
}

/// Closes this process's memory and environment, where keys may be, to other processes of its user.
/// Root reads them all the same.
fn keep_to_itself() {
    let behavior = DumpableBehavior::NotDumpable;
    if let Err(error) = set_dumpable_behavior(behavior) {
        tracing::debug!(cause = %error, "other processes of this user may look into this one");
    }
}

fn failed(failure: &Failure) -> ExitCode {
    print::talk(&format!("error: {}", failure.message));
    failure.exit.into()
}

async fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let place = &cli.place;
    match cli.command {
        Command::Run(args) => run::run(place, args).await,
        Command::Resume { spec, json } => resume::resume(place, spec, json).await,
        Command::List(args) => lists::list(place, args).await,
        Command::Show { spec, json } => reads::show(place, &spec, json).await,
        Command::Events { spec, follow, json } => reads::events(place, spec, follow, json).await,
        Command::Timeline { spec, json } => timeline::timeline(place, &spec, json).await,
        Command::Tasks(args) => lists::tasks(place, args).await,
        Command::Requirements { spec, json } => lists::requirements(place, &spec, json).await,
        Command::Checkpoints { spec, json } => reads::checkpoints(place, &spec, json).await,
        Command::Replay { spec, to, json } => replay::replay(place, &spec, to, json).await,
        Command::Approve(args) => decide::approve(place, args).await,
        Command::Reject(args) => decide::reject(place, args).await,
        Command::Edit(args) => decide::edit(place, args).await,
        Command::Cancel { spec, reason } => steer::cancel(place, &spec, reason).await,
        Command::Pause { spec, reason } => steer::pause(place, &spec, reason).await,
        Command::Retry(args) => steer::retry(place, args).await,
        Command::Fork { spec, at, json } => steer::fork(place, &spec, at, json).await,
        Command::Diff(args) => diff::diff(place, args).await,
        Command::Export(args) => export::export(place, args).await,
        Command::Projections { command, json } => {
            projections::projections(place, command, json).await
        }
        Command::Audit { command } => audit::audit(place, command).await,
        Command::Log { command } => log::log(place, command).await,
        Command::Backup(args) => backup::backup(place, args).await,
        Command::Restore(args) => restore::restore(place, args).await,
        Command::Worker => worker::worker().await,
        Command::Serve(args) => serve::serve(place, args).await,
        Command::Keys { command } => keys::keys(place, command).await,
        Command::Doctor { agent, agent_env } => doctor::doctor(place, agent, agent_env).await,
        Command::Config { command } => Ok(config::config(&command)),
        Command::Gates { command } => gates::gates(place, command).await,
        Command::Bench { command } => crate::bench::bench(place, command).await,
        Command::Completions { shell } => {
            let mut command = Cli::command();
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command, "specline", &mut text);
            print::document(String::from_utf8_lossy(&text).trim_end());
            Ok(Exit::Completed)
        }
        Command::Version => {
            print::data(concat!("specline ", env!("CARGO_PKG_VERSION")));
            Ok(Exit::Completed)
        }
        Command::Supervise { .. } | Command::Confine(_) => Ok(Exit::Usage),
    }
}
