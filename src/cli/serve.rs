//! `specline serve`: an engine that stays, with its API on this machine or for others.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use super::admission::{Doors, failed_logins, rate};
use super::args::{PlaceArgs, ServeArgs};
use super::follow::Interruptions;
use super::host::{Duties, Host, Listen};
use super::location::Location;
use super::{Exit, Failure, print};
use crate::descriptors;
use crate::engine::Leave;
use crate::http::{Access, Auth, Limits, Origin};
use crate::store::PgLog;
use crate::store::postgres::OpenError;

pub async fn serve(args: &PlaceArgs, serve: ServeArgs) -> Result<Exit, Failure> {
    let (place, _) = Location::for_repository(args)?;
    let listen = listen(serve)?;
    let mut interruptions = Interruptions::listen();
    say_room(listen.doors.as_ref().map(|doors| doors.access.limits.connections));
    let hosted = tokio::select! {
        hosted = host(&place, listen) => hosted,
        () = interruptions.next() => return Ok(Exit::Interrupted),
    };
    let host = hosted?;
    let Some(engine) = host.engine() else {
        let message = format!("another engine holds {}", place.shown());
        return Err(Failure::new(Exit::Busy, message));
    };
    print::data(host.outside().unwrap_or_else(|| engine.api_url()));
    let token = host.engine_file().map(|path| path.display().to_string()).unwrap_or_default();
    print::talk(&format!("serving {}; the operator's token is in {token}", place.shown()));
    let result = tokio::select! {
        () = interruptions.next() => Ok(Exit::Completed),
        failure = host.fatal() => Err(failure),
    };
    tracing::info!("stopping: requests are finished, and sandboxes live on");
    // The next engine takes them over where they are.
    tokio::select! {
        () = host.stop(Leave::Sandboxes) => result,
        () = interruptions.next() => {
            print::talk("stopped at once; what was under way is done again by the next engine");
            Ok(Exit::Interrupted)
        }
    }
}

/// First and longest pause before a database that is away is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Becomes a node as soon as its database is there: both are often started together.
async fn host(place: &Location, listen: Listen) -> Result<Host, Failure> {
    let Location::Postgres(url) = place else {
        return Host::listen(place, Duties::Run, listen).await;
    };
    let (mut pause, mut told) = (FIRST_PAUSE, false);
    loop {
        if let Err(OpenError::Unreachable { database, cause }) = PgLog::probe(url).await {
            if !std::mem::replace(&mut told, true) {
                print::talk(&format!("waiting for the database {database}: {cause}"));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            continue;
        }
        if std::mem::replace(&mut told, false) {
            print::talk("the database is there");
        }
        match Host::listen(place, Duties::Run, listen.clone()).await {
            // It went away meanwhile.
            Err(_) if matches!(PgLog::probe(url).await, Err(OpenError::Unreachable { .. })) => {}
            hosted => return hosted,
        }
    }
}

/// Fewer connections than were asked for are told of.
fn say_room(asked: Option<NonZeroU32>) {
    let Some(asked) = asked else { return };
    let (most, files) = (descriptors::connections(asked), descriptors::limit());
    if let Some(files) = files.filter(|_| most < asked) {
        print::talk(&format!(
            "{most} connections at a time, not {asked}: this process may have {files} files open, \
             and needs some itself; raise the limit with ulimit -n"
        ));
    }
}

fn listen(serve: ServeArgs) -> Result<Listen, Failure> {
    let given = &serve.listen;
    let address: SocketAddr = given
        .parse()
        .map_err(|_| Failure::usage(format!("--listen {given:?} is not ADDRESS:PORT")))?;
    let origins = serve.cors_origin.iter().map(|text| {
        text.parse::<Origin>().map_err(|error| Failure::usage(format!("--cors-origin: {error}")))
    });
    let access = Access {
        auth: if serve.insecure_no_auth { Auth::Off } else { Auth::Required },
        rate: rate(serve.rate_limit),
        failed_logins: failed_logins(serve.failed_logins_per_minute),
        streams: serve.max_streams.0,
        origins: origins.collect::<Result<_, _>>()?,
        ready: crate::config::effective().ready.bounds(),
        limits: Limits {
            connections: serve.max_connections,
            patience: Duration::from_secs(serve.patience_seconds.get().into()),
            ..Limits::default()
        },
    };
    let tls = serve.tls_cert.zip(serve.tls_key);
    let doors = Doors::of(address, tls, access)?;
    let local = doors.outside.is_none().then_some(address);
    Ok(Listen { address: local, advertise: serve.advertise, doors: Some(doors), provider: None })
}
