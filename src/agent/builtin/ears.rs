//! One EARS sentence in its parts, so that it is always written in the right order with exactly one
//! SHALL.

use specline_aggregates::ears::{self, ClauseKind};
use specline_aggregates::output::Pattern;

use super::draft::{capital, shorten, uncapital};
use super::item::find_word;
use super::vague;

/// The parts of an EARS sentence. Conditions and the response carry no keyword of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ears {
    pub(super) feature: Option<String>,
    pub(super) state: Option<String>,
    pub(super) event: Option<String>,
    pub(super) unwanted: Option<String>,
    pub(super) subject: String,
    /// In base form: `reject the request`, `NOT store it`.
    pub(super) response: String,
}

const MAX_PART_CHARS: usize = 240;

impl Ears {
    pub(super) fn plain(subject: &str, response: impl Into<String>) -> Self {
        let mut subject = subject.trim().to_owned();
        if subject.is_empty() {
            subject = "the system".into();
        }
        Self { subject, response: response.into(), ..Self::default() }
    }

    /// The sentence.
    pub(super) fn text(&self) -> String {
        let mut parts = Vec::new();
        let mut say = |keyword: &str, part: &Option<String>| {
            parts.extend(part.as_ref().map(|part| format!("{keyword} {part}")));
        };
        say("WHERE", &self.feature);
        say("WHILE", &self.state);
        say("WHEN", &self.event);
        say("IF", &self.unwanted);
        let then = if self.unwanted.is_some() { "THEN " } else { "" };
        parts.push(format!("{then}{} SHALL {}", self.subject, self.response));
        format!("{}.", capital(&parts.join(", ")))
    }

    pub(super) fn pattern(&self) -> Pattern {
        let conditions = [&self.feature, &self.state, &self.event, &self.unwanted];
        match conditions.iter().filter(|part| part.is_some()).count() {
            0 => Pattern::Ubiquitous,
            1 if self.feature.is_some() => Pattern::Optional,
            1 if self.state.is_some() => Pattern::State,
            1 if self.event.is_some() => Pattern::Event,
            1 => Pattern::Unwanted,
            _ => Pattern::Complex,
        }
    }

    /// Reads a sentence that is EARS already.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let sentence = ears::parse(text).ok()?;
        let response = match sentence.response.get(..4) {
            Some(not) if not.eq_ignore_ascii_case("not ") => {
                format!("NOT {}", sentence.response[4..].trim_start())
            }
            Some(_) | None => sentence.response,
        };
        let mut read = Self::plain(&uncapital(&sentence.system), response);
        for clause in sentence.clauses {
            let part = match clause.kind {
                ClauseKind::Where => &mut read.feature,
                ClauseKind::While => &mut read.state,
                ClauseKind::When => &mut read.event,
                ClauseKind::If => &mut read.unwanted,
            };
            *part = Some(match part.take() {
                Some(before) => format!("{before} and {}", clause.text),
                None => clause.text,
            });
        }
        Some(read)
    }

    /// Makes every part fit to stand in one sentence: no further modal verb, no vague word, no
    /// sentence end, bounded. Returns the vague words that were left out.
    pub(super) fn tidy(&mut self) -> Vec<String> {
        let mut vague_words = Vec::new();
        let conditions = [&mut self.feature, &mut self.state, &mut self.event, &mut self.unwanted];
        let parts = conditions.into_iter().flatten().chain([&mut self.subject, &mut self.response]);
        for part in parts {
            let (clean, found) = vague::clean(&without_modals(part));
            vague_words.extend(found);
            *part = shorten(clean.trim_matches([',', '.', ':', ';', ' ', '"']), MAX_PART_CHARS);
        }
        for part in [&mut self.feature, &mut self.state, &mut self.event, &mut self.unwanted] {
            *part = part.take().filter(|part| part.chars().any(char::is_alphanumeric));
        }
        if ears::parse(&format!("{} SHALL act.", self.subject)).is_err() {
            self.subject = "the system".into();
        }
        vague_words
    }

    /// Whether the response says something that can be built.
    pub(super) fn is_sound(&self) -> bool {
        let n_words = self.response.split_whitespace().count();
        let is_read = ears::parse(&self.text()).is_ok_and(|read| read.pattern == self.pattern());
        n_words >= 2 && is_read
    }

    /// The conditions as one clause, empty when there is none.
    pub(super) fn condition(&self) -> String {
        let all = [&self.feature, &self.state, &self.event, &self.unwanted];
        all.into_iter().flatten().cloned().collect::<Vec<_>>().join(" and ")
    }
}

/// Only SHALL is a modal verb in EARS, and it stands once.
fn without_modals(text: &str) -> String {
    let mut out = text.split_whitespace().collect::<Vec<_>>().join(" ");
    out = out.replace(". ", "; ").replace(['"', '“', '”'], "");
    for (modal, other) in [
        ("must not", "does not"),
        ("should not", "does not"),
        ("shall not", "does not"),
        ("will not", "does not"),
        ("won't", "does not"),
        ("shouldn't", "does not"),
        ("must be", "is"),
        ("should be", "is"),
        ("shall be", "is"),
        ("will be", "is"),
        ("must have", "has"),
        ("should have", "has"),
        ("will have", "has"),
        ("must", "has to"),
        ("should", "is to"),
        ("will", "is to"),
        ("shall", "is to"),
    ] {
        while let Some(at) = find_word(&out.to_ascii_lowercase(), modal) {
            out.replace_range(at..at + modal.len(), other);
        }
    }
    out
}
