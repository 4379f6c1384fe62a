//! Reads keys from all sources in their order, and keeps account of what came from where.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::file::{Whose, Written};
use super::nearest::nearest;
use super::{Error, File, OF_A_REPOSITORY, users_file};

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
    pub key: Cow<'static, str>,
    /// None: nothing is set, and nothing is the default.
    pub value: Option<String>,
    pub source: Source,
}

/// Where values may come from.
pub struct Sources<'a> {
    /// Given on the command line, by key.
    pub flags: BTreeMap<&'static str, String>,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The first goes before the others.
    pub files: Vec<File>,
}

impl<'a> Sources<'a> {
    /// Only the environment.
    #[must_use]
    pub fn new(env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { flags: BTreeMap::new(), env, files: Vec::new() }
    }
}

/// Reads keys.
pub struct Reader<'a> {
    sources: Sources<'a>,
    entries: Vec<Entry>,
    keys: Vec<Key>,
}

impl<'a> Reader<'a> {
    #[must_use]
    pub fn new(sources: Sources<'a>) -> Self {
        Self { sources, entries: Vec::new(), keys: Vec::new() }
    }

    /// The value of `key`; none where nothing is said.
    pub fn optional<T: FromStr>(&mut self, key: Key) -> Result<Option<T>, Error>
    where
        T::Err: fmt::Display,
    {
        let found = self.find(key);
        let source = found.as_ref().map_or(Source::Default, |(_, source)| source.clone());
        let value = found.as_ref().map(|(text, _)| key.secret.shown(text));
        self.entries.push(Entry { key: key.name.into(), value, source });
        self.keys.push(key);
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
        let may = |file: &&File| file.whose == Whose::User || OF_A_REPOSITORY.contains(&key.name);
        self.sources.files.iter().filter(may).find_map(|file| {
            let written = file.values.get(key.name)?;
            Some((written.text.clone(), Source::File(file.place(written))))
        })
    }

    /// The keys under `section` that stand in files of the user's own, without its name.
    pub(super) fn written_under(&self, section: &str) -> Vec<String> {
        let own = self.sources.files.iter().filter(|file| file.whose == Whose::User);
        let keys = own.flat_map(|file| file.values.keys());
        let under = |key: &String| key.strip_prefix(section)?.strip_prefix('.').map(str::to_owned);
        keys.filter_map(under).collect()
    }

    /// What the user's own files say under `key`.
    pub(super) fn written(&mut self, key: &str) -> Option<Written> {
        let own = self.sources.files.iter().filter(|file| file.whose == Whose::User);
        let (file, written) = own.into_iter().find_map(|f| Some((f, f.values.get(key)?)))?;
        let source = Source::File(file.place(written));
        let (written, value) = (written.clone(), Some(written.text.clone()));
        self.entries.push(Entry { key: key.to_owned().into(), value, source });
        Some(written)
    }

    /// All keys that were read; a key of a file that was not is refused, and so is one that its
    /// file may not have.
    pub fn finish(self) -> Result<Vec<Entry>, Error> {
        for file in &self.sources.files {
            // The first in the file, which is where a person begins to mend.
            let mut values: Vec<_> = file.values.iter().collect();
            values.sort_by_key(|(_, written)| written.line);
            values.into_iter().try_for_each(|(key, written)| self.judge(file, key, written))?;
        }
        Ok(self.entries)
    }

    fn judge(&self, file: &File, key: &str, written: &Written) -> Result<(), Error> {
        let (path, line, key) = (file.path.clone(), written.line, key.to_owned());
        let is_program = ["agents.", "evaluators."].iter().any(|it| key.starts_with(it));
        let known = self.entries.iter().any(|entry| entry.key == key);
        if file.whose == Whose::Repository && (known || is_program) {
            if OF_A_REPOSITORY.contains(&key.as_str()) {
                return Ok(());
            }
            let instead = self.instead(&key);
            return Err(Error::OfARepository { path, line, key, instead });
        }
        if known {
            return Ok(());
        }
        let names = self.entries.iter().map(|entry| entry.key.as_ref());
        let meant = nearest(&key, names);
        let nearest = meant.map(|key| format!("; did you mean `{key}`?")).unwrap_or_default();
        Err(Error::Unknown { path, line, key, nearest })
    }

    /// Where what a repository may not say can be said.
    fn instead(&self, key: &str) -> String {
        let own = users_file(self.sources.env);
        let own =
            own.map_or("a file named with --config".into(), |path| path.display().to_string());
        let key = self.keys.iter().find(|known| known.name == key);
        let way = key.and_then(|key| {
            let flag = key.flag.map(|flag| format!(", or give {flag}"));
            flag.or_else(|| key.env.first().map(|name| format!(", or set {name}")))
        });
        format!("put it into {own}{}", way.unwrap_or_default())
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
