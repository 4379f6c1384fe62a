//! `specline bench`: measures this machine's durable steps, recovery and start, each beside a
//! reference that is taken in the same run.

mod acks;
mod child;
mod cold;
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

#[derive(Subcommand)]
pub enum BenchCommand {
    /// Durable steps through the command path, and raw SQLite on the same disk.
    Steps(steps::StepsArgs),
    /// Kill a process with many specs at work, start it again, and look at what that cost.
    Recover(recover::RecoverArgs),
    /// Start of `serve` to its first answer, its memory and its idle cost.
    Cold(cold::ColdArgs),
    /// The process that `recover` kills.
    #[command(hide = true)]
    RecoverChild(child::ChildArgs),
}

pub async fn bench(place: &PlaceArgs, command: BenchCommand) -> Result<Exit, Failure> {
    match command {
        BenchCommand::Steps(args) => steps::steps(place, &args).await,
        BenchCommand::Recover(args) => recover::recover(&args).await,
        BenchCommand::Cold(args) => cold::cold(&args).await,
        BenchCommand::RecoverChild(args) => child::run(args).await,
    }
}

/// A failure of a measurement, for people.
fn failed(what: &str, cause: impl std::fmt::Display) -> Failure {
    Failure::failed(format!("{what}: {cause}"))
}
