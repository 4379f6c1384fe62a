//! How `serve` can be reached, and by whom.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::store::path;
use super::{Error, Key, Reader, Secret};
use crate::http::{Origin, RateLimit};

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
    /// Origins whose pages may call.
    pub cors_origins: Vec<Origin>,
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
        let origins = key("server.cors_origins", "--cors-origin", &["SPECLINE_CORS_ORIGINS"]);
        let origins: Option<List<Origin>> = reader.optional(origins)?;
        let cors_origins = origins.map(|List(origins)| origins).unwrap_or_default();
        Ok(Self { listen, advertise, tls, rate_limit, cors_origins })
    }
}

fn lone(given: &str, missing: &str) -> Error {
    let problem = format!("it needs `{missing}` beside it");
    Error::Invalid { place: given.to_owned(), problem }
}
