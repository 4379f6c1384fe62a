//! What a person has ticked off in a list of tasks stays ticked when the list is written anew.

use std::collections::BTreeSet;

/// The new text, with those of its boxes ticked that are ticked in the old one. A task is known by
/// its words, as its number may have changed.
#[must_use]
pub fn carried(old: &str, new: &str) -> String {
    let ticked = |line: &str| boxed(line).filter(|(ticked, _)| *ticked).map(|(_, words)| words);
    let done: BTreeSet<String> = old.lines().filter_map(ticked).collect();
    let line = |line: &str| match boxed(line) {
        Some((false, words)) if done.contains(&words) => line.replacen("[ ]", "[x]", 1),
        Some(_) | None => line.to_owned(),
    };
    new.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Whether a line's box is ticked, and its words; none for a line without a box.
fn boxed(line: &str) -> Option<(bool, String)> {
    let rest = line.trim_start();
    let rest = rest.strip_prefix("- ").or_else(|| rest.strip_prefix("* "))?;
    let (ticked, rest) = match rest.get(..3)? {
        "[ ]" => (false, &rest[3..]),
        "[x]" | "[X]" => (true, &rest[3..]),
        _ => return None,
    };
    let words = rest.split_whitespace().skip_while(|word| is_number(word));
    Some((ticked, words.collect::<Vec<_>>().join(" ")))
}

/// `1.`, `2.3`, `T004`.
fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('T').unwrap_or(word);
    !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
}

#[cfg(test)]
mod tests {
    use super::carried;

    #[test]
    fn a_tick_goes_with_its_task_and_nothing_else_changes() {
        let old = "# Tasks\n\n- [x] 1. Keep counters\n- [ ] 1.1 Write\n  - [X] T003 [P] Test\n";
        let new = "# Tasks\n\n- [ ] 1. Write\n- [ ] 2.1 Keep counters\n  - [ ] T001 [P] Test\nend";
        let both = "# Tasks\n\n- [ ] 1. Write\n- [x] 2.1 Keep counters\n  - [x] T001 [P] Test\nend";
        assert_eq!(carried(old, new), both);
        assert_eq!(carried("no list", new), new);
        assert_eq!(carried(both, both), both);
    }
}
