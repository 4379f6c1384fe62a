//! Clauses without a modal verb: instructions, faults, statements and bare nouns.

use super::draft::uncapital;
use super::ears::Ears;
use super::grammar;
use super::sentence::subject_of;

/// Reads such a clause.
pub(super) fn read(text: &str) -> Ears {
    let lower = text.to_lowercase();
    let (first, rest) = split_first(text);
    let verb = first.to_lowercase();
    if grammar::is_base_verb(&verb) && !rest.is_empty() && !rest.starts_with("is ") {
        return Ears::plain("", instruction(&verb, rest));
    }
    if lower.len() == text.len() {
        if let Some(ears) = fault(text, &lower) {
            return ears;
        }
        if let Some(ears) = statement(text) {
            return ears;
        }
    }
    Ears::plain("", provide(text))
}

fn split_first(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    (first, rest.trim())
}

/// What an instruction means for the system that is to be built.
fn instruction(verb: &str, rest: &str) -> String {
    match verb {
        "add" | "introduce" | "implement" | "build" | "create" | "integrate" => added(rest),
        "allow" | "enable" | "permit" => allowed(rest),
        "fix" | "resolve" => {
            let rest = rest.trim_start_matches("the bug where ").trim_start_matches("a bug where ");
            let inner = read(rest);
            if inner.response.starts_with("provide ") {
                return format!("work without {}", article(rest));
            }
            format!(
                "keep this promise: {} {}",
                inner.subject,
                grammar::as_fact(&inner.subject, &inner.response,)
            )
        }
        "replace" | "migrate" | "switch" | "move" | "convert" => replaced(verb, rest),
        "remove" | "delete" | "drop" | "deprecate" => format!("work without {}", uncapital(rest)),
        "refactor" | "rewrite" | "simplify" | "clean" | "unify" => {
            format!("keep its present behaviour after a {} of {}", noun_of(verb), uncapital(rest))
        }
        "improve" | "optimize" | "optimise" => {
            format!("show a measured gain in {}", uncapital(rest))
        }
        "rename" => match rest.split_once(" to ") {
            Some((old, new)) => format!("use the name {new} in place of {}", uncapital(old)),
            None => format!("rename {rest}"),
        },
        "upgrade" | "update" | "bump" => match rest.split_once(" to ") {
            Some((old, new)) => format!("run on {new} in place of its present {}", bare(old)),
            None => format!("{verb} {}", uncapital(rest)),
        },
        "ensure" | "guarantee" => format!("{verb} that {}", rest.trim_start_matches("that ")),
        _ => format!("{verb} {rest}"),
    }
}

fn noun_of(verb: &str) -> &'static str {
    match verb {
        "rewrite" => "rewrite",
        "simplify" | "clean" => "clean-up",
        _ => "restructuring",
    }
}

/// `rate limiting to the public API`: an activity is applied, a thing is provided.
fn added(rest: &str) -> String {
    let rest = uncapital(rest);
    for mark in ["support for ", "the ability to ", "an option to ", "the option to ", "a way to "]
    {
        if let Some(what) = rest.strip_prefix(mark) {
            return match mark {
                "support for " => format!("support {what}"),
                _ => format!("offer {mark}{what}"),
            };
        }
    }
    let split = [" to ", " on ", " in ", " for "]
        .iter()
        .filter_map(|word| rest.find(word).map(|at| (at, *word)))
        .min();
    if let Some((at, word)) = split {
        let (what, place) = (&rest[..at], &rest[at + word.len()..]);
        let last = what.split_whitespace().last().unwrap_or_default();
        if last.ends_with("ing") && word != " for " {
            return format!("apply {what} to {place}");
        }
        if last.ends_with("tion") && word == " to " {
            return format!("enforce {what} on {place}");
        }
        if word == " to " {
            return format!("provide {what} in {place}");
        }
    }
    provide(&rest)
}

fn allowed(rest: &str) -> String {
    match rest.split_once(" to ") {
        Some((who, act)) if who.split_whitespace().count() <= 6 => {
            format!("let {} {act}", uncapital(who))
        }
        Some(_) | None => format!("allow {}", uncapital(rest)),
    }
}

fn replaced(verb: &str, rest: &str) -> String {
    let from = rest.strip_prefix("from ").unwrap_or(rest);
    let marks =
        if verb == "replace" { [" with ", " by ", " to "] } else { [" to ", " into ", " with "] };
    let split = marks.iter().find_map(|mark| from.split_once(mark));
    match split {
        Some((old, new)) => {
            let old = old.split_once(" from ").map_or(old, |(_, old)| old);
            format!("use {} in place of {}", uncapital(new), uncapital(old))
        }
        None => format!("{verb} {rest}"),
    }
}

