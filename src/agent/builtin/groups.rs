//! Groups requirements that speak of the same thing, so that each group becomes a component and a
//! ticket.

use std::collections::BTreeMap;

use specline_aggregates::output::Requirement;

use super::{grammar, tokens};

/// Up to so many requirements make one component.
const MAX_TOGETHER: usize = 6;
const MAX_GROUPS: usize = 4;

/// Requirements that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// The word that sets it apart, in lower case; empty when there is one group only.
    pub(super) word: String,
    /// Indices into the requirements.
    pub(super) members: Vec<usize>,
}

/// The groups, in the order of their first members. Every requirement is in exactly one.
pub(super) fn of(requirements: &[Requirement]) -> Vec<Group> {
    if requirements.len() <= MAX_TOGETHER {
        let members = (0..requirements.len()).collect();
        return vec![Group { word: String::new(), members }];
    }
    let stems: Vec<Vec<String>> = requirements.iter().map(|r| content(&r.title, &r.text)).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for stem in stems.iter().flatten() {
        *counts.entry(stem).or_insert(0) += 1;
    }
    let most = requirements.len() / 2;
    let mut seeds: Vec<(&str, usize)> =
        counts.into_iter().filter(|(_, n)| *n >= 2 && *n <= most.max(2)).collect();
    seeds.sort_by_key(|(stem, n)| (std::cmp::Reverse(*n), *stem));
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    let mut free: Vec<usize> = (0..requirements.len()).collect();
    for (seed, _) in seeds {
        let members: Vec<usize> =
            free.iter().copied().filter(|i| stems[*i].iter().any(|stem| stem == seed)).collect();
        if members.len() >= 2 && groups.len() < MAX_GROUPS - 1 {
            free.retain(|index| !members.contains(index));
            groups.push((shown(seed, &members, requirements), members));
        }
    }
    if !free.is_empty() {
        groups.push((String::new(), free));
    }
    let mut groups: Vec<Group> =
        groups.into_iter().map(|(word, members)| Group { word, members }).collect();
    groups.sort_by_key(|group| group.members[0]);
    groups
}

/// Stems of the words that name things.
fn content(title: &str, text: &str) -> Vec<String> {
    let keywords = ["shall", "system", "user", "users"];
    let mut stems: Vec<String> = tokens::words(&format!("{title} {text}"))
        .into_iter()
        .filter(|word| {
            word.is_ascii() && word.len() > 3 && word.bytes().all(|b| b.is_ascii_alphabetic())
        })
        .filter(|word| !tokens::is_stop(word) && !keywords.contains(&word.as_str()))
        .filter(|word| !grammar::is_base_verb(word) && !grammar::is_people(word))
        .map(|word| tokens::stem(&word))
        .collect();
    stems.sort();
    stems.dedup();
    stems
}

/// The word behind a stem, as the first member writes it.
fn shown(stem: &str, members: &[usize], requirements: &[Requirement]) -> String {
    let texts =
        members.iter().map(|i| format!("{} {}", requirements[*i].title, requirements[*i].text));
    let words = texts.flat_map(|text| tokens::words(&text));
    words.into_iter().find(|word| tokens::stem(word) == stem).unwrap_or_else(|| stem.to_owned())
}
