//! Where the log is, and what lies beside it.

use std::convert::Infallible;
use std::path::PathBuf;

use super::{Error, Key, Reader, Secret};

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// `sqlite:FILE` or `postgres://…`; none = the repository's own.
    pub url: Option<String>,
    /// Where sandboxes and snapshots lie; none = the user's state folder.
    pub state_dir: Option<PathBuf>,
}

impl Store {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            url: reader.optional(Key {
                name: "store.url",
                flag: Some("--store"),
                env: &["SPECLINE_STORE"],
                secret: Secret::Password,
            })?,
            state_dir: path(reader, "store.state_dir", None, &["SPECLINE_STATE_DIR"])?,
        })
    }
}

/// Any text is a path.
pub(super) fn path(
    reader: &mut Reader<'_>,
    name: &'static str,
    flag: Option<&'static str>,
    env: &'static [&'static str],
) -> Result<Option<PathBuf>, Error> {
    let text: Option<Text> = reader.optional(Key { name, flag, env, secret: Secret::No })?;
    Ok(text.map(|Text(text)| PathBuf::from(text)))
}

struct Text(String);

impl std::str::FromStr for Text {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}
