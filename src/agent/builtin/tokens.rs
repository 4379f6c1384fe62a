//! Words: splitting of identifiers, a light stem, and the words that say nothing.

/// Words that carry no meaning for the ranking.
const STOP: &[&str] = &[
    "a",
    "able",
    "about",
    "add",
    "after",
    "all",
    "also",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "because",
    "been",
    "before",
    "being",
    "both",
    "but",
    "by",
    "can",
    "cannot",
    "could",
    "create",
    "currently",
    "did",
    "do",
    "does",
    "each",
    "etc",
    "every",
    "feature",
    "for",
    "from",
    "get",
    "given",
    "gives",
    "had",
    "has",
    "have",
    "how",
    "i",
    "if",
    "implement",
    "in",
    "into",
    "introduce",
    "is",
    "it",
    "its",
    "let",
    "like",
    "make",
    "may",
    "might",
    "more",
    "must",
    "my",
    "need",
    "needs",
    "new",
    "no",
    "not",
    "now",
    "of",
    "on",
    "one",
    "only",
    "or",
    "other",
    "our",
    "out",
    "over",
    "per",
    "please",
    "provide",
    "same",
    "shall",
    "should",
    "so",
    "some",
    "such",
    "support",
    "system",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "to",
    "too",
    "under",
    "until",
    "up",
    "use",
    "used",
    "using",
    "via",
    "want",
    "was",
    "way",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "why",
    "will",
    "with",
    "within",
    "without",
    "would",
    "you",
    "your",
];

/// Splits text and identifiers (`camelCase`, `snake_case`, `kebab-case`) into lower-case words.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for run in text.split(|c: char| !c.is_alphanumeric()) {
        split_camel(run, &mut words);
    }
    words
}

fn split_camel(run: &str, words: &mut Vec<String>) {
    let mut word = String::new();
    let mut previous: Option<char> = None;
    let mut chars = run.chars().peekable();
    while let Some(c) = chars.next() {
        let next_is_lower = chars.peek().is_some_and(|n| n.is_lowercase());
        let breaks =
            c.is_uppercase() && previous.is_some_and(|p| !p.is_uppercase() || next_is_lower);
        if breaks && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        word.extend(c.to_lowercase());
        previous = Some(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
}

/// The stems of the words of `text` that say something, in order, with repeats.
pub(super) fn stems(text: &str) -> Vec<String> {
    words(text).iter().filter(|w| !is_stop(w)).map(|w| stem(w)).collect()
}

/// Whether a word in lower case says nothing by itself.
pub(super) fn is_stop(word: &str) -> bool {
    STOP.binary_search(&word).is_ok() || (word.chars().count() < 2)
}

/// A light stem of a word in lower case: plural, then one ending. `limiter`, `limits` and
/// `limiting` meet in `limit`.
pub(super) fn stem(word: &str) -> String {
    if !word.is_ascii() || word.len() < 4 {
        return word.to_owned();
    }
    let mut base = word;
    if let Some(rest) = base.strip_suffix("ies") {
        return format!("{rest}y");
    }
    if base.ends_with('s') && !base.ends_with("ss") && !base.ends_with("us") {
        base = &base[..base.len() - 1];
    }
    for (ending, least) in [
        ("ations", 3),
        ("ation", 3),
        ("ization", 3),
        ("ions", 4),
        ("ion", 4),
        ("ings", 3),
        ("ing", 3),
        ("ement", 4),
        ("ment", 4),
        ("er", 4),
        ("or", 4),
        ("ed", 3),
        ("ly", 4),
    ] {
        if let Some(rest) = base.strip_suffix(ending)
            && rest.len() >= least
        {
            return finish(rest);
        }
    }
    finish(base)
}

fn finish(base: &str) -> String {
    let bytes = base.as_bytes();
    let n = bytes.len();
    if n > 3 && bytes[n - 1] == b'e' {
        return base[..n - 1].to_owned();
    }
    let doubled = n > 3 && bytes[n - 1] == bytes[n - 2] && !b"aeiouls".contains(&bytes[n - 1]);
    if doubled { base[..n - 1].to_owned() } else { base.to_owned() }
}

#[cfg(test)]
pub(super) fn list_is_sorted() -> bool {
    STOP.is_sorted()
}
