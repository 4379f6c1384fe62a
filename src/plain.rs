//! Texts of others as a terminal may have them: nothing that moves its cursor, sets its title,
//! turns the order of letters around or looks like a line of ours. All that is printed for people
//! comes through here; JSON does not, whose readers are programs.

use std::borrow::Cow;
use std::io::{self, Write};

/// Stands where something was that a terminal would obey.
const INSTEAD: char = '\u{fffd}';

/// Whether a terminal obeys `c` rather than shows it, or shows what follows in another order: C0,
/// DEL, C1, and the marks, embeddings, overrides and isolates of the Unicode Bidirectional
/// Algorithm (UAX #9, 2). Line breaks and tabs are text.
const fn is_obeyed(c: char) -> bool {
    let steers = matches!(c, '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}') && c != '\n' && c != '\t';
    let mark = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}');
    steers || mark || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` with a replacement in the place of each character that a terminal would obey. A line
/// break of two characters is one.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n");
    Cow::Owned(text.chars().map(|c| if is_obeyed(c) { INSTEAD } else { c }).collect())
}

/// The same on one line: what others say never begins a line of its own.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    match plain(text) {
        text if text.contains(['\n', '\t']) => Cow::Owned(text.replace(['\n', '\t'], " ")),
        text => text,
    }
}

/// Whether a terminal gets colours of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// The lines' maker sets them, and escapes what is in values.
    Ours,
    None,
}

/// A writer of log lines, each a whole one.
pub struct Lines<W> {
    to: W,
    colours: Colours,
}

impl<W: Write> Lines<W> {
    pub const fn new(to: W, colours: Colours) -> Self {
        Self { to, colours }
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let mut parts = line.split('\u{1b}').map(one_line);
        let mut clean = parts.next().unwrap_or_default().into_owned();
        for part in parts {
            clean.push(if self.colours == Colours::Ours { '\u{1b}' } else { INSTEAD });
            clean.push_str(&part);
        }
        if text.ends_with('\n') {
            clean.push('\n');
        }
        self.to.write_all(clean.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{Colours, INSTEAD, Lines, is_obeyed, one_line, plain};

    #[test]
    fn what_a_terminal_obeys_is_replaced_and_nothing_else_is() {
        let fine = "Größe 日本語 🙂 עברית\tx\ny \u{200d}";
        assert_eq!(plain(fine), fine);
        assert_eq!(
            plain("a\u{1b}[2Jb\u{9b}c\u{7f}\rd\r\ne"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}\u{fffd}d\ne"
        );
        let all: Vec<char> = (0..=0x10_ffff).filter_map(char::from_u32).collect();
        for c in all.into_iter().filter(|c| is_obeyed(*c)) {
            assert_eq!(plain(&c.to_string()), INSTEAD.to_string(), "{c:?}");
        }
        assert_eq!(one_line("a\nb\tc\u{202e}"), "a b c\u{fffd}");
    }

    #[test]
    fn a_log_line_is_one_line_with_no_colours_but_ours() {
        for (colours, wanted) in [
            (Colours::Ours, "\u{1b}[31mred\u{1b}[0m two \u{fffd}\n"),
            (Colours::None, "\u{fffd}[31mred\u{fffd}[0m two \u{fffd}\n"),
        ] {
            let mut written = Vec::new();
            let mut lines = Lines::new(&mut written, colours);
            lines.write_all("\u{1b}[31mred\u{1b}[0m\ntwo\t\u{202e}\n".as_bytes()).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), wanted);
        }
    }
}
