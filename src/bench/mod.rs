//! `specline bench`.

use clap::Subcommand;

use crate::cli::{Exit, Failure};

#[derive(Subcommand)]
pub enum BenchCommand {
    Steps,
}

#[expect(clippy::unused_async, reason = "x")]
pub async fn bench(_: BenchCommand) -> Result<Exit, Failure> {
    Ok(Exit::Usage)
}
