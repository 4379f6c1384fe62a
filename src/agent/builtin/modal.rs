//! Clauses with a modal verb: who has to, may or may not do what.

use super::draft::uncapital;
use super::ears::Ears;
use super::grammar;
use super::item::find_word;
use super::sentence::subject_of;

/// Modal forms, longest first, with whether they deny and whether they allow.
const MODALS: &[(&str, bool, bool)] = &[
    ("should not be able to", true, true),
    ("must not be able to", true, true),
    ("should be able to", false, true),
    ("must be able to", false, true),
    ("will be able to", false, true),
    ("needs to be able to", false, true),
    ("need to be able to", false, true),
    ("is able to", false, true),
    ("are able to", false, true),
    ("should never", true, false),
    ("must never", true, false),
    ("must not", true, false),
    ("should not", true, false),
    ("shouldn't", true, false),
    ("will not", true, false),
    ("mustn't", true, false),
    ("should", false, false),
    ("must", false, false),
    ("will", false, false),
    ("needs to", false, false),
    ("need to", false, false),
    ("has to", false, false),
    ("have to", false, false),
    ("ought to", false, false),
    ("cannot", true, true),
    ("can not", true, true),
    ("can't", false, true),
    ("can", false, true),
    ("may", false, true),
];

pub(super) type Modal = (usize, usize, bool, bool);

/// The first modal form of `lower`: place, length, whether it denies and whether it allows.
pub(super) fn find(lower: &str) -> Option<Modal> {
    MODALS
        .iter()
        .filter_map(|(form, denies, allows)| {
            find_word(lower, form).map(|at| (at, form.len(), *denies, *allows))
        })
        .min_by_key(|(at, length, _, _)| (*at, std::cmp::Reverse(*length)))
}

/// Reads a clause with the modal form found in it.
pub(super) fn read(text: &str, (at, length, denies, allows): Modal) -> Ears {
    let subject = text[..at].trim().trim_end_matches(',');
    let response = text[at + length..].trim();
    let people = grammar::is_people(subject);
    let who = match subject.to_lowercase().as_str() {
        "we" | "i" | "you" | "they" => "a user".into(),
        _ => uncapital(subject),
    };
    let (verb, rest) = response.split_once(' ').unwrap_or((response, ""));
    match (people, denies, allows) {
        (true, true, _) => {
            let doing = format!("{} {rest}", grammar::gerund(&verb.to_lowercase()));
            Ears::plain("", format!("prevent {who} from {}", doing.trim_end()))
        }
        (true, false, true) => Ears::plain("", format!("let {who} {response}")),
        (true, false, false) => Ears::plain("", for_people(&who, verb, rest)),
        (false, true, _) => Ears::plain(&subject_of(subject), format!("NOT {response}")),
        (false, false, true) if response.starts_with("be ") => {
            Ears::plain("", format!("allow {who} to {response}"))
        }
        (false, false, _) => Ears::plain(&subject_of(subject), response.to_owned()),
    }
}

/// What the system does so that people do something.
fn for_people(who: &str, verb: &str, rest: &str) -> String {
    match verb {
        "see" | "view" => format!("show {who} {rest}"),
        "receive" | "get" => format!("send {who} {rest}"),
        "be" => match rest.split_once(' ') {
            Some(("notified", tail)) => format!("notify {who} {tail}"),
            Some(("redirected", tail)) => format!("redirect {who} {tail}"),
            Some((word, tail)) => format!("have {who} {word} {tail}"),
            None => format!("have {who} {rest}"),
        },
        _ => format!("require {who} to {verb} {rest}").trim_end().to_owned(),
    }
}

/// Whether a sentence asks for something, rather than tells a story.
pub(super) fn asks(text: &str) -> bool {
    let lower = text.to_lowercase();
    let first = lower.split([' ', ',']).next().unwrap_or_default();
    let starts = ["as", "if", "when", "whenever", "once", "while", "please", "let's"];
    let marks = ["shall", "need", "needs", "want", "would like", "please"];
    grammar::is_base_verb(first)
        || starts.contains(&first)
        || lower.ends_with('?')
        || super::sentence::has_fault(&lower)
        || find(&lower).is_some()
        || marks.iter().any(|mark| find_word(&lower, mark).is_some())
}
