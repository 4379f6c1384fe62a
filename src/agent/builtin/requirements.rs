//! Drafts the output of REQUIREMENTS: what the request asks for, item by item, and what it leaves
//! unsaid about failure and limits.

mod asked;
mod judge;
mod unsaid;

use std::collections::BTreeSet;

use specline_aggregates::Finding;
use specline_aggregates::output::{
    Category, Criterion, Explore, Priority, Requirement, Requirements,
};

use super::ears::Ears;
use super::{NOTICE, Request, feature, feedback, tokens};

pub(super) use asked::Asked;

const MAX_REQUIREMENTS: usize = 40;

/// A requirement before it has its id.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) ears: Ears,
    pub(super) title: String,
    pub(super) criteria: Vec<Criterion>,
    pub(super) priority: Priority,
    pub(super) category: Category,
    /// It builds on the first requirement.
    pub(super) is_unsaid: bool,
}

/// The draft.
pub(super) fn draft(
    request: &Request<'_>,
    explore: &Explore,
    findings: &[Finding],
) -> Requirements {
    let mut asked = Asked::read(request, &feedback::remarks(findings, "requirements"));
    let mut drafts: Vec<Draft> = std::mem::take(&mut asked.drafts);
    unsaid::add(request, &mut drafts);
    mend_refused(&mut drafts, request, findings);
    let n_left_out = keep_distinct(&mut drafts);
    judge::spread_priorities(&mut drafts);
    let feature_name = feature::name(request);
    let open_questions = open_questions(request, explore, &asked, n_left_out);
    Requirements {
        requirements: numbered(drafts),
        assumptions: assumptions(request, explore, &asked),
        out_of_scope: out_of_scope(request, &asked),
        open_questions,
        feature_name,
    }
}

fn numbered(drafts: Vec<Draft>) -> Vec<Requirement> {
    let first_is_asked = drafts.first().is_some_and(|draft| !draft.is_unsaid);
    let numbered = drafts.into_iter().enumerate().map(|(index, draft)| Requirement {
        id: format!("REQ-{:03}", index + 1),
        pattern: draft.ears.pattern(),
        text: draft.ears.text(),
        title: draft.title,
        criteria: draft.criteria,
        priority: draft.priority,
        category: draft.category,
        depends_on: if draft.is_unsaid && index > 0 && first_is_asked {
            vec!["REQ-001".into()]
        } else {
            Vec::new()
        },
    });
    numbered.collect()
}

/// A text that a gate refused is said again in the plainest form.
fn mend_refused(drafts: &mut [Draft], request: &Request<'_>, findings: &[Finding]) {
    for index in feedback::refused(findings, "requirements") {
        if let Some(draft) = drafts.get_mut(index) {
            let name = feature::name(request).replace(['«', '»', '"', '`'], "");
            let what = format!("provide item {} of the request «{name}»", index + 1);
            draft.ears = Ears::plain("", what);
        }
    }
}

/// Drops repeats, and what goes beyond the bound. Returns how many went beyond.
fn keep_distinct(drafts: &mut Vec<Draft>) -> usize {
    let mut seen = BTreeSet::new();
    drafts.retain(|draft| seen.insert(tokens::words(&draft.ears.text())));
    let n_beyond = drafts.len().saturating_sub(MAX_REQUIREMENTS);
    drafts.truncate(MAX_REQUIREMENTS);
    n_beyond
}

fn assumptions(request: &Request<'_>, explore: &Explore, asked: &Asked) -> Vec<String> {
    let mut list = vec![NOTICE.to_owned()];
    list.extend(asked.assumptions.iter().cloned());
    list.push(format!("The change is made in the present code base: {}.", explore.project_type));
    if let Some(related) = explore.related_to_feature.first() {
        list.push(format!("The work starts at {}: {}.", related.path, related.why));
    }
    if let Some(topic) = feature::topic(request).filter(|_| asked.is_short) {
        list.extend(topic.assumptions.iter().map(|text| (*text).to_owned()));
    } else if asked.is_short {
        list.push("Times and counts that the request does not give are proposals.".into());
    }
    list
}

fn out_of_scope(request: &Request<'_>, asked: &Asked) -> Vec<String> {
    let mut list = asked.out_of_scope.clone();
    if list.is_empty() {
        let topic = feature::topic(request).map_or(&[] as &[&str], |topic| topic.out_of_scope);
        list.extend(topic.iter().map(|text| (*text).to_owned()));
    }
    if list.is_empty() {
        let name = feature::name(request);
        list.push(format!("Changes to behaviour that \"{name}\" does not name."));
    }
    list
}

fn open_questions(
    request: &Request<'_>,
    explore: &Explore,
    asked: &Asked,
    n_left_out: usize,
) -> Vec<String> {
    let mut questions = asked.questions.clone();
    let n_beyond = asked.n_beyond + n_left_out;
    if n_beyond > 0 {
        questions.push(format!(
            "{n_beyond} further items of the request go beyond {MAX_REQUIREMENTS} requirements: \
             are they a feature of their own?"
        ));
    }
    for word in &asked.vague_words {
        questions
            .push(format!("The request says \"{word}\": which figure decides that it is met?"));
    }
    if let Some(topic) = feature::topic(request).filter(|_| asked.is_short) {
        questions.extend(topic.questions.iter().map(|text| (*text).to_owned()));
    }
    for question in &explore.questions {
        if !questions.contains(&question.question) {
            questions.push(question.question.clone());
        }
    }
    if questions.is_empty() {
        let name = feature::name(request);
        questions.push(format!("Who decides that \"{name}\" is done, and on what evidence?"));
    }
    questions
}
