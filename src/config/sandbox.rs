//! How sandboxes are kept apart from the machine, and what they may use of it.

use std::convert::Infallible;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Error, Key, Reader, Secret};
use crate::sandbox::confine::Limits;
use crate::sandbox::isolation::{self, Choice};

/// The variable of `sandbox.max_running`.
const MAX_RUNNING: &[&str] = &["SPECLINE_SANDBOX_MAX_RUNNING"];

/// `[sandbox]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    pub isolation: Choice,
    /// Folders, beside a sandbox's own, that programs inside may write to.
    pub writable: Folders,
    /// Whether they may write to the machine's temporary folder.
    pub shared_tmp: bool,
    pub limits: Limits,
    /// Sandboxes that run at a time.
    pub max_running: NonZeroUsize,
}

/// Paths with commas between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folders(pub Vec<PathBuf>);

impl FromStr for Folders {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        Ok(Self(parts.map(PathBuf::from).collect()))
    }
}

impl fmt::Display for Folders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(|path| path.display().to_string()).collect();
        f.write_str(&parts.join(","))
    }
}

impl Sandbox {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let isolation = key("sandbox.isolation", &[isolation::VARIABLE]);
        let writable = key("sandbox.writable", &["SPECLINE_SANDBOX_WRITABLE"]);
        let shared_tmp = key("sandbox.shared_tmp", &["SPECLINE_SANDBOX_SHARED_TMP"]);
        Ok(Self {
            isolation: reader.value(isolation, Choice::Auto)?,
            writable: reader.value(writable, Folders::default())?,
            shared_tmp: reader.value(shared_tmp, true)?,
            limits: limits(reader)?,
            max_running: reader
                .value(key("sandbox.max_running", MAX_RUNNING), usually_running())?,
        })
    }

    /// What of the machine every sandbox may write to, but for what is protected there.
    #[must_use]
    pub fn shared(&self) -> Vec<PathBuf> {
        if self.shared_tmp { vec![std::env::temp_dir()] } else { Vec::new() }
    }
}

/// Two for each processor: agents wait for their models most of the time.
fn usually_running() -> NonZeroUsize {
    let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    processors.saturating_mul(NonZeroUsize::MIN.saturating_add(1))
}

fn limits(reader: &mut Reader<'_>) -> Result<Limits, Error> {
    let usual = Limits::default();
    Ok(Limits {
        memory_mb: reader.value(key("sandbox.memory_mb", &[]), usual.memory_mb)?,
        processes: reader.value(key("sandbox.processes", &[]), usual.processes)?,
        open_files: reader.value(key("sandbox.open_files", &[]), usual.open_files)?,
        file_mb: reader.value(key("sandbox.file_mb", &[]), usual.file_mb)?,
    })
}

const fn key(name: &'static str, env: &'static [&'static str]) -> Key {
    Key { name, flag: None, env, secret: Secret::No }
}
