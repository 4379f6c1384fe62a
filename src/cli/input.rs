//! Reads the texts that people hand to a command: bounded, UTF-8, and without a byte order mark,
//! which some editors put first and which is no part of the text. A pipe may stand for a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest text, in bytes: more than any that is taken.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The text of the file at `path`.
pub(super) fn read(path: &Path) -> io::Result<String> {
    read_from(File::open(path)?)
}

pub(super) fn read_from(from: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))?;
    Ok(without_mark(&text).to_owned())
}

/// The text behind a byte order mark.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
