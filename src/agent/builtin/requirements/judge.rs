//! Title, category and priority of a requirement, from its words.

use specline_aggregates::output::{Category, Priority};

use super::super::draft::capital;
use super::super::ears::Ears;
use super::super::grammar;
use super::super::item::find_word;
use super::Draft;

/// Words that no title ends with.
const WEAK_ENDS: &[&str] = &[
    "a", "an", "the", "of", "to", "for", "in", "on", "and", "or", "with", "by", "at", "from",
    "that", "which", "as", "is", "are", "be", "its", "their", "each", "than", "it", "per", "into",
    "before", "after", "not", "has", "have", "every", "when", "if", "while", "via", "under",
];

/// Three to eight words.
pub(super) fn title(label: Option<&str>, ears: &Ears) -> String {
    let labelled = label.filter(|label| {
        let n_words = label.split_whitespace().count();
        (3..=8).contains(&n_words)
    });
    if let Some(label) = labelled {
        return capital(label);
    }
    if let Some((_, quoted)) = ears.response.split_once('«') {
        let words: Vec<&str> = quoted.trim_end_matches('»').split_whitespace().take(6).collect();
        if words.len() >= 3 {
            return capital(&words.join(" "));
        }
    }
    let said = match ears.response.strip_prefix("NOT ") {
        Some(rest) if ears.subject == "the system" => format!("Do not {rest}"),
        None if ears.subject == "the system" => ears.response.clone(),
        Some(_) | None => {
            let fact = grammar::as_fact(&ears.subject, &ears.response);
            format!("{} {fact}", ears.subject.trim_start_matches("the "))
        }
    };
    let is_short = said.split_whitespace().count() < 3 && !ears.condition().is_empty();
    let said = if is_short { format!("{said} when {}", ears.condition()) } else { said };
    let clean: String = said.replace(['«', '»', '"', '(', ')'], "");
    let mut words: Vec<&str> = clean.split_whitespace().take(8).collect();
    let is_cut = clean.split_whitespace().count() > words.len();
    while is_cut && words.len() > 3 && words.last().is_some_and(|word| is_weak(word)) {
        words.pop();
    }
    if let Some(last) = words.last_mut() {
        *last = last.trim_end_matches([',', ';', ':']);
    }
    for filler in ["in", "the", "system"] {
        if words.len() < 3 {
            words.push(filler);
        }
    }
    if words.last() == Some(&"in") || words.last() == Some(&"the") {
        words.extend(if words.last() == Some(&"in") {
            vec!["the", "system"]
        } else {
            vec!["system"]
        });
    }
    let title = words.join(" ");
    let title = title.trim_end_matches([',', '.', ':', ';']);
    let is_identifier = words[0].chars().any(char::is_uppercase);
    if is_identifier { title.to_owned() } else { capital(title) }
}

fn is_weak(word: &str) -> bool {
    let is_number = word.bytes().all(|b| b.is_ascii_digit());
    is_number || WEAK_ENDS.contains(&word.to_lowercase().as_str())
}

/// Words that tell a category; a trailing `*` matches any ending.
const CATEGORIES: [(Category, &str); 5] = [
    (
        Category::Security,
        "password,token,secret,encrypt*,unauthor*,authori*,authenticat*,permission*,credential*,\
         csrf,xss,401,403,role,sanitiz*,api key,sign in,log in,tls,security",
    ),
    (
        Category::Performance,
        "ms,millisecond*,latency,throughput,memory,requests per second,concurrent,cache*,p95,p99,\
         performance",
    ),
    (
        Category::Reliability,
        "retr*,crash*,recover*,timeout*,fail*,unavailable,backup*,restart*,consistent,lose,lost,\
         cannot be reached",
    ),
    (
        Category::Usability,
        "accessib*,keyboard,screen reader,tooltip*,dark mode,theme,help text,layout,translate*,\
         contrast",
    ),
    (Category::Constraint, "compatib*,at most,maximum,configur*,license*,deprecated,in place of"),
];

/// The category, by the words of the text.
pub(super) fn category(text: &str) -> Category {
    let lower = text.to_lowercase();
    let mut found =
        CATEGORIES.iter().filter(|(_, words)| words.split(',').any(|word| has(&lower, word)));
    found.next().map_or(Category::Functional, |(category, _)| *category)
}

fn has(lower: &str, word: &str) -> bool {
    match word.strip_suffix('*') {
        None => find_word(lower, word).is_some(),
        Some(start) => lower
            .match_indices(start)
            .any(|(at, _)| !lower[..at].chars().next_back().is_some_and(char::is_alphanumeric)),
    }
}

/// The priority that the request's own words give.
pub(super) fn priority_word(text: &str) -> Option<Priority> {
    let lower = text.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| find_word(&lower, word).is_some());
    if any(&["critical", "urgent", "p0", "blocker"]) {
        Some(Priority::Critical)
    } else if any(&["nice to have", "optional", "optionally", "could have", "p3", "low priority"]) {
        Some(Priority::Low)
    } else if any(&["high priority", "p1", "important"]) {
        Some(Priority::High)
    } else {
        None
    }
}

/// The priority where the request gives none.
pub(super) fn priority(category: Category, ears: &Ears) -> Priority {
    match category {
        Category::Security => Priority::Critical,
        Category::Functional if ears.response.starts_with("NOT ") => Priority::Critical,
        Category::Reliability | Category::Functional => Priority::High,
        Category::Performance | Category::Constraint => Priority::Medium,
        Category::Usability => Priority::Low,
    }
}

/// Not everything is equally urgent: where all came out alike, the later half comes later.
pub(super) fn spread_priorities(drafts: &mut [Draft]) {
    let Some(first) = drafts.first().map(|draft| draft.priority) else { return };
    if drafts.len() < 2 || drafts.iter().any(|draft| draft.priority != first) {
        return;
    }
    let half = drafts.len().div_ceil(2);
    for draft in &mut drafts[half..] {
        draft.priority = match first {
            Priority::Critical => Priority::High,
            Priority::High => Priority::Medium,
            Priority::Medium | Priority::Low => Priority::Low,
        };
    }
    if first == Priority::Low {
        drafts[0].priority = Priority::Medium;
    }
}
