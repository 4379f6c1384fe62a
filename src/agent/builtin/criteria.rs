//! Acceptance criteria: those that the request gives, and enough of our own that each requirement
//! has two that a test decides.

use std::collections::BTreeSet;

use specline_aggregates::output::Criterion;

use super::draft::{shorten, uncapital};
use super::ears::Ears;
use super::grammar;
use super::item::{self, Gherkin};
use super::sentence::{self, Reading};
use super::vague;

const MAX_CRITERIA: usize = 8;
const MAX_CHARS: usize = 260;
const USUAL: &str = "the system running with its default settings";

/// The criteria of a requirement; `written` are those of the request.
pub(super) fn of(ears: &Ears, written: &[String], scenario: Option<&Gherkin>) -> Vec<Criterion> {
    let mut criteria: Vec<Criterion> = Vec::new();
    criteria.extend(scenario.map(from_gherkin));
    criteria.extend(written.iter().take(MAX_CRITERIA).map(|text| from_text(ears, text)));
    criteria.retain(says_something);
    let mut known = BTreeSet::new();
    criteria.retain(|criterion| known.insert(words(criterion)));
    if criteria.len() < 2 {
        let from = usize::from(!criteria.is_empty());
        // The first of our own says what a written one says already.
        let mut own = derived(ears);
        own.rotate_left(from);
        let fresh = own.into_iter().filter(|own| says_something(own) && known.insert(words(own)));
        let wanted = 2 - criteria.len();
        criteria.extend(fresh.take(wanted));
    }
    criteria
}

/// Whether each part has a word; marks alone say nothing.
fn says_something(criterion: &Criterion) -> bool {
    let spoken = |part: &str| part.chars().any(char::is_alphanumeric);
    [&criterion.given, &criterion.when, &criterion.then].iter().all(|part| spoken(part))
}

/// What a criterion says, case, spaces and marks aside.
fn words(criterion: &Criterion) -> String {
    let Criterion { given, when, then } = criterion;
    let all = format!("{given} | {when} | {then}").to_lowercase();
    all.chars().filter(|c| c.is_alphanumeric() || *c == '|').collect()
}

/// A criterion in three parts.
pub(super) fn criterion(given: &str, when: &str, then: &str) -> Criterion {
    let tidy = |text: &str| {
        let (clean, _) = vague::clean(text);
        shorten(clean.trim_matches([',', '.', ' ']), MAX_CHARS)
    };
    Criterion { given: tidy(given), when: tidy(when), then: tidy(then) }
}

fn from_gherkin(scenario: &Gherkin) -> Criterion {
    let given = if scenario.given.is_empty() { USUAL } else { &scenario.given };
    criterion(given, &scenario.when, &scenario.then)
}

fn from_text(ears: &Ears, text: &str) -> Criterion {
    let text = text.trim_end_matches(['.', ';']);
    if let Some(scenario) = item::gherkin(text) {
        return from_gherkin(&scenario);
    }
    let when = trigger(ears);
    match sentence::read(text) {
        Reading::Asked(own) if text.split_whitespace().count() >= 3 => {
            let condition = own.condition();
            let when = if condition.is_empty() { when } else { condition };
            let fact = grammar::as_fact(&own.subject, &own.response);
            criterion(USUAL, &when, &format!("{} {fact}", own.subject))
        }
        Reading::Asked(_) | Reading::Question(_) => criterion(USUAL, &when, text),
    }
}

/// What sets the behaviour off.
fn trigger(ears: &Ears) -> String {
    if let Some(event) = ears.event.as_ref().or(ears.unwanted.as_ref()) {
        return event.clone();
    }
    match ears.response.strip_prefix("let ") {
        Some(act) => format!("the test has {act}"),
        None => "the behaviour is exercised once".into(),
    }
}

/// What the response is about, for a test that uses it.
fn object(ears: &Ears) -> String {
    let (verb, rest) = ears.response.split_once(' ').unwrap_or(("", ""));
    let is_thing = ["provide", "apply", "support", "offer", "use", "enforce"].contains(&verb);
    if !is_thing {
        return "this behaviour 10 times".into();
    }
    let end = [" to ", " in ", " for ", " with ", " by ", " from ", " and ", ", "]
        .iter()
        .filter_map(|word| rest.find(word))
        .min();
    let object = rest[..end.unwrap_or(rest.len())].trim();
    if object.is_empty() || object.contains('«') { "it".into() } else { object.to_owned() }
}

fn derived(ears: &Ears) -> Vec<Criterion> {
    let fact = format!("{} {}", ears.subject, grammar::as_fact(&ears.subject, &ears.response));
    let state = ears.feature.as_ref().or(ears.state.as_ref());
    let given = state.map_or(USUAL.to_owned(), Clone::clone);
    if let Some(unwanted) = &ears.unwanted {
        let set_up = format!("a test that brings this about: {unwanted}");
        return vec![
            criterion(&set_up, "the operation runs 10 times", &format!("in 10 of 10 runs {fact}")),
            criterion(
                &set_up,
                "the operation has ended",
                "the next valid operation succeeds and 0 stored records were damaged",
            ),
        ];
    }
    if let Some(event) = &ears.event {
        return vec![
            criterion(&given, event, &format!("{fact}, exactly 1 time for each occurrence")),
            criterion(
                &given,
                &format!("a test of 60 seconds ends without this: {event}"),
                &format!("the test has seen 0 times that {fact}"),
            ),
        ];
    }
    if let Some(act) = ears.response.strip_prefix("let ") {
        return vec![
            criterion(
                &given,
                &format!("a test has {act}"),
                "the attempt succeeds in 10 of 10 runs",
            ),
            criterion(
                &given,
                &format!("a test has {act} with one required value missing"),
                "the attempt is refused with 1 message that names the value, and 0 records change",
            ),
        ];
    }
    if let Some(denied) = ears.response.strip_prefix("NOT ") {
        return vec![
            criterion(
                &given,
                "a test covers the case 10 times",
                &format!("in 10 of 10 runs {fact}"),
            ),
            criterion(
                &given,
                "the whole test suite runs",
                &format!("0 tests see {} {denied}", ears.subject),
            ),
        ];
    }
    vec![
        criterion(
            &given,
            &format!("a test makes use of {}", object(ears)),
            &format!("in 10 of 10 runs {}", uncapital(&fact)),
        ),
        criterion(
            &given,
            "the whole test suite runs",
            "0 of the tests that passed before this change fail",
        ),
    ]
}
