//! One thing that a request asks for, as its text says it.

/// What the heading above an item makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// Asked for.
    Wanted,
    /// Says how to tell that the whole is done.
    Acceptance,
    OutOfScope,
    Assumption,
    Question,
    /// Background: read for words, asks for nothing.
    Context,
}

/// Given, when, then, as written; parts may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Gherkin {
    pub(super) given: String,
    pub(super) when: String,
    pub(super) then: String,
}

/// A list entry, a story or a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Plain text on one line, without Markdown.
    pub(super) text: String,
    pub(super) section: Section,
    /// From a list, and not a sentence of a paragraph.
    pub(super) is_listed: bool,
    /// Own acceptance criteria, as written.
    pub(super) criteria: Vec<String>,
    pub(super) scenario: Option<Gherkin>,
    /// A bold label or the heading of its own, fit for a title.
    pub(super) label: Option<String>,
}

impl Item {
    pub(super) fn new(text: String, section: Section) -> Self {
        let (is_listed, criteria, scenario, label) = (false, Vec::new(), None, None);
        Self { text, section, is_listed, criteria, scenario, label }
    }
}

/// Reads `Given … When … Then …`, on one line or several.
pub(super) fn gherkin(text: &str) -> Option<Gherkin> {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let lower = flat.to_ascii_lowercase();
    let when_at = find_word(&lower, "when")?;
    let then_at = find_word(&lower[when_at..], "then").map(|at| at + when_at)?;
    let given_at = find_word(&lower[..when_at], "given");
    if given_at.is_none() && !lower.starts_with("when") {
        return None;
    }
    let cut = |text: &str| text.trim_matches([' ', ',', '.', ';', ':', '*']).to_owned();
    let given = given_at.map_or("", |at| &flat[at + "given".len()..when_at]);
    let when = &flat[when_at + "when".len()..then_at];
    let then = &flat[then_at + "then".len()..];
    let found = Gherkin { given: cut(given), when: cut(when), then: cut(then) };
    (given_at.is_some() && !found.when.is_empty() && !found.then.is_empty()).then_some(found)
}

/// Where `word` stands in `text` as a whole word. Both in ASCII lower case.
pub(super) fn find_word(text: &str, word: &str) -> Option<usize> {
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let is_edge = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        is_edge(before) && is_edge(after)
    })
}
