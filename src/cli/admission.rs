//! Who is let in before the doors open: an engine that others can reach needs a key first, and one
//! on loopback gets its first key made.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{Exit, Failure, print};
use crate::engine::{Engine, Stock};
use crate::http::{Access, Auth, FailedLogins, RateLimit, Tls};
use crate::sandbox::isolation::{Choice, WEAK};

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

    /// Whoever reaches an engine from elsewhere has agents run here: not without anything that
    /// keeps them apart, unless the host says so in words.
    fn check_isolation(&self, engine: &Engine) -> Result<(), Failure> {
        let outside = self.outside.as_ref().is_some_and(|at| !at.address.ip().is_loopback());
        let said = crate::config::effective().sandbox.isolation == Choice::Subreaper;
        if !outside || said || engine.isolation() != Some(WEAK) {
            return Ok(());
        }
        Err(configuration(
            "neither bubblewrap nor Landlock works here, so agents that others start could do \
             whatever you may: install the package `bubblewrap` (see `specline doctor`), or accept \
             it with SPECLINE_ISOLATION=subreaper",
        ))
    }

    /// Refuses an engine that strangers could reach and nobody could use; on loopback the first key
    /// is made, and shown once: on a terminal, or in a file of the user's own in `state`.
    pub async fn check(&self, engine: &Engine, state: &Path) -> Result<(), Failure> {
        self.check_isolation(engine)?;
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
                let place = FirstKey::prepare(state)?;
                match engine.create_first_key().await.map_err(failed)? {
                    Some(key) => place.tell(&key),
                    None => place.give_up(),
                }
            }
            (Stock::Never | Stock::Spent, false) => Err(configuration(
                "there is no key that opens anything, so nobody could use what others can reach; \
                 make one first: specline keys create NAME --scope admin",
            )),
        }
    }
}

/// Where the first key goes. The place is made before the key is: a key that nobody can read is
/// worse than none.
enum FirstKey {
    Terminal,
    File(PathBuf, File),
}

impl FirstKey {
    fn prepare(state: &Path) -> Result<Self, Failure> {
        if std::io::stderr().is_terminal() {
            return Ok(Self::Terminal);
        }
        let path = state.join(format!("first-key-{}", uuid::Uuid::now_v7().simple()));
        let make = || {
            std::fs::create_dir_all(state)?;
            File::options().write(true).create_new(true).mode(0o600).open(&path)
        };
        let file = make().map_err(|error| unwritten(&path, &error))?;
        Ok(Self::File(path, file))
    }

    fn tell(self, key: &str) -> Result<(), Failure> {
        let Self::File(path, mut file) = self else {
            print::talk("made the first access key, with the scope admin; shown this once:");
            print::talk(key);
            return Ok(());
        };
        let written = writeln!(file, "{key}").and_then(|()| file.sync_all());
        written.map_err(|error| unwritten(&path, &error))?;
        print::talk(&format!(
            "made the first access key, with the scope admin: it is in {} and nowhere else; keep \
             it as you keep a password, and remove the file",
            path.display()
        ));
        Ok(())
    }

    /// There is no key to tell.
    fn give_up(self) -> Result<(), Failure> {
        match self {
            Self::Terminal => Ok(()),
            Self::File(path, _) => {
                std::fs::remove_file(&path).map_err(|error| unwritten(&path, &error))
            }
        }
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    configuration(format!("{}, for the first access key: {error}", path.display()))
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
