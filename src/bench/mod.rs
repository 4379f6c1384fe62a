//! `specline bench`: measures this machine's durable steps, recovery, start and HTTP API, each
//! beside a reference that is taken in the same run.

mod acks;
mod child;
mod cold;
mod http;
mod measure;
mod raw;
mod raw_postgres;
mod recover;
mod scratch;
mod steps;
mod subject;
pub mod workflow;

use clap::Subcommand;

use crate::cli::{Exit, Failure, PlaceArgs};
use crate::store::{SideTables, SnapshotKey};

#[derive(Subcommand)]
pub enum BenchCommand {
    /// Durable steps through the command path, and raw SQLite on the same disk.
    Steps(steps::StepsArgs),
    /// Kill a process with many specs at work, start it again, and look at what that cost.
    Recover(recover::RecoverArgs),
    /// Start of `serve` to its first answer, its memory and its idle cost.
    Cold(cold::ColdArgs),
    /// The HTTP API under load from a second process, and a fleet of sandboxes that only live.
    Http(http::HttpArgs),
    /// The server that `http` loads.
    #[command(hide = true)]
    HttpServer(http::ServerArgs),
    /// The process that `recover` kills.
    #[command(hide = true)]
    RecoverChild(child::ChildArgs),
}

pub async fn bench(place: &PlaceArgs, command: BenchCommand) -> Result<Exit, Failure> {
    match command {
        BenchCommand::Steps(args) => steps::steps(place, &args).await,
        BenchCommand::Recover(args) => recover::recover(&args).await,
        BenchCommand::Cold(args) => cold::cold(&args).await,
        BenchCommand::Http(args) => http::http(place, &args).await,
        BenchCommand::HttpServer(args) => http::run_server(place, args).await,
        BenchCommand::RecoverChild(args) => child::run(args).await,
    }
}

/// A failure of a measurement, for people.
/// The key of a log's snapshots, as its engine has it.
async fn snapshot_key(side: &dyn SideTables) -> Result<SnapshotKey, Failure> {
    let secret = side.secret().await.map_err(|error| failed("the log has no secret", error))?;
    Ok(SnapshotKey::of_secret(&secret))
}

fn failed(what: &str, cause: impl std::fmt::Display) -> Failure {
    Failure::failed(format!("{what}: {cause}"))
}
