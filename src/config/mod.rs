//! The configuration of this process: flags before environment before file before defaults. One
//! small struct a concern; each names its keys, and an unknown key in the file is refused.

mod file;
mod log;
mod nearest;
mod programs;
mod reader;
mod ready;
mod sandbox;
mod server;
mod store;

pub use file::{File, Whose};
pub use log::Log;
pub(crate) use nearest::nearest;
pub use reader::{Entry, Key, Reader, Secret, Source, Sources};
pub use ready::Ready;
pub use sandbox::Sandbox;
pub use server::{Server, Streams};
pub use store::Store;

use std::path::PathBuf;
use std::sync::OnceLock;

use crate::engine::Programs;
/// The file's name in `.specline/`.
pub const FILE_NAME: &str = "config.toml";

/// The variable that names a file.
pub const FILE_VARIABLE: &str = "SPECLINE_CONFIG";

/// What a file in a repository may say: how log lines look, and nothing of the engine.
const OF_A_REPOSITORY: [&str; 2] = ["log.level", "log.format"];

/// Read once, when the program starts.
static EFFECTIVE: OnceLock<Config> = OnceLock::new();

/// What cannot be used, and where it stands.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    #[error("{path} cannot be read: {cause}")]
    Unreadable { path: PathBuf, cause: String },
    #[error("{path}:{line}: {cause}")]
    Malformed { path: PathBuf, line: usize, cause: String },
    #[error("{path}:{line}: there is no key `{key}`{nearest}")]
    Unknown { path: PathBuf, line: usize, key: String, nearest: String },
    #[error(
        "{path}:{line}: `{key}` is not obeyed: a repository does not configure the engine; {instead}"
    )]
    OfARepository { path: PathBuf, line: usize, key: String, instead: String },
    /// A mistake on the command line.
    #[error("{flag}: {problem}")]
    Flag { flag: String, problem: String },
    #[error("{place}: {problem}")]
    Invalid { place: String, problem: String },
}

/// The effective configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub store: Store,
    pub server: Server,
    pub ready: Ready,
    pub log: Log,
    pub sandbox: Sandbox,
    /// What policies may choose by name.
    pub programs: Programs,
    /// Every key with its value and where that comes from, for people; secrets are hidden.
    pub entries: Vec<Entry>,
}

impl Config {
    /// Reads all keys from `sources`, and refuses the file's that nobody reads.
    pub fn read(sources: Sources<'_>) -> Result<Self, Error> {
        let mut reader = Reader::new(sources);
        let store = Store::read(&mut reader)?;
        let server = Server::read(&mut reader)?;
        let ready = Ready::read(&mut reader)?;
        let log = Log::read(&mut reader)?;
        let sandbox = Sandbox::read(&mut reader)?;
        let programs = programs::read(&mut reader)?;
        let entries = reader.finish()?;
        Ok(Self { store, server, ready, log, sandbox, programs, entries })
    }

    /// Makes this the configuration of the process. The first one stays.
    pub fn install(self) {
        drop(EFFECTIVE.set(self));
    }
}

/// Where the user's own settings are, when no file is named: in `XDG_CONFIG_HOME`, else in
/// `~/.config`.
pub fn users_file(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let folder = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(base.join("specline").join(FILE_NAME))
}

/// The configuration of the process; without one, what the environment says, as far as it is valid.
#[must_use]
pub fn effective() -> &'static Config {
    EFFECTIVE.get_or_init(|| {
        let env = |name: &str| std::env::var(name).ok();
        let nothing = |_: &str| None;
        Config::read(Sources::new(&env))
            .or_else(|_| Config::read(Sources::new(&nothing)))
            .expect("the defaults are valid, which a test shows")
    })
}

#[cfg(test)]
mod tests;
