//! `bench http`: a server of its own under load from this process, over kept-alive connections.
//! Each call is measured alone, at several numbers of clients, beside the cheapest route there is;
//! then a fleet of sandboxes that only say that they live.

mod calls;
mod client;
mod fleet;
mod outputs;
mod reads;
mod report;
mod seed;
mod server;
mod site;
mod waiting;

use std::num::ParseIntError;
use std::time::Duration;

use clap::Args;

pub use server::ServerArgs;
pub(super) use server::run as run_server;

use crate::cli::{Exit, Failure, PlaceArgs};

use calls::Call;
use report::Report;
use site::Site;

#[derive(Args)]
pub struct HttpArgs {
    /// Callers at once; each call is measured with each number.
    #[arg(long, default_value = "1,16,64", value_parser = numbers)]
    clients: Numbers,
    /// How long each call is measured with each number of clients.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Sandboxes that are attached, and that the worker's calls are made for.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    sandboxes: u32,
    /// Specs that wait to be started, for `execute`.
    #[arg(long, default_value_t = 1_000)]
    drafts: u32,
    /// How often each sandbox says that it lives.
    #[arg(long, default_value_t = 10.0)]
    every: f64,
    /// How long the fleet is watched; 0 leaves it out.
    #[arg(long, default_value_t = 60.0)]
    fleet_seconds: f64,
    /// Only these calls; all by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    calls: Vec<Call>,
    #[arg(long)]
    json: bool,
}

/// Numbers with commas between.
#[derive(Debug, Clone)]
struct Numbers(Vec<usize>);

fn numbers(text: &str) -> Result<Numbers, ParseIntError> {
    text.split(',').map(|part| part.trim().parse()).collect::<Result<_, _>>().map(Numbers)
}

/// A length of time from a flag.
fn seconds(given: f64) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(given)
        .map_err(|error| Failure::usage(format!("{given} seconds: {error}")))
}

pub(super) async fn http(place: &PlaceArgs, args: &HttpArgs) -> Result<Exit, Failure> {
    let (time, every) = (seconds(args.seconds)?, seconds(args.every)?);
    let watched = seconds(args.fleet_seconds)?;
    let site = Site::start(place.store.as_deref(), (args.sandboxes, args.drafts)).await?;
    let measured = async {
        let mut report = Report::new(&site);
        let fleet = fleet::attach(&site, args.sandboxes as usize).await?;
        if watched > Duration::ZERO {
            report.fleet = Some(fleet::watch(&site, &fleet, (every, watched)).await?);
        }
        let calls = if args.calls.is_empty() { &Call::ALL[..] } else { &args.calls };
        calls::measure(&site, fleet, (calls, &args.clients.0, time), &mut report).await?;
        report.end();
        Ok::<_, Failure>(report)
    };
    let report = measured.await.map_err(|failure| site.with_last_lines(&failure))?;
    site.stop().await?;
    report::show(&report, args.json);
    Ok(Exit::Completed)
}
