//! Subjects that come up again and again, with what a careful engineer asks of each: failure,
//! limits, and where in a code base they live. Figures that the request does not give stand as
//! assumptions.

mod access;
mod delivery;
mod exchange;
mod running;

use specline_aggregates::output::{Category, Priority};

use super::item::find_word;

/// A requirement that a topic brings along.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extra {
    pub(super) title: &'static str,
    /// One EARS sentence.
    pub(super) text: &'static str,
    pub(super) category: Category,
    pub(super) priority: Priority,
    /// Given, when, then.
    pub(super) criteria: [[&'static str; 3]; 2],
}

/// One subject.
#[derive(Debug)]
pub(super) struct Topic {
    /// Words or starts of words that name it; a trailing `*` matches any ending.
    pub(super) keys: &'static [&'static str],
    /// For file names.
    pub(super) slug: &'static str,
    /// Further words to look for in the repository.
    pub(super) hints: &'static [&'static str],
    /// Folders that such code lives in.
    pub(super) homes: &'static [&'static str],
    pub(super) extras: &'static [Extra],
    pub(super) assumptions: &'static [&'static str],
    pub(super) questions: &'static [&'static str],
    pub(super) out_of_scope: &'static [&'static str],
    /// A data model that it needs: name, then fields as `name: type`.
    pub(super) model: Option<(&'static str, &'static [&'static str])>,
}

/// The first topic that `text` names, the one named earliest.
pub(super) fn of(text: &str) -> Option<&'static Topic> {
    let lower = text.to_lowercase();
    let all = [access::TOPICS, exchange::TOPICS, delivery::TOPICS, running::TOPICS];
    let found = all.iter().flat_map(|topics| topics.iter()).filter_map(|topic| {
        let at = topic.keys.iter().filter_map(|key| place(&lower, key)).min()?;
        Some((at, topic))
    });
    found.min_by_key(|(at, _)| *at).map(|(_, topic)| topic)
}

fn place(lower: &str, key: &str) -> Option<usize> {
    let Some(start) = key.strip_suffix('*') else { return find_word(lower, key) };
    lower
        .match_indices(start)
        .map(|(at, _)| at)
        .find(|at| !lower[..*at].chars().next_back().is_some_and(char::is_alphanumeric))
}
