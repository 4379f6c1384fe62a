//! What a short request leaves unsaid: failure, bad input, limits, and what stays as it is.

use specline_aggregates::output::{Category, Priority};

use super::super::criteria::criterion;
use super::super::draft::{overlap, shorten};
use super::super::ears::Ears;
use super::super::sentence;
use super::super::topics::Extra;
use super::super::{Request, feature, grammar};
use super::{Draft, MAX_REQUIREMENTS};

/// A request with so many wishes of its own gets at most one of ours.
const N_SHORT: usize = 2;
/// A wish that shares so many words with one of ours says the same.
const N_SAME_STEMS: usize = 6;

/// Adds what is missing.
pub(super) fn add(request: &Request<'_>, drafts: &mut Vec<Draft>) {
    let Some(first) = drafts.first().cloned() else { return };
    let has_unwanted = drafts.iter().any(|draft| draft.ears.unwanted.is_some());
    let topic = feature::topic(request);
    let is_fault = first.ears.unwanted.is_some() || first.ears.response.starts_with("NOT ");
    let is_fault =
        is_fault || (drafts.len() <= N_SHORT && sentence::has_fault(&feature::text(request)));
    let proposals: Vec<Draft> = match topic {
        _ if is_fault => around_fault(&first),
        Some(topic) => topic.extras.iter().filter_map(from_extra).collect(),
        None => around_wish(&first),
    };
    let proposals: Vec<Draft> = proposals.into_iter().filter(|p| p.ears.is_sound()).collect();
    let is_new = |proposal: &Draft| {
        let text = proposal.ears.text();
        !drafts.iter().any(|draft| overlap(&draft.ears.text(), &text) >= N_SAME_STEMS)
    };
    let fresh: Vec<Draft> = if topic.is_some() && !is_fault {
        proposals.into_iter().filter(is_new).collect()
    } else {
        proposals
    };
    if drafts.len() <= N_SHORT {
        let room = 6_usize.saturating_sub(drafts.len());
        drafts.extend(fresh.into_iter().take(room));
    } else if !has_unwanted && drafts.len() < MAX_REQUIREMENTS {
        drafts.extend(fresh.into_iter().find(|draft| draft.ears.unwanted.is_some()));
    }
}

fn from_extra(extra: &Extra) -> Option<Draft> {
    let ears = Ears::parse(extra.text)?;
    let criteria = extra.criteria.iter().map(|[given, when, then]| criterion(given, when, then));
    Some(Draft {
        ears,
        title: extra.title.into(),
        criteria: criteria.collect(),
        priority: extra.priority,
        category: extra.category,
        is_unsaid: true,
    })
}

fn unsaid(title: &str, ears: Ears, rank: (Category, Priority), criteria: [[&str; 3]; 2]) -> Draft {
    Draft {
        ears,
        title: title.into(),
        criteria: criteria.iter().map(|[g, w, t]| criterion(g, w, t)).collect(),
        priority: rank.1,
        category: rank.0,
        is_unsaid: true,
    }
}

/// How the first wish is quoted in others.
struct Act {
    /// In base form, after "to".
    base: String,
    fails: String,
    nobody: String,
}

impl Act {
    fn of(first: &Draft) -> Self {
        let subject = &first.ears.subject;
        let response = first.ears.response.trim_start_matches("NOT ");
        let by_people = response.strip_prefix("let ").and_then(|rest| {
            let at = rest.split(' ').position(grammar::is_base_verb)?;
            let words: Vec<&str> = rest.split(' ').collect();
            Some((words[..at].join(" "), shorten(&words[at..].join(" "), 100)))
        });
        match by_people {
            Some((who, act)) if !who.is_empty() => Self {
                fails: format!("an attempt of {who} to {act} fails"),
                nobody: format!("nobody tries to {act}"),
                base: act,
            },
            Some(_) | None => {
                let act = shorten(response, 110);
                Self {
                    fails: format!("{subject} cannot {act}"),
                    nobody: format!("nobody asks it to {act}"),
                    base: act,
                }
            }
        }
    }
}

/// Whether the wish changes how the system is made, and not what it does for people.
fn is_inner_change(first: &Draft) -> bool {
    let starts =
        ["use ", "run on ", "keep its present behaviour", "work without ", "show a measured"];
    starts.iter().any(|start| first.ears.response.starts_with(start))
}

fn around_change(first: &Draft) -> Vec<Draft> {
    let subject = first.ears.subject.clone();
    let mut back = Ears::plain(&subject, "go on with the state from before the change");
    back.unwanted = Some("a step of the change fails".into());
    let kept = Ears::plain(&subject, "keep every stored record through the change");
    let mut same = Ears::plain(&subject, "answer each call with the result from before the change");
    same.state = Some("the change is in place".into());
    vec![
        unsaid(
            "Return to the state before",
            back,
            (Category::Reliability, Priority::High),
            [
                [
                    "a change that is broken off half way",
                    "the system is started again",
                    "it runs, and 0 tests fail that passed before",
                ],
                [
                    "a change that is broken off half way",
                    "the change is made once more",
                    "it completes, and nothing of it is done twice",
                ],
            ],
        ),
        unsaid(
            "Keep all records and settings",
            kept,
            (Category::Reliability, Priority::Critical),
            [
                ["100 stored records", "the change is made", "the same 100 records are read"],
                [
                    "0 stored records",
                    "the change is made",
                    "the system starts and 0 records are read",
                ],
            ],
        ),
        unsaid(
            "Keep existing results as they are",
            same,
            (Category::Constraint, Priority::High),
            [
                [
                    "the test suite as it was before this change",
                    "it runs on the changed code",
                    "0 tests fail that passed before",
                ],
                [
                    "10 recorded calls with their answers",
                    "they are repeated after the change",
                    "all 10 answers equal those from before",
                ],
            ],
        ),
        no_slower(&subject),
    ]
}

