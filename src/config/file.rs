//! The TOML file, flattened: `[server] listen` is `server.listen`. Every key keeps its line.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use toml::de::{DeTable, DeValue};

use super::Error;

/// A value as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub text: String,
    /// The texts of a list.
    pub items: Option<Vec<String>>,
    pub line: usize,
}

/// Whose word a file is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Whose {
    /// Of the user who runs this, or named by them.
    #[default]
    User,
    /// Of a repository: somebody else may have written it.
    Repository,
}

/// Largest file, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// A file that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    pub(super) path: PathBuf,
    pub(super) whose: Whose,
    pub(super) values: BTreeMap<String, Written>,
}

impl File {
    /// Reads the file at `path`, which must be a plain one of a bounded size.
    pub fn open(path: &Path, whose: Whose) -> Result<Self, Error> {
        let unreadable = |error: io::Error| Error::Unreadable {
            path: path.to_owned(),
            cause: error.to_string(),
        };
        let text = read(path, whose).map_err(unreadable)?;
        Ok(Self { whose, ..Self::parse(path, &text)? })
    }

    /// Where a value of it stands, for people.
    pub(super) fn place(&self, written: &Written) -> String {
        format!("{}:{}", self.path.display(), written.line)
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let table = DeTable::parse(text).map_err(|error| Error::Malformed {
            path: path.to_owned(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            cause: error.message().to_owned(),
        })?;
        let mut file = Self { path: path.to_owned(), ..Self::default() };
        file.take(text, "", table.get_ref())?;
        Ok(file)
    }

    fn take(&mut self, text: &str, above: &str, table: &DeTable<'_>) -> Result<(), Error> {
        for (name, value) in table {
            let line = line_of(text, name.span().start);
            let key = match above {
                "" => name.get_ref().to_string(),
                above => format!("{above}.{}", name.get_ref()),
            };
            if let DeValue::Table(inner) = value.get_ref() {
                self.take(text, &key, inner)?;
                continue;
            }
            let items = texts(value.get_ref());
            let text = plain(value.get_ref()).ok_or_else(|| Error::Malformed {
                path: self.path.clone(),
                line,
                cause: format!("`{key}` is neither text, number, yes or no, nor a list of texts"),
            })?;
            self.values.insert(key, Written { text, items, line });
        }
        Ok(())
    }
}

/// A value as a flag would give it; a list with commas.
fn plain(value: &DeValue<'_>) -> Option<String> {
    if let DeValue::String(text) = value {
        Some(text.to_string())
    } else if let DeValue::Integer(number) = value {
        Some(number.as_str().to_owned())
    } else if let DeValue::Boolean(yes) = value {
        Some(yes.to_string())
    } else if let DeValue::Array(items) = value {
        let items: Option<Vec<String>> = items.iter().map(|item| plain(item.get_ref())).collect();
        Some(items?.join(","))
    } else {
        None
    }
}

fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    let DeValue::Array(items) = value else { return None };
    items.iter().map(|item| plain(item.get_ref())).collect()
}

/// What stands there instead of a file (a device, a pipe, a link out of a repository) is not read,
/// and nobody waits for it.
fn read(path: &Path, whose: Whose) -> io::Result<String> {
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    if whose == Whose::Repository {
        flags |= OFlags::NOFOLLOW;
    }
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::LOOP => io::Error::other("it is a link, which is not followed"),
        other => other.into(),
    })?;
    let file = std::fs::File::from(file);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
