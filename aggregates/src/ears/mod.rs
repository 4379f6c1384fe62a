//! The Easy Approach to Requirements Syntax: reads one requirement sentence into its clauses,
//! system and response, or says what is wrong with it and how to mend it.
//!
//! The form is Mavin's: `Where <feature>, while <state>, when <trigger>, the <system> shall
//! <response>`, and `If <trouble>, then the <system> shall <response>` for the unwanted. Case does
//! not matter, what stands in quotes is not read, and SHALL is the only modal.

mod error;
mod head;
mod words;

#[cfg(test)]
mod tests;

use std::fmt;

pub use error::EarsError;

use crate::output::Pattern;
use words::Scan;

/// The four kinds of clause, in the order in which they may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClauseKind {
    Where,
    While,
    When,
    If,
}

impl ClauseKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Where => "WHERE",
            Self::While => "WHILE",
            Self::When => "WHEN",
            Self::If => "IF",
        }
    }

    const fn pattern(self) -> Pattern {
        match self {
            Self::Where => Pattern::Optional,
            Self::While => Pattern::State,
            Self::When => Pattern::Event,
            Self::If => Pattern::Unwanted,
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        [Self::Where, Self::While, Self::When, Self::If]
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for ClauseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One condition of a sentence, without its keyword.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    pub kind: ClauseKind,
    pub text: String,
}

/// One requirement, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    pub pattern: Pattern,
    /// In their order; none in an ubiquitous requirement.
    pub clauses: Vec<Clause>,
    /// Who shall do it, with its article.
    pub system: String,
    /// What it shall do: all that follows SHALL, without the final stop.
    pub response: String,
}

/// Reads `text` as one EARS sentence.
///
/// # Errors
/// What is wrong, in the order in which a reader would meet it.
pub fn parse(text: &str) -> Result<Sentence, EarsError> {
    let text = text.trim();
    let scan = Scan::of(text);
    if !has_content(text) {
        return Err(EarsError::Empty);
    }
    let mut shalls = scan.words.iter().filter(|word| word.is_shall());
    let Some(shall) = shalls.next() else { return Err(head::without_shall(&scan)) };
    let more = shalls.count();
    if more > 0 {
        return Err(EarsError::SeveralShalls { count: more + 1 });
    }
    let head = head::read(&text[..shall.start], &scan)?;
    let response = text[shall.start + "shall".len()..]
        .trim_start_matches(|c: char| c == '-' || c == ',' || c.is_whitespace())
        .trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    if !has_content(response) || response.eq_ignore_ascii_case("not") {
        return Err(EarsError::NoResponse);
    }
    Ok(Sentence {
        pattern: pattern(&head.clauses),
        clauses: head.clauses,
        system: head.system,
        response: response.to_owned(),
    })
}

fn pattern(clauses: &[Clause]) -> Pattern {
    let Some(first) = clauses.first() else { return Pattern::Ubiquitous };
    if clauses.iter().all(|clause| clause.kind == first.kind) {
        first.kind.pattern()
    } else {
        Pattern::Complex
    }
}

fn has_content(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}
