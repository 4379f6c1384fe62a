//! How `serve` can be reached, and by whom.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use super::store::path;
use super::{Error, Key, Reader, Secret};
use crate::engine::tail::MAX_LISTENERS;
use crate::http::{FailedLogins, Limits, MAX_STREAMS, Origin, RateLimit};

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Port 0 takes the last one, or a free one.
    pub listen: SocketAddr,
    /// Where workers reach this engine, when that is not where it listens.
    pub advertise: Option<String>,
    /// Files of the certificate and its key: both or none.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Calls that one access key may make in a second; 0 = as many as it likes.
    pub rate_limit: u32,
    /// Connections at a time.
    pub max_connections: NonZeroU32,
    /// Longest that a caller may keep a connection waiting.
    pub patience_seconds: NonZeroU32,
    /// Logins that may fail from one address in a minute; 0 = as many as it likes.
    pub failed_logins_per_minute: u32,
    /// Streams of events that may be open at a time.
    pub max_streams: Streams,
    /// Origins whose pages may call.
    pub cors_origins: Vec<Origin>,
    /// Let everybody in.
    pub insecure_no_auth: bool,
}

/// A number of streams that one node can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams(pub usize);

impl Default for Streams {
    fn default() -> Self {
        Self(MAX_STREAMS)
    }
}

impl fmt::Display for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Streams {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|n| (1..=MAX_LISTENERS).contains(n));
        number
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not a number from 1 to {MAX_LISTENERS}"))
    }
}

/// Values between commas.
struct List<T>(Vec<T>);

impl<T: FromStr> FromStr for List<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl Server {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let key = |name, flag, env| Key { name, flag: Some(flag), env, secret: Secret::No };
        let listen = key("server.listen", "--listen", &["SPECLINE_LISTEN"]);
        let listen = reader.value(listen, SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let advertise = key("server.advertise", "--advertise", &["SPECLINE_ADVERTISE"]);
        let advertise = reader.optional(advertise)?;
        let cert = path(reader, "server.tls_cert", Some("--tls-cert"), &["SPECLINE_TLS_CERT"])?;
        let private = path(reader, "server.tls_key", Some("--tls-key"), &["SPECLINE_TLS_KEY"])?;
        let tls = match (cert, private) {
            (None, None) => None,
            (Some(cert), Some(private)) => Some((cert, private)),
            (Some(_), None) => return Err(lone("server.tls_cert", "server.tls_key")),
            (None, Some(_)) => return Err(lone("server.tls_key", "server.tls_cert")),
        };
        let rate = key("server.rate_limit", "--rate-limit", &["SPECLINE_RATE_LIMIT"]);
        let rate_limit = reader.value(rate, RateLimit::default().0)?;
        let name = "server.max_connections";
        let most = key(name, "--max-connections", &["SPECLINE_MAX_CONNECTIONS"]);
        let max_connections = reader.value(most, Limits::CONNECTIONS)?;
        let name = "server.patience_seconds";
        let patience = key(name, "--patience-seconds", &["SPECLINE_PATIENCE_SECONDS"]);
        let patience_seconds = reader.value(patience, Limits::PATIENCE_SECONDS)?;
        let name = "server.failed_logins_per_minute";
        let env = &["SPECLINE_FAILED_LOGINS_PER_MINUTE"];
        let failed = key(name, "--failed-logins-per-minute", env);
        let failed_logins_per_minute = reader.value(failed, FailedLogins::default().0)?;
        let streams = key("server.max_streams", "--max-streams", &["SPECLINE_MAX_STREAMS"]);
        let max_streams = reader.value(streams, Streams::default())?;
        let name = "server.insecure_no_auth";
        let open = key(name, "--insecure-no-auth", &["SPECLINE_INSECURE_NO_AUTH"]);
        let insecure_no_auth = reader.value(open, false)?;
        let origins = key("server.cors_origins", "--cors-origin", &["SPECLINE_CORS_ORIGINS"]);
        let origins: Option<List<Origin>> = reader.optional(origins)?;
        let cors_origins = origins.map(|List(origins)| origins).unwrap_or_default();
        Ok(Self {
            listen,
            advertise,
            tls,
            rate_limit,
            max_connections,
            patience_seconds,
            failed_logins_per_minute,
            max_streams,
            cors_origins,
            insecure_no_auth,
        })
    }
}

fn lone(given: &str, missing: &str) -> Error {
    let problem = format!("it needs `{missing}` beside it");
    Error::Invalid { place: given.to_owned(), problem }
}
