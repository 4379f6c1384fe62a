//! What the request is about: its name, its words, its topic, and the terms to look for.

use super::Request;
use super::grammar;
use super::markdown;
use super::modal;
use super::prose;
use super::tokens;
use super::topics::{self, Topic};

/// A word to look for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Term {
    pub(super) stem: String,
    /// As the request wrote it.
    pub(super) shown: String,
    pub(super) weight: f64,
    /// It does not stand in the request: the topic brings it.
    pub(super) is_added: bool,
}

/// Words that name no part of a program.
const PLAIN: &[&str] = &[
    "user", "app", "appli", "code", "project", "file", "time", "data", "thing", "way", "work",
    "chang", "test", "value", "number", "name", "list", "page", "fail", "crash", "bug", "fix",
    "error", "public", "better", "improv", "public", "default", "set", "show", "view", "http",
    "https", "www", "com", "given", "api", "customer", "people", "person", "client", "second",
    "see", "first", "copi", "hold", "column", "old", "than", "hand", "line", "within", "minut",
    "day", "hour", "start", "run", "call",
];

const MAX_TERMS: usize = 40;

/// The request's own text, without repeating a title that the description begins with.
pub(super) fn text(request: &Request<'_>) -> String {
    let (title, description) = (request.title.trim(), request.description.trim());
    if description.is_empty() || title.is_empty() || description.starts_with(title) {
        let text = if description.is_empty() { title } else { description };
        return text.to_owned();
    }
    format!("{title}\n\n{description}")
}

/// The feature's name: the title, else the first heading or sentence, in at most eight words.
pub(super) fn name(request: &Request<'_>) -> String {
    let first = |text: &str| {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty());
        markdown::inline(line.unwrap_or_default().trim_start_matches(['#', '-', '*', ' ']))
    };
    let title = first(request.title);
    let title = if title.is_empty() { first(request.description) } else { title };
    let sentences = prose::sentences(&title);
    let asking = sentences.iter().find(|sentence| modal::asks(sentence));
    let title = asking.or(sentences.first()).map_or("", String::as_str);
    let words: Vec<&str> = title.split_whitespace().take(8).collect();
    let short: String = words.join(" ").chars().take(80).collect();
    let short = short.trim_end_matches(['.', ':', ',', ';', '!', '?', '-']).trim().to_owned();
    if short.chars().any(char::is_alphanumeric) { short } else { "Untitled request".into() }
}

/// The words that name the feature, for file names: `rate`, `limiting`.
pub(super) fn slug_words(request: &Request<'_>) -> Vec<String> {
    if let Some(topic) = topic(request).filter(|topic| !topic.slug.is_empty()) {
        return topic.slug.split('-').map(str::to_owned).collect();
    }
    let name = name(request);
    let head = name.split(" to the ").next().unwrap_or(&name);
    let content: Vec<String> = tokens::words(head)
        .into_iter()
        .filter(|word| word.is_ascii() && !tokens::is_stop(word) && !is_request_verb(word))
        .filter(|word| !grammar::is_people(word))
        .filter(|word| word.len() <= 24 && !word.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    let mut slug: Vec<String> = content.into_iter().take(3).collect();
    if slug.is_empty() {
        slug.push("feature".into());
    }
    slug
}

fn is_request_verb(word: &str) -> bool {
    let verbs = [
        "allow", "enable", "fix", "build", "update", "change", "improve", "remove", "delete",
        "users", "user", "when", "handle", "write", "replace", "refactor", "crashes", "fails",
    ];
    verbs.contains(&word)
}

/// The topic of the request, if it is a known one. The name decides before the text.
pub(super) fn topic(request: &Request<'_>) -> Option<&'static Topic> {
    topics::of(&name(request)).or_else(|| {
        let text = text(request);
        let head: String = text.chars().take(600).collect();
        topics::of(&head)
    })
}

/// What to look for in the repository, strongest first.
pub(super) fn terms(request: &Request<'_>) -> Vec<Term> {
    let mut terms: Vec<Term> = Vec::new();
    let name = name(request);
    let prose = markdown::prose(&text(request));
    for (source, weight) in [(name.as_str(), 2.0), (prose.as_str(), 1.0)] {
        for word in tokens::words(source) {
            if tokens::is_stop(&word) {
                continue;
            }
            let stem = tokens::stem(&word);
            if terms.iter().any(|term| term.stem == stem) || terms.len() == MAX_TERMS {
                continue;
            }
            let is_weak =
                PLAIN.contains(&stem.as_str()) || (weight < 2.0 && grammar::is_base_verb(&word));
            let weight = if is_weak { weight * 0.25 } else { weight };
            terms.push(Term { stem, shown: word, weight, is_added: false });
        }
    }
    let hints = topic(request).map_or(&[] as &[&str], |topic| topic.hints);
    for hint in hints {
        let stem = tokens::stem(hint);
        if !terms.iter().any(|term| term.stem == stem) {
            terms.push(Term { stem, shown: (*hint).into(), weight: 0.8, is_added: true });
        }
    }
    terms
}