fn no_slower(subject: &str) -> Draft {
    let slower = "take at most 10 percent longer than before the change for the test suite";
    let slower = Ears::plain(subject, slower);
    unsaid(
        "Lose no speed by it",
        slower,
        (Category::Performance, Priority::Low),
        [
            [
                "the time of the test suite before the change",
                "it runs 3 times after it",
                "the median is at most 10 percent higher",
            ],
            [
                "the start of the program before the change",
                "it starts 3 times after it",
                "the median is at most 10 percent higher",
            ],
        ],
    )
}

fn around_wish(first: &Draft) -> Vec<Draft> {
    if is_inner_change(first) {
        return around_change(first);
    }
    let act = Act::of(first);
    let subject = &first.ears.subject;
    let mut failure =
        Ears::plain(subject, "report the cause in one message and leave the stored data as it was");
    failure.unwanted = Some(act.fails.clone());
    let mut input = Ears::plain(subject, "refuse it with one message that names the value");
    input.unwanted =
        Some(format!("a value that is needed to {} is missing or malformed", act.base));
    vec![
        unsaid(
            "Report failures and change nothing",
            failure,
            (Category::Reliability, Priority::High),
            [
                [
                    &format!("a test double that brings this about: {}", act.fails),
                    "the operation runs once",
                    "exactly 1 message names the cause",
                ],
                [
                    "100 stored records and the same failure",
                    "the operation has ended",
                    "all 100 records are as they were",
                ],
            ],
        ),
        unsaid(
            "Refuse missing or malformed values",
            input,
            (Category::Functional, Priority::Medium),
            [
                [
                    "a valid input with 1 required value removed",
                    "it is sent",
                    "it is refused with 1 message that names the value",
                ],
                ["the same input with the value restored", "it is sent", "it is accepted"],
            ],
        ),
        within_limit(subject, &act),
        as_before(subject, &act),
    ]
}

fn within_limit(subject: &str, act: &Act) -> Draft {
    let mut limit = Ears::plain(subject, "answer each of them within 2 seconds");
    limit.state = Some(format!("10 callers at once try to {}", act.base));
    unsaid(
        "Answer within the time limit",
        limit,
        (Category::Performance, Priority::Medium),
        [
            [
                "10 callers at once",
                "each of them asks 10 times",
                "at least 95 of the 100 answers come within 2 seconds",
            ],
            ["1 caller", "it asks 10 times", "all 10 answers come within 2 seconds"],
        ],
    )
}

fn as_before(subject: &str, act: &Act) -> Draft {
    let mut same = Ears::plain(subject, "give the same results as before this change");
    same.state = Some(act.nobody.clone());
    unsaid(
        "Keep existing results as they are",
        same,
        (Category::Constraint, Priority::Low),
        [
            [
                "the test suite as it was before this change",
                "it runs on the changed code",
                "0 tests fail that passed before",
            ],
            [
                "a caller that does not use the new behaviour",
                "it repeats 10 earlier calls",
                "all 10 answers equal those from before",
            ],
        ],
    )
}

fn around_fault(first: &Draft) -> Vec<Draft> {
    let subject = first.ears.subject.clone();
    let case = first.ears.condition();
    let case =
        if case.is_empty() { "the reported case occurs".into() } else { shorten(&case, 110) };
    let mut bad = Ears::plain(&subject, "report the cause in one message and keep running");
    bad.unwanted = Some(format!("{case} and the operation cannot be completed"));
    let test = Ears::plain(
        "the automated tests",
        format!("reproduce the reported case ({case}) and pass only with the mend in place"),
    );
    let mut same = Ears::plain(&subject, "give the same results as before this change");
    same.state = Some(format!("it is not so that {case}"));
    vec![
        unsaid(
            "Report the cause and keep running",
            bad,
            (Category::Reliability, Priority::High),
            [
                [
                    "the reported case",
                    "it occurs 10 times in a row",
                    "the program is still running and 10 messages name the cause",
                ],
                ["the reported case occurred 1 time", "a valid operation follows", "it succeeds"],
            ],
        ),
        unsaid(
            "Reproduce the report by a test",
            test,
            (Category::Reliability, Priority::Medium),
            [
                ["the code from before the mend", "the new test runs", "it fails 1 time in 1 run"],
                ["the mended code", "the new test runs 10 times", "it passes 10 times"],
            ],
        ),
        unsaid(
            "Keep other cases as they are",
            same,
            (Category::Constraint, Priority::Low),
            [
                [
                    "the test suite from before the mend",
                    "it runs on the mended code",
                    "0 tests fail that passed before",
                ],
                [
                    "10 inputs without the reported case",
                    "they are processed",
                    "all 10 results equal those from before",
                ],
            ],
        ),
    ]
}
