//! Names that must be unique, and names that must exist.

use std::collections::{BTreeMap, BTreeSet};

use super::rule::Fault;
use super::text::excerpt;

pub(super) type Names<'a> = BTreeSet<&'a str>;

/// A fault for each name that stood before.
pub(super) fn repeated<'a>(
    names: impl Iterator<Item = &'a str>,
    place: impl Fn(usize) -> String,
) -> Vec<Fault> {
    let mut first = BTreeMap::new();
    let mut faults = Vec::new();
    for (n, name) in names.enumerate() {
        if let Some(before) = first.get(name) {
            let message = format!("{:?} already stands at {}", excerpt(name), place(*before));
            faults.push(Fault::new(place(n), message, "Give each its own."));
        } else {
            first.insert(name, n);
        }
    }
    faults
}

/// A fault for each of `names` that is not among `known`.
pub(super) fn dangling(place: &str, names: &[String], kind: &str, known: &Names<'_>) -> Vec<Fault> {
    let unknown = names.iter().enumerate().filter(|(_, name)| !known.contains(name.as_str()));
    unknown
        .map(|(n, name)| {
            let message = format!("there is no {kind} {:?}", excerpt(name));
            let mend = format!("Name an existing {kind}, or drop the reference.");
            Fault::new(format!("{place}/{n}"), message, mend)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_of_a_name_is_at_fault() {
        let faults = repeated(["a", "b", "a"].into_iter(), |n| format!("/x/{n}"));
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].place, "/x/2");
        assert!(faults[0].message.contains("/x/0"));
    }

    #[test]
    fn what_is_unknown_is_dangling() {
        let names = ["a".to_owned(), "z".to_owned()];
        let faults = dangling("/on", &names, "task", &Names::from(["a"]));
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].place, "/on/1");
    }
}
