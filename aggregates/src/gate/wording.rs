//! Soft rules for the wording of requirements.

use crate::ears;

use super::requirements::{Case, each};
use super::rule::Fault;
use super::text::{excerpt, is_blank, plain_words};

const TITLE_WORDS: std::ops::RangeInclusive<usize> = 3..=8;
const MIN_FOR_SPREAD: usize = 3;

/// Words that leave open what is meant, as whole words.
const VAGUE: [&str; 46] = [
    "adequate",
    "adequately",
    "appropriate",
    "appropriately",
    "approximately",
    "asap",
    "better",
    "clean",
    "convenient",
    "easily",
    "easy",
    "effective",
    "effectively",
    "efficient",
    "efficiently",
    "etc",
    "fast",
    "flexible",
    "friendly",
    "good",
    "graceful",
    "gracefully",
    "intuitive",
    "intuitively",
    "maybe",
    "modern",
    "nice",
    "normally",
    "optimal",
    "optimally",
    "possibly",
    "properly",
    "quick",
    "quickly",
    "reasonable",
    "reasonably",
    "robust",
    "robustly",
    "seamless",
    "seamlessly",
    "somehow",
    "sufficient",
    "sufficiently",
    "tbd",
    "user-friendly",
    "usually",
];

/// Beginnings of words that name something that can be seen from outside.
const OBSERVABLE: [&str; 68] = [
    "absent",
    "accept",
    "add",
    "answer",
    "appear",
    "block",
    "both",
    "call",
    "contain",
    "count",
    "creat",
    "delet",
    "deni",
    "deny",
    "disappear",
    "display",
    "emit",
    "empty",
    "end",
    "equal",
    "error",
    "exactly",
    "exist",
    "exit",
    "fail",
    "header",
    "ignor",
    "includ",
    "kept",
    "list",
    "log",
    "match",
    "message",
    "none",
    "nothing",
    "notif",
    "once",
    "one",
    "pass",
    "print",
    "prompt",
    "raise",
    "read",
    "receiv",
    "record",
    "redirect",
    "refus",
    "reject",
    "remain",
    "remov",
    "report",
    "respon",
    "return",
    "same",
    "save",
    "send",
    "sent",
    "show",
    "status",
    "stop",
    "stor",
    "unchang",
    "updat",
    "visible",
    "warn",
    "writ",
    "written",
    "zero",
];

pub(super) fn pattern_label(case: &Case<'_>) -> Vec<Fault> {
    each(case, |place, requirement| {
        let real = ears::parse(&requirement.text).ok()?.pattern;
        (real != requirement.pattern).then(|| {
            let (label, real) = (requirement.pattern.as_str(), real.as_str());
            let message = format!("{} is labelled {label} but is {real}", requirement.id);
            Fault::new(format!("{place}/pattern"), message, format!("Set pattern to {real:?}."))
        })
    })
}

pub(super) fn vague_words(case: &Case<'_>) -> Vec<Fault> {
    each(case, |place, requirement| {
        let words = plain_words(&requirement.text);
        let vague = words.into_iter().find(|word| VAGUE.contains(&word.as_str()))?;
        let message = format!("{} says {vague:?}, which can mean anything", requirement.id);
        let mend = "Say it with a number, a limit or a behaviour that can be observed.";
        Some(Fault::new(format!("{place}/text"), message, mend))
    })
}

pub(super) fn measurable(case: &Case<'_>) -> Vec<Fault> {
    each(case, |place, requirement| {
        let blurred = !requirement.criteria.iter().any(|c| is_observable(&c.then));
        blurred.then(|| {
            let message = format!("no criterion of {} can be measured", requirement.id);
            let mend = "Let a `then` name a number, a quoted value, or what is returned, rejected, \
                        stored, shown or logged.";
            Fault::new(format!("{place}/criteria"), message, mend)
        })
    })
}

fn is_observable(then: &str) -> bool {
    then.contains(|c: char| c.is_numeric() || matches!(c, '"' | '`' | '“' | '='))
        || plain_words(then)
            .iter()
            .any(|word| OBSERVABLE.iter().any(|start| word.starts_with(start)))
}

pub(super) fn priority_spread(case: &Case<'_>) -> Vec<Fault> {
    let mut priorities = case.output.requirements.iter().map(|r| r.priority);
    let first = priorities.next();
    let n_all = case.output.requirements.len();
    if n_all < MIN_FOR_SPREAD || priorities.any(|priority| Some(priority) != first) {
        return Vec::new();
    }
    let mend = "Say which matter most and which can wait.";
    vec![Fault::new("/requirements", "all have the same priority", mend)]
}

pub(super) fn titles(case: &Case<'_>) -> Vec<Fault> {
    each(case, |place, requirement| {
        let n_words = requirement.title.split_whitespace().count();
        (!TITLE_WORDS.contains(&n_words)).then(|| {
            let message =
                format!("the title {:?} has {n_words} words", excerpt(&requirement.title));
            Fault::new(format!("{place}/title"), message, "Use 3 to 8 words.")
        })
    })
}

pub(super) fn bounds_said(case: &Case<'_>) -> Vec<Fault> {
    let lists = [
        ("/assumptions", &case.output.assumptions, "Say what you take for granted."),
        ("/out_of_scope", &case.output.out_of_scope, "Say what will not be built."),
    ];
    let silent = lists.into_iter().filter(|(_, list, _)| list.iter().all(|text| is_blank(text)));
    silent.map(|(place, _, mend)| Fault::new(place, "nothing is said here", mend)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_quotes_and_visible_effects_are_observable() {
        for then in
            ["it takes 5 ms", "the title is `x`", "the call is rejected", "nothing is logged"]
        {
            assert!(is_observable(then), "{then}");
        }
        for then in ["the user is happy", "all goes well"] {
            assert!(!is_observable(then), "{then}");
        }
    }
}
