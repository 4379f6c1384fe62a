//! Cuts a text into the words and commas that matter: what stands in quotes is left out, and so are
//! commas inside brackets and numbers.

/// One word, with its place in the text in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'a> {
    pub start: usize,
    pub end: usize,
    pub text: &'a str,
}

impl Word<'_> {
    pub fn is(&self, other: &str) -> bool {
        self.text.eq_ignore_ascii_case(other)
    }

    pub fn is_shall(&self) -> bool {
        self.is("shall") || self.is("shall-not")
    }

    /// A modal that people write where SHALL belongs.
    pub fn is_wrong_modal(&self) -> bool {
        const MODALS: [&str; 15] = [
            "must",
            "will",
            "should",
            "may",
            "can",
            "might",
            "could",
            "would",
            "cannot",
            "must-not",
            "will-not",
            "mustn't",
            "won't",
            "shouldn't",
            "can't",
        ];
        MODALS.iter().any(|modal| self.is(modal))
    }
}

/// The words and the separating commas of a text.
#[derive(Debug, Default)]
pub(super) struct Scan<'a> {
    pub words: Vec<Word<'a>>,
    pub commas: Vec<usize>,
}

const QUOTES: [(char, char); 4] = [('"', '"'), ('“', '”'), ('`', '`'), ('«', '»')];

impl<'a> Scan<'a> {
    pub fn of(text: &'a str) -> Self {
        let mut scan = Self::default();
        let mut bracketed = Vec::new();
        let mut depth = 0_usize;
        let mut word: Option<usize> = None;
        for (at, c) in unquoted(text) {
            if is_part_of_word(c) {
                word.get_or_insert(at);
                continue;
            }
            scan.close_word(text, word.take(), at);
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                ',' if separates(text, at) && depth == 0 => scan.commas.push(at),
                ',' if separates(text, at) => bracketed.push(at),
                _ => {}
            }
        }
        scan.close_word(text, word, text.len());
        if depth > 0 {
            // A bracket that is never closed hides nothing.
            scan.commas.append(&mut bracketed);
            scan.commas.sort_unstable();
        }
        scan
    }

    fn close_word(&mut self, text: &'a str, start: Option<usize>, end: usize) {
        let Some(start) = start else { return };
        let whole = &text[start..end];
        let inner = whole.trim_start_matches(is_edge);
        let start = start + (whole.len() - inner.len());
        let inner = inner.trim_end_matches(is_edge);
        if !inner.is_empty() {
            self.words.push(Word { start, end: start + inner.len(), text: inner });
        }
    }

    /// The words that begin in `start..end`.
    pub fn words_in(&self, start: usize, end: usize) -> &[Word<'a>] {
        let from = self.words.partition_point(|word| word.start < start);
        let to = self.words.partition_point(|word| word.start < end);
        &self.words[from..to.max(from)]
    }
}

/// The characters of `text`; each quotation comes as one space at its start.
fn unquoted(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut resume_at = 0;
    let mut never_closed = [false; QUOTES.len()];
    text.char_indices().filter_map(move |(at, c)| {
        if at < resume_at {
            return None;
        }
        let Some(kind) = QUOTES.iter().position(|(open, _)| *open == c) else {
            return Some((at, c));
        };
        let (close, inside) = (QUOTES[kind].1, at + c.len_utf8());
        // Looked for once only: a quote that is never closed must not make this quadratic.
        let length = if never_closed[kind] { None } else { text[inside..].find(close) };
        match length {
            Some(length) => resume_at = inside + length + close.len_utf8(),
            None => never_closed[kind] = true,
        }
        Some((at, ' '))
    })
}

fn separates(text: &str, comma: usize) -> bool {
    text[comma + 1..].chars().next().is_none_or(char::is_whitespace)
}

fn is_part_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || is_edge(c)
}

/// Joins words, but neither begins nor ends one.
const fn is_edge(c: char) -> bool {
    matches!(c, '-' | '\'' | '’')
}
