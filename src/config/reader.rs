//! Reads keys from all sources in their order, and keeps account of what came from where.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::nearest::nearest;
use super::{Error, File};

/// A key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// As the file has it: `section.name`.
    pub name: &'static str,
    /// The flag, where there is one; it says nothing of which commands have it.
    pub flag: Option<&'static str>,
    /// Variables, the first one before the others.
    pub env: &'static [&'static str],
    pub secret: Secret,
}

/// What of a value people may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    No,
    /// A URL, whose password is hidden.
    Password,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Flag(String),
    Environment(String),
    File(String),
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(place) => write!(f, "file {place}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A key with its effective value, as people may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub key: &'static str,
    /// None: nothing is set, and nothing is the default.
    pub value: Option<String>,
    pub source: Source,
}

/// Where values may come from.
pub struct Sources<'a> {
    /// Given on the command line, by key.
    pub flags: BTreeMap<&'static str, String>,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    pub file: Option<File>,
}

impl<'a> Sources<'a> {
    /// Only the environment.
    #[must_use]
    pub fn new(env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { flags: BTreeMap::new(), env, file: None }
    }
}

/// Reads keys.
pub struct Reader<'a> {
    sources: Sources<'a>,
    entries: Vec<Entry>,
}

impl<'a> Reader<'a> {
    #[must_use]
    pub fn new(sources: Sources<'a>) -> Self {
        Self { sources, entries: Vec::new() }
    }

    /// The value of `key`; none where nothing is said.
    pub fn optional<T: FromStr>(&mut self, key: Key) -> Result<Option<T>, Error>
    where
        T::Err: fmt::Display,
    {
        let found = self.find(key);
        let source = found.as_ref().map_or(Source::Default, |(_, source)| source.clone());
        let value = found.as_ref().map(|(text, _)| key.secret.shown(text));
        self.entries.push(Entry { key: key.name, value, source });
        let Some((text, source)) = found else { return Ok(None) };
        let parsed = text.parse::<T>().map_err(|error| match source {
            Source::Flag(flag) => Error::Flag { flag, problem: error.to_string() },
            other @ (Source::Environment(_) | Source::File(_) | Source::Default) => {
                Error::Invalid {
                    place: format!("{} ({other})", key.name),
                    problem: error.to_string(),
                }
            }
        })?;
        Ok(Some(parsed))
    }

    /// The value of `key`, or `default`.
    pub fn value<T: FromStr + fmt::Display>(&mut self, key: Key, default: T) -> Result<T, Error>
    where
        T::Err: fmt::Display,
    {
        if let Some(value) = self.optional(key)? {
            return Ok(value);
        }
        if let Some(entry) = self.entries.last_mut() {
            entry.value = Some(default.to_string());
        }
        Ok(default)
    }

    fn find(&self, key: Key) -> Option<(String, Source)> {
        if let Some(text) = self.sources.flags.get(key.name) {
            let flag = key.flag.unwrap_or(key.name).to_owned();
            return Some((text.clone(), Source::Flag(flag)));
        }
        let set = |name: &str| (self.sources.env)(name).filter(|text| !text.trim().is_empty());
        if let Some((name, text)) = key.env.iter().find_map(|name| Some((*name, set(name)?))) {
            return Some((text, Source::Environment(name.to_owned())));
        }
        let file = self.sources.file.as_ref()?;
        let written = file.values.get(key.name)?;
        let place = format!("{}:{}", file.path.display(), written.line);
        Some((written.text.clone(), Source::File(place)))
    }

    /// All keys that were read; a key of the file that was not is refused.
    pub fn finish(self) -> Result<Vec<Entry>, Error> {
        let known = |name: &str| self.entries.iter().any(|entry| entry.key == name);
        let Some(file) = &self.sources.file else { return Ok(self.entries) };
        let unknown = file.values.iter().filter(|(name, _)| !known(name));
        // The first in the file, which is where a person begins to mend.
        let Some((name, written)) = unknown.min_by_key(|(_, written)| written.line) else {
            return Ok(self.entries);
        };
        let meant = nearest(name, self.entries.iter().map(|entry| entry.key));
        Err(Error::Unknown {
            path: file.path.clone(),
            line: written.line,
            key: name.clone(),
            nearest: meant.map(|key| format!("; did you mean `{key}`?")).unwrap_or_default(),
        })
    }
}

impl Secret {
    fn shown(self, text: &str) -> String {
        match self {
            Self::No => text.to_owned(),
            Self::Password => without_password(text),
        }
    }
}

/// A URL with `***` in the place of its password, wherever one can stand in it.
fn without_password(url: &str) -> String {
    let (base, query) =
        url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let mut shown =
        match base.split_once("://").map(|(scheme, rest)| (scheme, rest.rsplit_once('@'))) {
            Some((scheme, Some((user, host)))) => {
                let name =
                    user.split_once(':').map_or(user.to_owned(), |(name, _)| format!("{name}:***"));
                format!("{scheme}://{name}@{host}")
            }
            _ => base.to_owned(),
        };
    if let Some(query) = query {
        let hide = |part: &str| match part.split_once('=') {
            Some((name, _)) if name.contains("pass") => format!("{name}=***"),
            _ => part.to_owned(),
        };
        shown.push('?');
        shown.push_str(&query.split('&').map(hide).collect::<Vec<_>>().join("&"));
    }
    shown
}
