//! The TOML file, flattened: `[server] listen` is `server.listen`. Every key keeps its line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::Error;

/// A value as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub text: String,
    pub line: usize,
}

/// A file that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    pub(super) path: PathBuf,
    pub(super) values: BTreeMap<String, Written>,
}

impl File {
    /// Reads the file at `path`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |error: std::io::Error| Error::Unreadable {
            path: path.to_owned(),
            cause: error.to_string(),
        };
        Self::parse(path, &std::fs::read_to_string(path).map_err(unreadable)?)
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let table = DeTable::parse(text).map_err(|error| Error::Malformed {
            path: path.to_owned(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            cause: error.message().to_owned(),
        })?;
        let mut file = Self { path: path.to_owned(), values: BTreeMap::new() };
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
            let text = plain(value.get_ref()).ok_or_else(|| Error::Malformed {
                path: self.path.clone(),
                line,
                cause: format!("`{key}` is neither text, number, yes or no, nor a list of texts"),
            })?;
            self.values.insert(key, Written { text, line });
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

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
