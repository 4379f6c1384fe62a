//! What is said while it runs.

use std::str::FromStr;

use super::{Error, Key, Reader, Secret};
use crate::telemetry::{Format, filter};

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Which lines; none = those that the command is for.
    pub level: Option<Level>,
    pub format: Format,
}

/// A level, or directives such as `info,specline::engine=debug`; known to be valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level(String);

impl Level {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        filter(text).map(|_| Self(text.to_owned()))
    }
}

impl Log {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            level: reader.optional(Key {
                name: "log.level",
                flag: None,
                env: &["SPECLINE_LOG"],
                secret: Secret::No,
            })?,
            format: reader.value(
                Key {
                    name: "log.format",
                    flag: Some("--log-format"),
                    env: &["SPECLINE_LOG_FORMAT"],
                    secret: Secret::No,
                },
                Format::Text,
            )?,
        })
    }
}
