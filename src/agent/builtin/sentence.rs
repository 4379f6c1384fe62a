//! Turns one sentence of a request into an EARS sentence: stories, conditions, modal verbs,
//! instructions, faults and bare nouns, tried in this order.

use super::draft::uncapital;
use super::ears::Ears;
use super::grammar;
use super::modal;

/// What a sentence asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    Asked(Ears),
    /// A question that only a person answers.
    Question(String),
}

/// Reads one sentence in plain text.
pub(super) fn read(sentence: &str) -> Reading {
    let text = strip_label(sentence.trim()).trim_end_matches(['.', '!', ';', ':', ',']).trim();
    if let Some(ears) = Ears::parse(text) {
        return Reading::Asked(ears);
    }
    let is_question = text.ends_with(['?', '？']);
    let text = text.trim_end_matches(['?', '？']).trim();
    if let Some(ears) = story(text) {
        return Reading::Asked(ears);
    }
    let polite = ["could you", "can you", "could we", "can we", "would you", "please", "shall we"];
    let lower = text.to_lowercase();
    let asked = polite.iter().find(|start| lower.starts_with(*start));
    match asked {
        Some(start) if text.is_char_boundary(start.len()) => {
            Reading::Asked(condition_and_clause(text[start.len()..].trim()))
        }
        _ if is_question && (lower.starts_with("can ") || lower.starts_with("could ")) => {
            let rest = text.split_once(' ').map_or("", |(_, rest)| rest);
            Reading::Asked(Ears::plain("", format!("let {}", uncapital(rest))))
        }
        _ if is_question => Reading::Question(format!("{text}?")),
        _ => Reading::Asked(condition_and_clause(text)),
    }
}

/// `Label: rest` and a leading `Scenario …:` lose their label.
fn strip_label(text: &str) -> &str {
    let Some((label, rest)) = text.split_once(": ") else { return text };
    let n_words = label.split_whitespace().count();
    let is_label = n_words <= 4 && rest.split_whitespace().count() >= 3 && !label.contains(',');
    if is_label { rest } else { text }
}

/// `As a R, I want to X so that Y`.
fn story(text: &str) -> Option<Ears> {
    let lower = text.to_lowercase();
    let is_story = ["as a ", "as an ", "as the "].iter().any(|start| lower.starts_with(start));
    if !is_story || lower.len() != text.len() {
        return None;
    }
    let wants = [
        "i want to be able to ",
        "i want to ",
        "i would like to ",
        "i'd like to ",
        "i can ",
        "i need to ",
        "i should be able to ",
        "i must be able to ",
        "i want ",
        "i would like ",
        "i need ",
        "i'd like ",
    ];
    let (at, want) = wants.iter().find_map(|want| lower.find(want).map(|at| (at, *want)))?;
    let role = text[..at].trim_end_matches([',', ' ']).split_once(' ')?.1;
    let rest = &text[at + want.len()..];
    let end = [" so that ", ", so that ", " so i ", " in order to ", ", so i "]
        .iter()
        .filter_map(|mark| lower[at + want.len()..].find(mark))
        .min();
    let wish = third_party(rest[..end.unwrap_or(rest.len())].trim_end_matches([',', ' ']));
    let role = role.split_once(' ').map_or(role.to_owned(), |(_, noun)| format!("the {noun}"));
    let (wish, event) = trailing_condition(&wish);
    let first = wish.split(' ').next().unwrap_or_default().to_lowercase();
    let is_action = want.trim_end().ends_with("to") || want == "i can ";
    let response = if let Some(rest) = wish.strip_prefix("be notified") {
        format!("notify {role}{rest}")
    } else if let Some(rest) = wish.strip_prefix("see ").or_else(|| wish.strip_prefix("get ")) {
        format!("show {role} {rest}")
    } else if let Some(rest) = wish.strip_prefix("receive ") {
        format!("send {role} {rest}")
    } else if is_action || grammar::is_base_verb(&first) {
        format!("let {role} {wish}")
    } else if let Some(rest) = wish.strip_prefix("the system to ") {
        rest.to_owned()
    } else {
        format!("give {role} {}", uncapital(&wish))
    };
    let mut ears = Ears::plain("", response);
    ears.event = event;
    Some(ears)
}

