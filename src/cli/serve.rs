//! `specline serve`: an engine that stays, for the API on this machine.

use std::net::SocketAddr;

use super::args::PlaceArgs;
use super::follow::interrupted;
use super::host::{Duties, Host, Listen};
use super::location::Location;
use super::{Exit, Failure, print};
use crate::engine::Leave;

pub async fn serve(
    args: &PlaceArgs,
    listen: &str,
    advertise: Option<String>,
) -> Result<Exit, Failure> {
    let (place, _) = Location::for_repository(args)?;
    let address: SocketAddr = listen
        .parse()
        .map_err(|_| Failure::usage(format!("--listen {listen:?} is not ADDRESS:PORT")))?;
    if !address.ip().is_loopback() {
        return Err(Failure::new(
            Exit::Configuration,
            "this version serves loopback addresses only: API keys and TLS come in a later one",
        ));
    }
    let listen = Listen { address: Some(address), advertise };
    let host = Host::listen(&place, Duties::Run, listen).await?;
    let Some(engine) = host.engine() else {
        let message = format!("another engine holds {}", place.shown());
        return Err(Failure::new(Exit::Busy, message));
    };
    print::data(engine.api_url());
    let token = host.engine_file().map(|path| path.display().to_string()).unwrap_or_default();
    print::talk(&format!("serving {}; the operator's token is in {token}", place.shown()));
    let result = tokio::select! {
        () = interrupted() => Ok(Exit::Completed),
        failure = host.fatal() => Err(failure),
    };
    // Sandboxes live on: the next engine takes them over where they are.
    host.stop(Leave::Sandboxes).await;
    result
}