fn bare(text: &str) -> &str {
    text.strip_prefix("the ").unwrap_or(text)
}

fn article(text: &str) -> String {
    let has = ["the ", "a ", "an ", "this "].iter().any(|word| text.starts_with(word));
    if has { uncapital(text) } else { format!("the {}", uncapital(text)) }
}

/// A bare noun, or words in a language that is not read here.
fn provide(text: &str) -> String {
    let text = uncapital(text.trim());
    if text.is_ascii() || text.split_whitespace().count() <= 3 && text.chars().count() <= 40 {
        return format!("provide {text}");
    }
    format!("provide what the request states as «{text}»")
}

/// `X crashes`, `X does not Y`, `X returns 500`, `X is broken`.
fn fault(text: &str, lower: &str) -> Option<Ears> {
    for (mark, becomes) in [
        (" does not ", ""),
        (" doesn't ", ""),
        (" do not ", ""),
        (" don't ", ""),
        (" is not ", "be "),
        (" isn't ", "be "),
        (" are not ", "be "),
        (" aren't ", "be "),
    ] {
        if let Some(at) = lower.find(mark) {
            let response = format!("{becomes}{}", &text[at + mark.len()..]);
            return Some(Ears::plain(&subject_of(&text[..at]), response));
        }
    }
    for mark in [" is broken", " are broken"] {
        if let Some(at) = lower.find(mark) {
            let response = "work as documented".to_owned();
            return Some(Ears::plain(&subject_of(&text[..at]), response));
        }
    }
    for (mark, response) in [
        (" is too slow", "answer within 500 ms in 95 of 100 requests"),
        (" is slow", "answer within 500 ms in 95 of 100 requests"),
        (" takes too long", "answer within 500 ms in 95 of 100 requests"),
    ] {
        if let Some(at) = lower.find(mark) {
            return Some(Ears::plain(&subject_of(&text[..at]), response));
        }
    }
    for mark in [" returns 500", " returns an error", " answers with 500", " shows an error"] {
        if let Some(at) = lower.find(mark) {
            let (verb, rest) = split_first(text[at..].trim());
            let base = grammar::base_of_third(verb).unwrap_or_else(|| verb.to_owned());
            return Some(Ears::plain(&subject_of(&text[..at]), format!("NOT {base} {rest}")));
        }
    }
    let words: Vec<&str> = text.split(' ').collect();
    let at = words
        .iter()
        .skip(1)
        .take(10)
        .position(|word| grammar::fault(&word.to_lowercase()).is_some())?
        + 1;
    let base = grammar::fault(&words[at].to_lowercase())?;
    let subject = subject_of(&words[..at].join(" "));
    let response = format!("NOT {base} {}", words[at + 1..].join(" "));
    let response = response.trim_end().to_owned();
    let is_bare = response.split_whitespace().count() < 3;
    let response = if is_bare { format!("NOT {base} in this case") } else { response };
    Some(Ears::plain(&subject, response))
}

/// `The API returns 429`, `Orders are sorted by date`, `Users log in with a code`.
fn statement(text: &str) -> Option<Ears> {
    let words: Vec<&str> = text.split_whitespace().collect();
    for at in 1..words.len().min(9) {
        let word = words[at].to_lowercase();
        let rest = words[at + 1..].join(" ");
        let subject = words[..at].join(" ");
        if rest.is_empty() || words[at - 1].ends_with(',') {
            break;
        }
        let is_article = matches!(subject.to_lowercase().as_str(), "the" | "a" | "an" | "each");
        if is_article {
            continue;
        }
        if let Some(base) = grammar::base_of_third(&word) {
            let is_noun =
                !matches!(word.as_str(), "is" | "are" | "has") && grammar::is_plural(&subject);
            if !is_noun && grammar::is_people(&subject) && base != "be" {
                return Some(Ears::plain("", format!("let {} {base} {rest}", uncapital(&subject))));
            }
            if !is_noun {
                return Some(Ears::plain(&subject_of(&subject), format!("{base} {rest}")));
            }
        }
        if grammar::is_people(&subject) && grammar::is_base_verb(&word) {
            return Some(Ears::plain("", format!("let {} {word} {rest}", uncapital(&subject))));
        }
    }
    None
}