/// The words of a story's teller, said by another.
fn third_party(text: &str) -> String {
    let swap = |word: &str| match word.to_lowercase().as_str() {
        "my" | "our" => "their".to_owned(),
        "i" | "we" => "they".to_owned(),
        "me" | "us" => "them".to_owned(),
        "mine" => "theirs".to_owned(),
        "am" => "are".to_owned(),
        "myself" => "themselves".to_owned(),
        "i'm" => "they are".to_owned(),
        "i've" => "they have".to_owned(),
        _ => word.to_owned(),
    };
    text.split_whitespace().map(swap).collect::<Vec<_>>().join(" ")
}

fn condition_and_clause(text: &str) -> Ears {
    if let Some((kind, condition, rest)) = leading_condition(text) {
        let mut ears = clause(rest);
        let condition = Some(third_person(condition));
        match kind {
            Condition::Event => ears.event = condition,
            Condition::State => ears.state = condition,
            Condition::Unwanted => ears.unwanted = condition,
            Condition::Feature => ears.feature = condition,
        }
        return ears;
    }
    let is_fault = has_fault(text);
    let (main, condition) = trailing_condition(text);
    let mut ears = clause(&main);
    match condition {
        Some(condition) if is_fault || text.to_lowercase().contains(" if ") => {
            ears.unwanted = Some(third_person(&condition));
        }
        other => ears.event = other.map(|condition| third_person(&condition)),
    }
    ears
}

#[derive(Clone, Copy)]
enum Condition {
    Event,
    State,
    Unwanted,
    Feature,
}

fn leading_condition(text: &str) -> Option<(Condition, &str, &str)> {
    let starts = [
        ("when ", Condition::Event),
        ("whenever ", Condition::Event),
        ("once ", Condition::Event),
        ("as soon as ", Condition::Event),
        ("after ", Condition::Event),
        ("while ", Condition::State),
        ("during ", Condition::State),
        ("as long as ", Condition::State),
        ("if ", Condition::Unwanted),
        ("where ", Condition::Feature),
    ];
    let (word, kind) = starts.iter().find(|(word, _)| {
        text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
    })?;
    let rest = &text[word.len()..];
    let commas: Vec<usize> = rest.match_indices(", ").map(|(at, _)| at).collect();
    let main = commas.iter().find(|at| is_main(&rest[**at + 2..])).or(commas.first());
    let (condition, main) = match main {
        Some(at) => (&rest[..*at], &rest[at + 2..]),
        None => rest.split_once(" then ")?,
    };
    let main = main.strip_prefix("then ").unwrap_or(main);
    Some((*kind, condition.trim(), main.trim()))
}

fn is_main(text: &str) -> bool {
    let lower = text.to_lowercase();
    let first = lower.split(' ').next().unwrap_or_default();
    let starts = ["the", "it", "we", "a", "an", "then", "they", "users", "no", "all", "each"];
    grammar::is_base_verb(first) || starts.contains(&first) || modal::find(&lower).is_some()
}

/// Cuts a trailing `when …`, `if …`, `while …` off.
fn trailing_condition(text: &str) -> (String, Option<String>) {
    let lower = text.to_lowercase();
    if lower.len() != text.len() {
        return (text.to_owned(), None);
    }
    let marks = [" when ", " whenever ", " if ", " once ", " as soon as ", " while "];
    let found = marks.iter().filter_map(|mark| lower.find(mark).map(|at| (at, mark.len()))).min();
    match found {
        Some((at, length)) if at > 3 && at + length < text.len() => {
            let main = text[..at].trim_end_matches([',', ' ']).to_owned();
            (main, Some(text[at + length..].trim().to_owned()))
        }
        Some(_) | None => (text.to_owned(), None),
    }
}

