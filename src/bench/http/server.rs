//! The server under load: all that `serve` is but the sandboxes' processes. It ends when whoever
//! started it closes its input.

use std::sync::Arc;

use clap::Args;
use tokio::sync::oneshot;

use crate::cli::{Duties, Exit, Failure, Host, Listen, Location, PlaceArgs, print};
use crate::engine::Leave;

use super::seed;
use super::waiting::{Line, Waiting};

#[derive(Args)]
pub struct ServerArgs {
    /// Specs to start.
    #[arg(long)]
    sandboxes: u32,
    /// Specs to draft only.
    #[arg(long)]
    drafts: u32,
}

pub(in crate::bench) async fn run(place: &PlaceArgs, args: ServerArgs) -> Result<Exit, Failure> {
    let (location, repo) = Location::for_repository(place)?;
    let listen = Listen { provider: Some(Arc::new(Waiting::new())), ..Listen::default() };
    let host = Host::listen(&location, Duties::Run, listen).await?;
    let Some(engine) = host.engine() else {
        return Err(Failure::new(Exit::Busy, "another engine holds this log"));
    };
    if engine.head() != 0 {
        let message = "this log holds events already; a benchmark wants a new one";
        return Err(Failure::new(Exit::Configuration, message));
    }
    let drafts = seed::seed(engine, &repo, (args.sandboxes, args.drafts)).await?;
    let (url, token) = (engine.api_url().to_owned(), engine.operator_token());
    print::json_line(&Line::Ready { url, token, drafts });
    let ended = tokio::select! {
        _ = input_closed() => Ok(()),
        failure = host.fatal() => Err(failure),
    };
    host.stop(Leave::Sandboxes).await;
    ended.map(|()| Exit::Completed)
}

/// Resolves when whoever started this process has gone, or wants it to end. The thread blocks: it
/// is none of the runtime's, which would wait for it.
fn input_closed() -> oneshot::Receiver<()> {
    let (closed, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        drop(std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()));
        drop(closed);
    });
    receiver
}
