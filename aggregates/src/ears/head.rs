//! Reads what stands before SHALL: the clauses and the system's name.

use super::words::{Scan, Word};
use super::{Clause, ClauseKind, EarsError, has_content};

/// What stands before SHALL.
pub(super) struct Head {
    pub clauses: Vec<Clause>,
    pub system: String,
}

/// A clause's keyword, found at the start of the text or right after a comma.
struct Opening {
    kind: ClauseKind,
    /// Where the clause's part of the text starts, its keyword included.
    start: usize,
    /// Where the condition itself starts.
    condition: usize,
}

/// Where the conditions end and the system begins.
struct Boundary {
    conditions_end: usize,
    system_start: usize,
    has_then: bool,
}

pub(super) fn read(head: &str, scan: &Scan<'_>) -> Result<Head, EarsError> {
    let openings = openings(head, scan);
    let Some(first) = openings.first() else {
        return Ok(Head { clauses: Vec::new(), system: system(head, 0, scan)? });
    };
    if first.start > 0 {
        let name = head[..first.start].trim_matches(is_filler);
        if ends_a_sentence(name) {
            return Err(EarsError::SeveralSentences);
        }
        return Err(EarsError::OutOfOrder { clause: first.kind, after: "the system".into() });
    }
    let boundary = boundary(head, scan, &openings)?;
    let clauses = clauses(head, &openings, boundary.conditions_end)?;
    let unwanted = clauses.iter().any(|clause| clause.kind == ClauseKind::If);
    if unwanted && !boundary.has_then {
        return Err(EarsError::MissingThen);
    }
    Ok(Head { clauses, system: system(head, boundary.system_start, scan)? })
}

/// Why a text without SHALL fails: another modal in the main clause, or none at all.
pub(super) fn without_shall(scan: &Scan<'_>) -> EarsError {
    let conditional =
        scan.words.first().is_some_and(|word| ClauseKind::of_word(word.text).is_some());
    let main_from = scan.commas.first().filter(|_| conditional).copied().unwrap_or(0);
    let modal = scan.words.iter().find(|word| word.start >= main_from && word.is_wrong_modal());
    match modal {
        Some(word) => EarsError::WrongModal { found: word.text.to_owned() },
        None => EarsError::NoShall,
    }
}

/// The clauses' keywords. One inside a condition ("when a user asks if …") opens nothing.
fn openings(head: &str, scan: &Scan<'_>) -> Vec<Opening> {
    let commas = scan.commas.iter().copied().take_while(|comma| *comma < head.len());
    let starts = std::iter::once(0).chain(commas.map(|comma| comma + 1));
    starts.filter_map(|start| opening(head, scan, start)).collect()
}

fn opening(head: &str, scan: &Scan<'_>, start: usize) -> Option<Opening> {
    let words = scan.words_in(start, head.len());
    let and = words.first().filter(|word| start > 0 && word.is("and"));
    let word = words.get(usize::from(and.is_some()))?;
    let before = &head[and.map_or(start, |and| and.end)..word.start];
    let kind = ClauseKind::of_word(word.text)?;
    before.trim().is_empty().then_some(Opening { kind, start, condition: word.end })
}

/// The system begins after THEN, else after the last comma, else (when the comma was forgotten) at
/// the last article.
fn boundary(head: &str, scan: &Scan<'_>, openings: &[Opening]) -> Result<Boundary, EarsError> {
    let last_comma = scan.commas.iter().copied().rfind(|comma| *comma < head.len());
    let last_part = last_comma.map_or(0, |comma| comma + 1);
    let words = scan.words_in(last_part, head.len());
    let then = words.iter().rfind(|word| word.is("then") && has_content(&head[word.end..]));
    if let Some(then) = then {
        let (conditions_end, system_start) = (then.start, then.end);
        return Ok(Boundary { conditions_end, system_start, has_then: true });
    }
    let last = openings.last().map_or(0, |opening| opening.start);
    if last < last_part {
        let conditions_end = last_part - 1;
        return Ok(Boundary { conditions_end, system_start: last_part, has_then: false });
    }
    let condition = openings.last().map_or(0, |opening| opening.condition);
    let article = words
        .iter()
        .rfind(|word| is_article(word) && word.start > condition)
        .filter(|article| has_content(&head[condition..article.start]))
        .ok_or(EarsError::NoSystem)?;
    let start = article.start;
    Ok(Boundary { conditions_end: start, system_start: start, has_then: false })
}

fn clauses(head: &str, openings: &[Opening], end: usize) -> Result<Vec<Clause>, EarsError> {
    let mut clauses: Vec<Clause> = Vec::with_capacity(openings.len());
    for (n, opening) in openings.iter().enumerate() {
        let stop = openings.get(n + 1).map_or(end, |next| next.start);
        let text = head.get(opening.condition..stop).unwrap_or_default().trim_matches(is_filler);
        if !has_content(text) {
            return Err(EarsError::EmptyClause { clause: opening.kind });
        }
        if let Some(before) = clauses.last().filter(|before| before.kind > opening.kind) {
            let after = format!("the {} clause", before.kind);
            return Err(EarsError::OutOfOrder { clause: opening.kind, after });
        }
        clauses.push(Clause { kind: opening.kind, text: text.to_owned() });
    }
    Ok(clauses)
}

/// The system's name: what is left of `head` from `start`.
fn system(head: &str, start: usize, scan: &Scan<'_>) -> Result<String, EarsError> {
    let name = head[start..].trim_matches(is_filler);
    if ends_a_sentence(name) {
        return Err(EarsError::SeveralSentences);
    }
    let words = scan.words_in(start, head.len());
    if let Some(word) = words.first().filter(|word| opens_no_clause(word)) {
        return Err(EarsError::UnknownOpening { found: word.text.to_owned() });
    }
    if let Some(clause) = words.iter().find_map(|word| ClauseKind::of_word(word.text)) {
        return Err(EarsError::OutOfOrder { clause, after: "the system".into() });
    }
    if let Some(word) = words.iter().find(|word| word.is_wrong_modal()) {
        return Err(EarsError::WrongModal { found: word.text.to_owned() });
    }
    let nameless = match words {
        [only] => only.text == name && (is_article(only) || is_pronoun(only)),
        _ => !has_content(name),
    };
    if nameless { Err(EarsError::NoSystem) } else { Ok(name.to_owned()) }
}

/// Whether a sentence ends inside `text` and another begins.
fn ends_a_sentence(text: &str) -> bool {
    text.match_indices(['.', '!', '?']).any(|(at, _)| {
        let rest = &text[at + 1..];
        rest.starts_with(char::is_whitespace) && rest.trim_start().starts_with(char::is_uppercase)
    })
}

fn is_article(word: &Word<'_>) -> bool {
    ["the", "a", "an"].iter().any(|article| word.is(article))
}

fn is_pronoun(word: &Word<'_>) -> bool {
    const PRONOUNS: [&str; 9] = ["it", "they", "this", "that", "there", "we", "i", "you", "he"];
    PRONOUNS.iter().any(|pronoun| word.is(pronoun))
}

/// A conjunction that people use where WHEN, WHILE, WHERE or IF belongs.
fn opens_no_clause(word: &Word<'_>) -> bool {
    const OTHERS: [&str; 11] = [
        "whenever", "upon", "once", "after", "before", "during", "unless", "until", "given", "as",
        "then",
    ];
    OTHERS.iter().any(|other| word.is(other))
}

fn is_filler(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | ':')
}