fn third_person(condition: &str) -> String {
    let text = uncapital(condition.trim_end_matches(','));
    let words: Vec<&str> = text.split(' ').collect();
    match words[0].to_lowercase().as_str() {
        "i" | "we" | "you" => format!("a user {}", conjugated(&words[1..])),
        "not" => format!("this is {text}"),
        word if word.ends_with("ing") && words.len() > 1 && !is_noun_ing(word) => {
            format!("a user is {text}")
        }
        _ => text,
    }
}

fn is_noun_ing(word: &str) -> bool {
    matches!(word, "anything" | "something" | "nothing" | "everything" | "string" | "processing")
}

fn conjugated(words: &[&str]) -> String {
    let Some((verb, rest)) = words.split_first() else { return "acts".into() };
    let verb = match *verb {
        "have" => "has".into(),
        "are" | "am" => "is".into(),
        verb if grammar::is_base_verb(verb) => grammar::third(verb),
        verb => verb.to_owned(),
    };
    format!("{verb} {}", rest.join(" ")).trim_end().to_owned()
}

const LEAD_INS: &[&str] = &[
    "we want to be able to ",
    "we would like to ",
    "we'd like to ",
    "we want to ",
    "we need to ",
    "we should ",
    "we must ",
    "i want to ",
    "i'd like to ",
    "i need to ",
    "i would like to ",
    "the goal is to ",
    "let's ",
    "lets ",
    "make sure that ",
    "make sure ",
    "ensure that ",
    "please ",
    "it should be possible to ",
    "it must be possible to ",
    "there is a need to ",
    "also ",
    "then ",
    "and ",
    "additionally, ",
    "finally, ",
    "optionally, ",
    "so ",
    "but ",
    "the task is to ",
    "this feature should ",
    "this should ",
    "you should ",
    "to do: ",
    "todo: ",
];

const WISHES: &[&str] = &[
    "we want ",
    "we need ",
    "we would like ",
    "i want ",
    "i need ",
    "i'd like ",
    "there should be ",
    "there must be ",
    "there needs to be ",
    "there has to be ",
    "there is no ",
    "there are no ",
    "we are missing ",
    "we don't have ",
    "we do not have ",
    "missing ",
];

fn clause(text: &str) -> Ears {
    let text = text.trim();
    let lower = text.to_lowercase();
    if lower.len() == text.len() {
        if let Some(start) = LEAD_INS.iter().find(|start| lower.starts_with(*start)) {
            return clause(&text[start.len()..]);
        }
        if let Some(start) = WISHES.iter().find(|start| lower.starts_with(*start)) {
            return Ears::plain("", format!("provide {}", uncapital(&text[start.len()..])));
        }
        if let Some(found) = modal::find(&lower).filter(|(at, ..)| *at > 0) {
            return modal::read(text, found);
        }
    }
    super::instruction::read(text)
}

/// `it`, `this` and their like are the system.
pub(super) fn subject_of(subject: &str) -> String {
    let subject = subject.trim();
    let words: Vec<&str> = subject.split_whitespace().collect();
    let pronouns = ["it", "this", "that", "we", "i", "you", "they", "there", "these", "those"];
    let is_pronoun = words.len() == 1 && pronouns.contains(&words[0].to_lowercase().as_str());
    if is_pronoun || words.is_empty() || words.len() > 14 {
        return "the system".into();
    }
    uncapital(subject)
}

pub(super) fn has_fault(text: &str) -> bool {
    let lower = text.to_lowercase();
    grammar::says_fault(&lower)
        || ["does not ", "doesn't ", "is not ", "isn't ", "broken", "returns 500", "can't ", "bug"]
            .iter()
            .any(|mark| lower.contains(mark))
}
