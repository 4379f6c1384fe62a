//! Who is let in before the doors open: an engine that others can reach needs a key first, and one
//! on loopback gets its first key made.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Exit, Failure, print};
use crate::engine::{Engine, Stock};
use crate::http::{Access, Auth, FailedLogins, RateLimit, Tls};

/// Said whenever everybody is let in.
const NO_AUTH: &str = "\
warning: --insecure-no-auth: NOBODY HAS TO SAY WHO THEY ARE. Every program on this machine, of any \
user, may do everything here: read, approve, make keys, run agents. Never use this where others work.";

/// How the doors stand.
#[derive(Debug, Clone, Default)]
pub struct Doors {
    /// Where others reach this engine; none = on loopback, unencrypted, and nowhere else.
    pub outside: Option<Outside>,
    pub access: Access,
}

/// An address beside the local one.
#[derive(Debug, Clone)]
pub struct Outside {
    pub address: SocketAddr,
    /// Files of the certificate and its key.
    pub tls: Option<(PathBuf, PathBuf)>,
}

fn configuration(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Configuration, message)
}

impl Doors {
    /// What `serve` was told. Loopback without TLS needs no address of its own.
    pub fn of(
        address: SocketAddr,
        tls: Option<(PathBuf, PathBuf)>,
        access: Access,
    ) -> Result<Self, Failure> {
        let loopback = address.ip().to_canonical().is_loopback();
        if access.auth == Auth::Off && !loopback {
            return Err(configuration(format!(
                "--insecure-no-auth is for loopback addresses only, and {address} is none; make a \
                 key instead: specline keys create NAME --scope admin"
            )));
        }
        let outside = (!loopback || tls.is_some()).then_some(Outside { address, tls });
        Ok(Self { outside, access })
    }

    /// Refuses an engine that strangers could reach and nobody could use; on loopback the first key
    /// is made, and shown once.
    pub async fn check(&self, engine: &Engine) -> Result<(), Failure> {
        if self.access.auth == Auth::Off {
            print::talk(NO_AUTH);
            tracing::warn!("no authentication: every program on this machine may do everything");
            return Ok(());
        }
        let failed = |error: crate::engine::EngineError| Failure::failed(error.to_string());
        let stock = engine.key_stock().await.map_err(failed)?;
        let local = self.outside.as_ref().is_none_or(|at| at.address.ip().is_loopback());
        match (stock, local) {
            (Stock::Good, _) | (Stock::Spent, true) => Ok(()),
            (Stock::Never, true) => {
                let Some(key) = engine.create_first_key().await.map_err(failed)? else {
                    return Ok(());
                };
                print::talk("made the first access key, with the scope admin; shown this once:");
                print::talk(&key);
                Ok(())
            }
            (Stock::Never | Stock::Spent, false) => Err(configuration(
                "there is no key that opens anything, so nobody could use what others can reach; \
                 make one first: specline keys create NAME --scope admin",
            )),
        }
    }
}

impl Outside {
    /// The certificate, where one is named.
    pub fn tls(&self) -> Result<Option<Tls>, Failure> {
        let Some((certificate, key)) = &self.tls else { return Ok(None) };
        let tls = Tls::read(certificate, key);
        tls.map(Some).map_err(|error| configuration(super::host::chain(&error)))
    }

    pub fn url(&self, address: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{address}")
    }
}

/// `--failed-logins-per-minute`; 0 = as many as they like.
pub const fn failed_logins(per_minute: u32) -> Option<FailedLogins> {
    if per_minute == 0 { None } else { Some(FailedLogins(per_minute)) }
}

/// `--rate-limit`: calls a second; 0 = as many as they like.
pub const fn rate(per_second: u32) -> Option<RateLimit> {
    if per_second == 0 { None } else { Some(RateLimit(per_second)) }
}
