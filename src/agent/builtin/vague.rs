//! Words that no test can decide. A requirement is written without them, and the person is asked
//! for the figure instead.

use super::item::find_word;

/// Whole predicates, with what stands in for them until a person gives a figure.
const PREDICATES: &[(&str, &str)] = &[
    ("and easy to use", "and be usable in at most 3 steps"),
    ("and user-friendly", "and be usable in at most 3 steps"),
    ("be as fast as possible", "answer within 500 ms in 95 of 100 requests"),
    ("be very fast", "answer within 500 ms in 95 of 100 requests"),
    ("be faster", "answer within 500 ms in 95 of 100 requests"),
    ("be fast", "answer within 500 ms in 95 of 100 requests"),
    ("be quick", "answer within 500 ms in 95 of 100 requests"),
    ("be responsive", "answer within 500 ms in 95 of 100 requests"),
    ("be slow", "take more than 500 ms"),
    ("be easy to use", "be usable in at most 3 steps"),
    ("be user-friendly", "be usable in at most 3 steps"),
    ("be user friendly", "be usable in at most 3 steps"),
    ("be intuitive", "be usable in at most 3 steps"),
    ("be simple", "be usable in at most 3 steps"),
    ("be easy", "be usable in at most 3 steps"),
    ("be secure", "refuse every request without valid credentials"),
    ("be reliable", "complete 999 of 1000 operations"),
    ("be robust", "keep running after each invalid input"),
    ("be scalable", "serve 100 requests per second"),
];

const WORDS: &[&str] = &[
    "fast",
    "faster",
    "quick",
    "quickly",
    "easy",
    "easily",
    "easier",
    "simple",
    "simply",
    "user-friendly",
    "intuitive",
    "intuitively",
    "appropriate",
    "appropriately",
    "adequate",
    "adequately",
    "efficient",
    "efficiently",
    "robust",
    "robustly",
    "flexible",
    "flexibly",
    "seamless",
    "seamlessly",
    "reasonable",
    "reasonably",
    "sufficient",
    "sufficiently",
    "optimal",
    "timely",
    "modern",
    "scalable",
    "reliable",
    "reliably",
    "properly",
    "nice",
    "nicely",
    "good",
    "better",
    "best",
    "smooth",
    "smoothly",
    "gracefully",
    "graceful",
    "suitable",
    "suitably",
    "user friendly",
    "various",
    "several",
    "some",
    "many",
    "normally",
    "usually",
    "generally",
    "etc",
    "and so on",
    "as needed",
    "if possible",
    "as possible",
    "where possible",
    "if needed",
    "performant",
    "responsive",
    "correctly",
    "relevant",
    "slow",
    "slowly",
    "secure",
    "securely",
    "very",
    "really",
    "just",
    "clean",
    "cleanly",
    "elegant",
    "minimal",
    "significant",
    "significantly",
    "high-quality",
    "state-of-the-art",
    "as appropriate",
    "rapid",
    "rapidly",
    "convenient",
    "conveniently",
    "approximately",
    "roughly",
    "often",
    "frequently",
    "soon",
];

/// `text` without vague words, and the words that were found.
pub(super) fn clean(text: &str) -> (String, Vec<String>) {
    let mut text = text.to_owned();
    let mut found = Vec::new();
    for (predicate, figure) in PREDICATES {
        if let Some(at) = find_word(&text.to_ascii_lowercase(), predicate) {
            text.replace_range(at..at + predicate.len(), figure);
            found.push(predicate.trim_start_matches("be ").to_owned());
        }
    }
    for word in WORDS {
        while let Some(at) = find_word(&text.to_ascii_lowercase(), word) {
            text.replace_range(at..at + word.len(), "");
            if !found.iter().any(|known| known == word) {
                found.push((*word).to_owned());
            }
        }
    }
    (mend(&text), found)
}

/// What is left reads on: single spaces, no doubled or dangling commas and conjunctions.
fn mend(text: &str) -> String {
    let mut out = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (from, to) in [
        (" ,", ","),
        (",,", ","),
        (" .", "."),
        ("( )", ""),
        ("()", ""),
        (" and and ", " and "),
        (", and,", ","),
        (" in a way", ""),
        (" be and ", " be "),
    ] {
        out = out.replace(from, to);
    }
    loop {
        let trimmed = out.trim_end_matches([',', ' ', ';', '-', '(']);
        let cut = [
            " and", " or", " be", " with", " in a", " a", " the", " to", " but", " of", " is",
            " are", " as",
        ]
        .iter()
        .find_map(|tail| {
            let end = trimmed.len().checked_sub(tail.len())?;
            let is_tail = trimmed.get(end..)?.eq_ignore_ascii_case(tail);
            is_tail.then_some(end)
        });
        let Some(end) = cut else { break trimmed.to_owned() };
        out.truncate(end);
    }
}
